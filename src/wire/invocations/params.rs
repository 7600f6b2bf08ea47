//! Inference parameters: `_enforce_params_schema`. ONNX models ignore them, but a wrong one is
//! an error all the same.

use super::WireError;
use super::datetime::is_datetime64;
use super::enforce::values::enforce_type;
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
    for spec in specs {
        let Some((_, value)) = members.iter().find(|(name, _)| *name == spec.name) else {
            continue;
        };
        check(value, spec)
            .map_err(|why| WireError::params(format!("parameter '{}': {why}", spec.name)))?;
    }
    Ok(())
}

fn check(value: &Value, spec: &ParamSpec) -> Result<(), String> {
    match (&spec.ty, spec.is_array) {
        (ParamType::Scalar(ty), false) => check_scalar(value, *ty),
        (ParamType::Scalar(ty), true) => match value {
            Value::List(items) if items.iter().all(|item| !matches!(item, Value::List(_))) => {
                items.iter().try_for_each(|item| check_scalar(item, *ty))
            }
            other => Err(format!("expected a flat list, got {}", other.type_name())),
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
        | (
            ColumnType::Float | ColumnType::Double,
            Value::Float(_) | Value::Int(_) | Value::BigInt(_),
        )
        | (ColumnType::String, Value::Str(_) | Value::Surrogates(_)) => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("expected {}, got {}", ty.name(), value.type_name())) }
}
