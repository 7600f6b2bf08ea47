//! Inference parameters: `_enforce_params_schema`. ONNX models ignore them, but a wrong one is
//! an error all the same.

use super::WireError;
use super::datetime::is_datetime64;
use super::enforce::values::enforce_type;
use super::numpy::{ArrayError, flatten};
use super::value::Value;
use crate::model::{ColumnType, ParamSpec, ParamType, ValueType};

/// Checks a request's parameters against the model's.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, naming the first parameter that does not fit.
pub fn enforce_params(params: Option<&Value>, specs: &[ParamSpec]) -> Result<(), WireError> {
    let members = match params {
        None | Some(Value::None) => return Ok(()),
        Some(Value::Dict(members)) => members,
        Some(other) => {
            return Err(WireError::params(format!(
                "params: expected an object, got {}",
                other.type_name()
            )));
        }
    };
    let mut refused = None;
    for spec in specs {
        let Some((_, value)) = members.iter().find(|(name, _)| *name == spec.name) else {
            continue;
        };
        let name = &spec.name;
        if spec.is_array && flat_len(value).is_err() {
            // Numpy fails on it before the check begins.
            return Err(WireError::bad_request(format!(
                "parameter '{name}': expected a flat list, got lists of unequal length"
            )));
        }
        if let Err(why) = check(value, spec) {
            refused.get_or_insert_with(|| WireError::params(format!("parameter '{name}': {why}")));
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The length of a flat list; `None` where the value is not one.
fn flat_len(value: &Value) -> Result<Option<usize>, ArrayError> {
    let Value::List(_) = value else { return Ok(None) };
    let (shape, _) = flatten(value)?;
    Ok(if let [length] = *shape.as_slice() { Some(length) } else { None })
}

fn check(value: &Value, spec: &ParamSpec) -> Result<(), String> {
    match (&spec.ty, spec.is_array) {
        (ParamType::Scalar(ty), false) => check_scalar(value, *ty),
        (ParamType::Scalar(ty), true) => match (value, flat_len(value)) {
            (Value::List(items), Ok(Some(_))) => {
                items.iter().try_for_each(|item| check_scalar(item, *ty))
            }
            (Value::List(_), _) => Err("expected a flat list, got nested lists".into()),
            (other, _) => Err(format!("expected a flat list, got {}", other.type_name())),
        },
        (ParamType::Object(properties), false) => {
            let ty = ValueType::Object(properties.clone());
            enforce_type(value.clone(), &ty, true).map(drop).map_err(|why| why.to_string())
        }
        (ParamType::Object(_), true) => Err("expected one object, not a list".into()),
    }
}

/// `_enforce_param_datatype`: null is allowed; integers may stand for longs and floats.
fn check_scalar(value: &Value, ty: ColumnType) -> Result<(), String> {
    let fits = match (ty, value) {
        (ColumnType::Datetime, Value::Str(text)) => is_datetime64(text),
        (_, Value::None)
        | (ColumnType::Boolean, Value::Bool(_))
        | (ColumnType::Integer | ColumnType::Long, Value::Int(_) | Value::BigInt(_))
        | (ColumnType::Float | ColumnType::Double, Value::Float(_) | Value::Int(_))
        | (ColumnType::String, Value::Str(_) | Value::Surrogates(_)) => true,
        // Beyond the doubles, `float(x)` fails.
        (ColumnType::Float | ColumnType::Double, Value::BigInt(_)) => value.to_float().is_ok(),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("expected {}, got {}", ty.name(), value.type_name())) }
}

#[cfg(test)]
mod tests {
    use super::super::{WireErrorKind, json};
    use super::*;

    #[test]
    fn lists_that_numpy_refuses_are_bad_requests_and_outrank_wrong_ones() {
        let spec = |name: &str, is_array| ParamSpec {
            name: name.into(),
            ty: ParamType::Scalar(ColumnType::Double),
            default: serde_json::Value::Null,
            is_array,
        };
        let specs = [spec("one", false), spec("many", true)];
        for (text, want) in [
            (r#"{"one": 1, "many": [1, 2.5, null]}"#, None),
            (r#"{"many": []}"#, None),
            (r#"{"one": "x"}"#, Some(WireErrorKind::Params)),
            (r#"{"many": 1}"#, Some(WireErrorKind::Params)),
            (r#"{"many": [[1]]}"#, Some(WireErrorKind::Params)),
            (r#"{"many": [[1], 2]}"#, Some(WireErrorKind::BadRequest)),
            (r#"{"many": [[1], [2, 3]]}"#, Some(WireErrorKind::BadRequest)),
            (r#"{"one": "x", "many": [1, []]}"#, Some(WireErrorKind::BadRequest)),
        ] {
            let params = json::parse(text.as_bytes()).unwrap();
            let got = enforce_params(Some(&params), &specs).err().map(|error| error.kind);
            assert_eq!(got, want, "{text}");
        }
        let huge = format!("{{\"one\": 1{}}}", "0".repeat(400));
        let params = json::parse(huge.as_bytes()).unwrap();
        assert!(enforce_params(Some(&params), &specs).is_err());
    }
}
