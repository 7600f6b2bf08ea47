//! Cells of array, object and map columns: `_enforce_array`, `_enforce_object`, `_enforce_map`.

use super::datatype::enforce_datatype;
use crate::model::{ColumnType, Property, ValueType};
use crate::wire::invocations::frame::Series;
use crate::wire::invocations::infer::infer;
use crate::wire::invocations::value::Value;

/// Why a cell does not fit its declared type, with the way to the offending part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}{why}")]
pub struct CellError {
    at: String,
    why: String,
}

impl CellError {
    fn new(why: impl Into<String>) -> Self {
        Self { at: String::new(), why: why.into() }
    }

    fn inside(mut self, part: &str) -> Self {
        self.at = format!("in {part}, {}", self.at);
        self
    }
}

/// Checks a cell against its declared type and gives its elements that type.
///
/// # Errors
/// When the cell or a part of it does not fit.
pub fn enforce_type(value: Value, ty: &ValueType, required: bool) -> Result<Value, CellError> {
    match ty {
        ValueType::Scalar(ty) => enforce_scalar(value, *ty, required),
        ValueType::Array(items) => enforce_array(value, items, required),
        ValueType::SparkMlVector => {
            enforce_array(value, &ValueType::Scalar(ColumnType::Double), required)
        }
        ValueType::Object(properties) => enforce_object(value, properties, required),
        ValueType::Map(values) => enforce_map(value, values, required),
        ValueType::Any => Ok(value),
    }
}

fn enforce_scalar(value: Value, ty: ColumnType, required: bool) -> Result<Value, CellError> {
    if !required && value.is_missing() {
        return Ok(Value::None);
    }
    if !value.is_scalar() {
        return Err(CellError::new(format!("expected {}, got {}", ty.name(), value.type_name())));
    }
    let got = value.type_name();
    let series = infer(vec![value]).map_err(String::from);
    let series = series
        .and_then(|series| enforce_datatype(series, ty))
        .map_err(|_| CellError::new(format!("expected {}, got {got}", ty.name())))?;
    Ok(series.into_values().pop().unwrap_or(Value::None))
}

fn enforce_array(value: Value, items: &ValueType, required: bool) -> Result<Value, CellError> {
    let may_be_empty = !required || matches!(items, ValueType::Any);
    let list = match value {
        Value::List(list) | Value::Array(list) => list,
        Value::None if may_be_empty => return Ok(Value::None),
        other => return Err(CellError::new(format!("got {}", other.type_name()))),
    };
    let ValueType::Scalar(ty) = items else {
        let items = list.into_iter().map(|item| enforce_type(item, items, required));
        return items
            .collect::<Result<_, _>>()
            .map(Value::List)
            .map_err(|error| error.inside("its items"));
    };
    if list.is_empty() {
        return Ok(Value::List(list));
    }
    let series = infer(list).map_err(String::from);
    let enforced = series
        .and_then(|series| enforce_datatype(series, *ty))
        .map_err(|why| CellError::new(format!("its items should be {}, {why}", ty.name())))?;
    as_numpy_list(enforced, *ty).map(Value::List)
}

/// `to_numpy(dtype).tolist()`: numpy gives strings, booleans and bytes their own dtype, which
/// turns missing items into `"None"` and `False`.
fn as_numpy_list(series: Series, ty: ColumnType) -> Result<Vec<Value>, CellError> {
    let values = series.into_values();
    let text = |value: Value| {
        if matches!(value, Value::List(_) | Value::Array(_)) {
            return Err(CellError::new("its items should be single values, got an array"));
        }
        // Text without a UTF-8 form is fine in a list, if not in a tensor.
        if matches!(value, Value::Surrogates(_)) {
            return Ok(value);
        }
        let text = value.to_text().map(Value::Str);
        text.ok_or_else(|| CellError::new(format!("got {}", value.type_name())))
    };
    match ty {
        ColumnType::Boolean => Ok(values.iter().map(|v| Value::Bool(v.truthy())).collect()),
        ColumnType::String => values.into_iter().map(text).collect(),
        ColumnType::Binary => values
            .into_iter()
            .map(|v| match v {
                Value::Bytes(bytes) => Ok(Value::Bytes(bytes)),
                other => match text(other)? {
                    Value::Str(text) if text.is_ascii() => Ok(Value::Bytes(text.into_bytes())),
                    _ => {
                        Err(CellError::new("its items should be binary, got other than ASCII text"))
                    }
                },
            })
            .collect(),
        _ => Ok(values),
    }
}

fn enforce_object(
    value: Value,
    properties: &[Property],
    required: bool,
) -> Result<Value, CellError> {
    let members = match value {
        Value::Dict(members) if !required && members.is_empty() => return Ok(Value::Dict(members)),
        Value::Dict(members) => members,
        Value::None if !required => return Ok(Value::None),
        other => return Err(CellError::new(format!("got {}", other.type_name()))),
    };
    let known = |name: &str| properties.iter().find(|property| property.name == name);
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    if let Some(missing) = properties.iter().find(|p| p.required && !has(&p.name)) {
        return Err(CellError::new(format!("its property '{}' is missing", missing.name)));
    }
    if members.iter().any(|(key, _)| known(key).is_none()) {
        return Err(CellError::new("it has a property that the signature does not declare"));
    }
    let members = members.into_iter().map(|(key, value)| {
        let property = known(&key).expect("every member was found among the properties");
        let value = enforce_type(value, &property.ty, property.required)
            .map_err(|error| error.inside(&format!("its property '{key}'")))?;
        Ok((key, value))
    });
    members.collect::<Result<_, _>>().map(Value::Dict)
}

fn enforce_map(value: Value, values: &ValueType, required: bool) -> Result<Value, CellError> {
    let may_be_empty = !required || matches!(values, ValueType::Any);
    match value {
        Value::None if may_be_empty => Ok(Value::None),
        Value::Dict(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let value = enforce_type(value, values, required);
                Ok((key, value.map_err(|error| error.inside("its values"))?))
            });
            members.collect::<Result<_, _>>().map(Value::Dict)
        }
        other => Err(CellError::new(format!("got {}", other.type_name()))),
    }
}
