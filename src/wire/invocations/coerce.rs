//! `cast_df_types_according_to_schema`: what a `dataframe_*` body's columns become before the
//! schema is enforced. This is where the protocol is lax: floats are truncated to integers,
//! numeric text is parsed, anything becomes a boolean.

use std::collections::HashMap;

use super::WireError;
use super::astype::astype;
use super::datetime::to_datetime;
use super::enforce::values::enforce_type;
use super::frame::{Frame, Label, Series};
use super::infer::infer;
use super::value::Value;
use crate::model::{ColumnType, Columns, Schema, TensorDType, TensorSpec, ValueType};
use crate::tensor::DType;

/// Casts the declared columns that are present; missing ones are found later.
///
/// # Errors
/// `BAD_REQUEST` for the first column, in the signature's order, that does not convert.
pub fn cast_frame(frame: Frame, schema: &Schema) -> Result<Frame, WireError> {
    // Python cannot put such a name into a set, and MLflow collects the names in one.
    if let Some((label, _)) = frame.columns.iter().find(|(label, _)| !label.is_hashable()) {
        let Label::Other(name) = label else { unreachable!("the others are hashable") };
        return Err(WireError::bad_request(format!(
            "dataframe_split: a column's name must be text, got {}",
            name.type_name()
        )));
    }
    match schema {
        Schema::Columns(columns) => cast_columns(frame, columns),
        Schema::Tensors(specs) => cast_tensors(frame, specs),
    }
}

fn cast_columns(mut frame: Frame, columns: &Columns) -> Result<Frame, WireError> {
    for (i, spec) in columns.specs.iter().enumerate() {
        let positions: Vec<usize> = if columns.named {
            frame.positions(&spec.name).collect()
        } else {
            let Some((label, _)) = frame.columns.get(i) else { break };
            let same = frame.columns.iter().enumerate().filter(|(_, (other, _))| other == label);
            same.map(|(position, _)| position).collect()
        };
        let repeats = positions.len() > 1;
        for position in positions {
            let series = &mut frame.columns[position].1;
            let context = |why: &str| {
                let declared = columns.named.then_some(spec.name.as_str());
                let (name, want) = (describe(declared, position), type_text(&spec.ty));
                WireError::bad_request(format!("column {name}: expected {want}, {why}"))
            };
            // With the name repeated, pandas hands over a frame, which these cannot take.
            if repeats
                && matches!(
                    scalar(&spec.ty),
                    Some(ColumnType::Boolean | ColumnType::Datetime | ColumnType::String)
                )
            {
                return Err(context("got several columns of that name"));
            }
            let taken = std::mem::replace(series, Series::Bool(Vec::new()));
            let cast = cast_column(taken, &spec.ty, spec.required || !columns.named);
            *series = cast.map_err(|why| context(&why))?;
        }
    }
    Ok(frame)
}

fn scalar(ty: &ValueType) -> Option<ColumnType> {
    if let ValueType::Scalar(ty) = ty { Some(*ty) } else { None }
}

fn cast_column(series: Series, ty: &ValueType, required: bool) -> Result<Series, String> {
    match ty {
        ValueType::Scalar(ty) => cast_scalars(series, *ty),
        ValueType::Any => Ok(series),
        ValueType::Array(_)
        | ValueType::Object(_)
        | ValueType::Map(_)
        | ValueType::SparkMlVector => {
            let cells = series.into_values().into_iter();
            let cells = cells.map(|cell| enforce_type(cell, ty, required));
            cells.collect::<Result<_, _>>().map(Series::Object).map_err(|why| why.to_string())
        }
    }
}

fn cast_scalars(series: Series, ty: ColumnType) -> Result<Series, String> {
    let numeric = |series, dtype| astype(series, dtype).map_err(|why| why.to_string());
    match ty {
        ColumnType::Boolean => cast_booleans(series),
        ColumnType::Integer => numeric(series, DType::I32),
        ColumnType::Long => numeric(series, DType::I64),
        ColumnType::Float => numeric(series, DType::F32),
        ColumnType::Double => numeric(series, DType::F64),
        ColumnType::String => Ok(Series::Object(series.into_values())),
        ColumnType::Binary => {
            let cells = series.into_values().into_iter().map(|cell| match cell {
                Value::Str(text) => decode_base64(&text).map(Value::Bytes),
                other => Err(format!("got {}", other.type_name())),
            });
            cells.collect::<Result<_, _>>().map(Series::Object)
        }
        ColumnType::Datetime => to_datetime(&series).map_err(|why| why.to_string()),
    }
}

/// `astype(bool)` where nothing is missing; otherwise missing cells are kept for enforcement.
fn cast_booleans(series: Series) -> Result<Series, String> {
    match series {
        Series::F64(values) if values.iter().all(|value| value.is_nan()) && !values.is_empty() => {
            Ok(Series::F64(values))
        }
        Series::F64(values) if values.iter().any(|value| value.is_nan()) => {
            Ok(Series::Object(values.into_iter().map(|v| truth(Value::Float(v))).collect()))
        }
        // `where` looks for a dtype again: only NaNs make doubles.
        Series::Object(values) if values.iter().any(Value::is_missing) => {
            Ok(infer(values.into_iter().map(truth).collect())?)
        }
        other => astype(other, DType::Bool).map_err(|why| why.to_string()),
    }
}

fn truth(value: Value) -> Value {
    if value.is_missing() { value } else { Value::Bool(value.truthy()) }
}

