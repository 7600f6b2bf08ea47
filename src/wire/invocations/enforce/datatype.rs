//! `_enforce_mlflow_datatype`: whether a column's dtype may stand for a declared type.

use crate::model::ColumnType;
use crate::wire::invocations::datetime::to_datetime;
use crate::wire::invocations::frame::{NAT, Series};
use crate::wire::invocations::infer::infer;
use crate::wire::invocations::number_text::parse_float;
use crate::wire::invocations::value::Value;

/// Lets a column stand for `ty`: the same dtype, a safe upcast, or nothing.
///
/// # Errors
/// With the column's dtype, when the conversion is not safe.
pub(super) fn enforce_datatype(series: Series, ty: ColumnType) -> Result<Series, String> {
    let series = match series {
        // `infer_objects`
        Series::Object(values) if !matches!(ty, ColumnType::Binary | ColumnType::String) => {
            infer(values)?
        }
        other => other,
    };
    let refused = |series: &Series| Err(format!("got {} values", series.dtype_name()));
    match (ty, series) {
        (ColumnType::String | ColumnType::Binary | ColumnType::Boolean, s @ Series::Object(_))
        | (ColumnType::Boolean, s @ Series::Bool(_))
        | (ColumnType::Integer, s @ Series::I32(_))
        | (ColumnType::Long, s @ Series::I64(_))
        | (ColumnType::Float, s @ Series::F32(_))
        | (ColumnType::Double, s @ Series::F64(_))
        | (ColumnType::Datetime, s @ Series::Datetime(_)) => Ok(s),
        (ColumnType::Integer, s) => narrow(s).map_or_else(
            |s| refused(&s),
            |v| Ok(Series::I32(v.into_iter().map(|v| v as i32).collect())),
        ),
        (ColumnType::Long, s) => to_long(s).map_or_else(|s| refused(&s), |v| Ok(Series::I64(v))),
        (ColumnType::Float, Series::F16(v)) => {
            Ok(Series::F32(v.into_iter().map(f32::from).collect()))
        }
        (ColumnType::Float, Series::I64(v)) if zeros_and_ones(&v) => {
            Ok(Series::F32(v.into_iter().map(|v| v as f32).collect()))
        }
        (ColumnType::Double, Series::Object(values)) => to_numeric(&values),
        (ColumnType::Double, s) => {
            to_double(s).map_or_else(|s| refused(&s), |v| Ok(Series::F64(v)))
        }
        // Dates from a Parquet file.
        (ColumnType::Datetime, Series::Object(cells))
            if cells.iter().all(|c| c.is_missing() || matches!(c, Value::Date(_))) =>
        {
            Ok(Series::Datetime(vec![NAT; cells.len()]))
        }
        (ColumnType::Datetime, s @ Series::Object(_)) => match to_datetime(&s) {
            Ok(datetimes @ Series::Datetime(_)) => Ok(datetimes),
            _ => refused(&s),
        },
        (_, s) => refused(&s),
    }
}

fn zeros_and_ones(values: &[i64]) -> bool {
    values.iter().all(|value| matches!(value, 0 | 1))
}

/// The integers that `int32` holds safely: signed ones of at most 32 bits, unsigned ones of
/// fewer.
fn narrow(series: Series) -> Result<Vec<i64>, Series> {
    fn wide<T: Into<i64>>(values: Vec<T>) -> Vec<i64> {
        values.into_iter().map(Into::into).collect()
    }
    match series {
        Series::I8(v) => Ok(wide(v)),
        Series::I16(v) => Ok(wide(v)),
        Series::I32(v) => Ok(wide(v)),
        Series::U8(v) => Ok(wide(v)),
        Series::U16(v) => Ok(wide(v)),
        other => Err(other),
    }
}

fn to_long(series: Series) -> Result<Vec<i64>, Series> {
    match series {
        Series::U32(values) => Ok(values.into_iter().map(i64::from).collect()),
        other => narrow(other),
    }
}

fn to_double(series: Series) -> Result<Vec<f64>, Series> {
    match series {
        Series::F16(values) => Ok(values.into_iter().map(f64::from).collect()),
        Series::F32(values) => Ok(values.into_iter().map(f64::from).collect()),
        Series::I64(values) if zeros_and_ones(&values) => {
            Ok(values.into_iter().map(|value| value as f64).collect())
        }
        other => to_long_32(other).map(|v| v.into_iter().map(|value| value as f64).collect()),
    }
}

/// Integers of at most 32 bits, which a double holds exactly.
fn to_long_32(series: Series) -> Result<Vec<i64>, Series> {
    if matches!(series, Series::I64(_) | Series::U64(_)) { Err(series) } else { to_long(series) }
}

/// `pandas.to_numeric`: MLflow takes any object column for decimals when doubles are declared.
fn to_numeric(values: &[Value]) -> Result<Series, String> {
    if values.is_empty() {
        return Ok(Series::I64(Vec::new()));
    }
    let parse = |text: &str| parse_number(text).ok_or_else(|| "got text".to_owned());
    let numbers = values.iter().map(|value| match value {
        Value::None => Ok(Value::Float(f64::NAN)),
        Value::Bool(value) => Ok(Value::Int((*value).into())),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => Ok(value.clone()),
        // Whatever is empty is missing.
        Value::Str(text) if text.is_empty() => Ok(Value::Float(f64::NAN)),
        Value::List(items) | Value::Array(items) if items.is_empty() => Ok(Value::Float(f64::NAN)),
        Value::Dict(members) if members.is_empty() => Ok(Value::Float(f64::NAN)),
        Value::Str(text) => parse(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_or(Err("got bytes".into()), parse),
        other => Err(format!("got {}", other.type_name())),
    });
    Ok(infer(numbers.collect::<Result<_, String>>()?)?)
}

/// A number as `pandas.to_numeric` reads it: narrower than Python's `float`, and an integer must
/// fit 64 bits.
fn parse_number(text: &str) -> Option<Value> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let small = text.parse().map(Value::Int);
        return small.or_else(|_| text.parse().map(super::super::numpy::unsigned)).ok();
    }
    if ["inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return parse_float(text).map(Value::Float);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') || text.contains('_') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_numbers_as_pandas_reads_them() {
        for (text, want) in [
            ("7", Some(7.0)),
            (" +5 ", Some(5.0)),
            ("18446744073709551615", Some(1.844_674_407_370_955_2e19)),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("99999999999999999999.0", Some(1e20)),
            ("1e400", None),
            ("-Inf", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("1_0", None),
            ("٣", None),
            ("1 2", None),
            ("-", None),
            ("1.", Some(1.0)),
        ] {
            let got = parse_number(text).and_then(|value| value.to_float().ok());
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn what_is_empty_is_missing_where_doubles_are_declared() {
        let cells = vec![Value::Dict(Vec::new()), Value::List(Vec::new()), Value::Float(2.5)];
        let Ok(Series::F64(values)) = enforce_datatype(Series::Object(cells), ColumnType::Double)
        else {
            panic!("doubles")
        };
        assert!(values[0].is_nan() && values[1].is_nan());
        assert!((values[2] - 2.5).abs() < f64::EPSILON);
    }
}