/// `base64.decodebytes`: other characters are skipped, and padding ends the data.
fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut quad, mut position, mut pads) = (0_u32, 0, 0);
    for byte in text.bytes() {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if position >= 2 => {
                pads += 1;
                if position + pads >= 4 {
                    return Ok(bytes);
                }
                continue;
            }
            _ => continue,
        };
        pads = 0;
        quad = quad << 6 | u32::from(sextet);
        if position > 0 {
            bytes.push((quad >> (6 - 2 * position)) as u8);
        }
        position = (position + 1) % 4;
    }
    if position == 0 { Ok(bytes) } else { Err("got text that is not base64".into()) }
}

fn cast_tensors(mut frame: Frame, specs: &[TensorSpec]) -> Result<Frame, WireError> {
    let targets: Vec<(usize, &TensorSpec)> = match specs {
        [spec] if spec.name.is_none() => (0..frame.columns.len()).map(|i| (i, spec)).collect(),
        _ => {
            let named = specs.iter().filter_map(|spec| Some((spec.name.as_deref()?, spec)));
            named
                .flat_map(|(name, spec)| {
                    frame.positions(name).map(move |i| (i, spec)).collect::<Vec<_>>()
                })
                .collect()
        }
    };
    let repeats = repeats(&frame);
    for (position, spec) in targets {
        let series = &mut frame.columns[position].1;
        let context = |why: &str| {
            let want = tensor_type_text(&spec.dtype);
            let name = describe(spec.name.as_deref(), position);
            WireError::bad_request(format!("column {name}: expected {want}, {why}"))
        };
        if frame.rows == 0 {
            return Err(context("got no row"));
        }
        let holds_lists =
            matches!(series, Series::Object(cells) if matches!(cells[0], Value::List(_)));
        if holds_lists && !repeats[position] {
            continue; // Lists are converted when they are reshaped.
        }
        // With the name repeated, pandas hands over a frame, which has no single dtype.
        if repeats[position] && spec.dtype == TensorDType::Known(DType::Str) {
            return Err(context("got several columns of that name"));
        }
        let taken = std::mem::replace(series, Series::Bool(Vec::new()));
        *series = cast_tensor_column(taken, &spec.dtype).map_err(|why| context(&why))?;
    }
    Ok(frame)
}

/// For each column, whether another has the same label.
fn repeats(frame: &Frame) -> Vec<bool> {
    let keys: Vec<String> = frame.columns.iter().map(|(label, _)| format!("{label:?}")).collect();
    let mut counts = HashMap::<&str, usize>::with_capacity(keys.len());
    for key in &keys {
        *counts.entry(key).or_default() += 1;
    }
    keys.iter().map(|key| counts[key.as_str()] > 1).collect()
}

fn cast_tensor_column(series: Series, dtype: &TensorDType) -> Result<Series, String> {
    match dtype {
        TensorDType::Known(dtype) => astype(series, *dtype).map_err(|why| why.to_string()),
        TensorDType::Other(name) if name == "bytes" => {
            let cells = series.into_values().into_iter().map(|cell| match cell {
                Value::Str(text) => Ok(Value::Bytes(text.into_bytes())),
                other => Err(format!("got {}", other.type_name())),
            });
            cells.collect::<Result<_, _>>().map(Series::Object)
        }
        TensorDType::Other(name) if name == "object" => Ok(Series::Object(series.into_values())),
        TensorDType::Other(_) => Err("which no request can hold".into()),
    }
}

/// A column, for messages: by its name if the model declares it, else by its place. A name that
/// only the request knows may be anything, and is not repeated.
#[must_use]
pub fn describe(declared: Option<&str>, position: usize) -> String {
    declared.map_or_else(|| (position + 1).to_string(), |name| format!("'{name}'"))
}

/// A declared type, for messages.
#[must_use]
pub fn type_text(ty: &ValueType) -> &'static str {
    match ty {
        ValueType::Scalar(ty) => ty.name(),
        ValueType::Array(_) | ValueType::SparkMlVector => "an array",
        ValueType::Object(_) => "an object",
        ValueType::Map(_) => "a map",
        ValueType::Any => "any value",
    }
}

/// A declared tensor type, for messages.
#[must_use]
pub fn tensor_type_text(dtype: &TensorDType) -> &str {
    match dtype {
        TensorDType::Known(dtype) => dtype.name(),
        TensorDType::Other(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_lax_as_pythons() {
        assert_eq!(decode_base64("aGVsbG8A/w==").unwrap(), b"hello\0\xff");
        assert_eq!(decode_base64("%%%").unwrap(), b"");
        assert_eq!(decode_base64("aGVs bG8=\n").unwrap(), b"hello");
        assert_eq!(decode_base64("aGVsbG8=ignored").unwrap(), b"hello");
        assert_eq!(decode_base64("=aGVs").unwrap(), b"hel");
        assert!(decode_base64("abc").is_err());
        assert!(decode_base64("a").is_err());
    }

    #[test]
    fn missing_booleans_are_kept() {
        let values = vec![Value::None, Value::Str("x".into()), Value::Int(0)];
        assert_eq!(
            cast_booleans(Series::Object(values)).unwrap(),
            Series::Object(vec![Value::None, Value::Bool(true), Value::Bool(false)])
        );
        assert_eq!(
            cast_booleans(Series::I64(vec![0, -1])).unwrap(),
            Series::Bool(vec![false, true])
        );
    }
}
