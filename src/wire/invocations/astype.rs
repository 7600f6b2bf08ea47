//! `Series.astype(dtype)` for the dtypes that JSON data have before a cast: `bool`, `int64`,
//! `uint64`, `float64` and `object`.
//!
//! Integers wrap, floats are truncated, and what does not fit takes the value that the x86
//! conversion instructions give: the smallest integer. That is what pandas does on the machines
//! that MLflow runs on, and so what its clients see.

use half::f16;
use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::frame::Series;
use super::numpy::to_integer;
use super::value::{NotConvertible, Value};
use crate::tensor::DType;

/// Why a column does not convert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CastError {
    #[error("got {0}")]
    Value(&'static str),
    #[error("got a number out of range")]
    Range,
    #[error("got a missing or infinite number, which an integer cannot represent")]
    NotFinite,
    #[error("got a negative number")]
    Negative,
    #[error("got a column of {0}")]
    Column(&'static str),
}

/// Converts a column to `dtype`.
///
/// # Errors
/// Where pandas raises.
pub fn astype(series: Series, dtype: DType) -> Result<Series, CastError> {
    if dtype == DType::Str {
        return strings(series.into_values());
    }
    Ok(match series {
        Series::Object(values) => from_objects(&values, dtype)?,
        Series::Bool(values) => from_integers(values.into_iter().map(i128::from), dtype),
        Series::I64(values) => from_integers(values.into_iter().map(i128::from), dtype),
        Series::U64(values) => from_integers(values.into_iter().map(i128::from), dtype),
        Series::F64(values) => from_floats(values, dtype)?,
        other => return Err(CastError::Column(other.dtype_name())),
    })
}

fn from_integers(values: impl Iterator<Item = i128>, dtype: DType) -> Series {
    match dtype {
        DType::Bool => Series::Bool(values.map(|v| v != 0).collect()),
        DType::I8 => Series::I8(values.map(|v| v as i8).collect()),
        DType::I16 => Series::I16(values.map(|v| v as i16).collect()),
        DType::I32 => Series::I32(values.map(|v| v as i32).collect()),
        DType::I64 => Series::I64(values.map(|v| v as i64).collect()),
        DType::U8 => Series::U8(values.map(|v| v as u8).collect()),
        DType::U16 => Series::U16(values.map(|v| v as u16).collect()),
        DType::U32 => Series::U32(values.map(|v| v as u32).collect()),
        DType::U64 => Series::U64(values.map(|v| v as u64).collect()),
        DType::F16 => Series::F16(values.map(|v| f16::from_f64(v as f64)).collect()),
        DType::F32 => Series::F32(values.map(|v| v as f32).collect()),
        DType::F64 => Series::F64(values.map(|v| v as f64).collect()),
        DType::Str => Series::Object(values.map(|v| Value::Str(v.to_string())).collect()),
    }
}

fn from_floats(values: Vec<f64>, dtype: DType) -> Result<Series, CastError> {
    match dtype {
        DType::Bool => return Ok(Series::Bool(values.iter().map(|&v| v != 0.0).collect())),
        DType::F16 => return Ok(Series::F16(values.into_iter().map(f16::from_f64).collect())),
        DType::F32 => return Ok(Series::F32(values.iter().map(|&v| v as f32).collect())),
        DType::F64 => return Ok(Series::F64(values)),
        _ => {}
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(CastError::NotFinite);
    }
    let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
    if unsigned && values.iter().any(|&value| value < 0.0) {
        return Err(CastError::Negative);
    }
    Ok(truncate(&values, dtype))
}

/// `array.astype(dtype)` of numpy itself, which refuses no number.
pub fn numpy_astype(values: &[f64], dtype: DType) -> Series {
    match dtype {
        DType::Bool => Series::Bool(values.iter().map(|&v| v != 0.0).collect()),
        DType::F16 => Series::F16(values.iter().map(|&v| f16::from_f64(v)).collect()),
        DType::F32 => Series::F32(values.iter().map(|&v| v as f32).collect()),
        DType::F64 => Series::F64(values.to_vec()),
        DType::Str => Series::Object(Series::F64(values.to_vec()).into_values()),
        _ => truncate(values, dtype),
    }
}

/// Floats as integers; `dtype` is an integer type.
fn truncate(values: &[f64], dtype: DType) -> Series {
    let values = values.iter().copied();
    match dtype {
        DType::I8 => Series::I8(values.map(|v| to_i32(v) as i8).collect()),
        DType::I16 => Series::I16(values.map(|v| to_i32(v) as i16).collect()),
        DType::I32 => Series::I32(values.map(to_i32).collect()),
        DType::U8 => Series::U8(values.map(|v| to_i32(v) as u8).collect()),
        DType::U16 => Series::U16(values.map(|v| to_i32(v) as u16).collect()),
        DType::U32 => Series::U32(values.map(|v| to_i64(v) as u32).collect()),
        DType::U64 => Series::U64(values.map(to_u64).collect()),
        _ => Series::I64(values.map(to_i64).collect()),
    }
}

/// `cvttsd2si` with a 32-bit destination.
fn to_i32(value: f64) -> i32 {
    let whole = value.trunc();
    if (-2_147_483_648.0..2_147_483_648.0).contains(&whole) { whole as i32 } else { i32::MIN }
}

/// `cvttsd2si` with a 64-bit destination.
fn to_i64(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// The compilers' sequence for an unsigned 64-bit destination.
fn to_u64(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value >= HALF { to_i64(value - HALF) as u64 ^ 1 << 63 } else { to_i64(value) as u64 }
}

fn from_objects(values: &[Value], dtype: DType) -> Result<Series, CastError> {
    fn each<T>(
        values: &[Value],
        convert: impl Fn(&Value) -> Result<T, NotConvertible>,
    ) -> Result<Vec<T>, CastError> {
        let cells = values.iter().map(|value| {
            convert(value).map_err(|why| match why {
                NotConvertible::Type => CastError::Value(value.type_name()),
                NotConvertible::Range => CastError::Range,
            })
        });
        cells.collect()
    }
    Ok(match dtype {
        DType::Bool => Series::Bool(values.iter().map(Value::truthy).collect()),
        DType::I8 => {
            Series::I8(each(values, |v| to_integer(v, BigInt::to_i8, |i| i.try_into().ok()))?)
        }
        DType::I16 => {
            Series::I16(each(values, |v| to_integer(v, BigInt::to_i16, |i| i.try_into().ok()))?)
        }
        DType::I32 => {
            Series::I32(each(values, |v| to_integer(v, BigInt::to_i32, |i| i.try_into().ok()))?)
        }
        DType::I64 => Series::I64(each(values, |v| to_integer(v, BigInt::to_i64, Some))?),
        DType::U8 => {
            Series::U8(each(values, |v| to_integer(v, BigInt::to_u8, |i| i.try_into().ok()))?)
        }
        DType::U16 => {
            Series::U16(each(values, |v| to_integer(v, BigInt::to_u16, |i| i.try_into().ok()))?)
        }
        DType::U32 => {
            Series::U32(each(values, |v| to_integer(v, BigInt::to_u32, |i| i.try_into().ok()))?)
        }
        DType::U64 => {
            Series::U64(each(values, |v| to_integer(v, BigInt::to_u64, |i| i.try_into().ok()))?)
        }
        DType::F16 => Series::F16(each(values, |v| v.to_float().map(f16::from_f64))?),
        DType::F32 => Series::F32(each(values, |v| v.to_float().map(|f| f as f32))?),
        DType::F64 => Series::F64(each(values, Value::to_float)?),
        DType::Str => return strings(values.to_vec()),
    })
}

/// `astype(str)`: every cell by `str(x)`, missing ones too.
fn strings(values: Vec<Value>) -> Result<Series, CastError> {
    let cells = values.into_iter().map(|value| match value {
        Value::Str(text) => Ok(Value::Str(text)),
        other => other.to_text().map(Value::Str).ok_or(CastError::Value(other.type_name())),
    });
    cells.collect::<Result<_, _>>().map(Series::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_and_floats_saturate_as_on_x86() {
        let cast = |series, dtype| astype(series, dtype).unwrap();
        assert_eq!(
            cast(Series::I64(vec![2_147_483_648, i64::MAX, -1]), DType::I32),
            Series::I32(vec![i32::MIN, -1, -1])
        );
        assert_eq!(
            cast(Series::F64(vec![1e20, 3e9, -1.5, 2_147_483_647.9]), DType::I32),
            Series::I32(vec![i32::MIN, i32::MIN, -1, i32::MAX])
        );
        assert_eq!(
            cast(Series::F64(vec![1e20, 9.3e18]), DType::I64),
            Series::I64(vec![i64::MIN, i64::MIN])
        );
        assert_eq!(cast(Series::F64(vec![300.7, 1e20]), DType::U8), Series::U8(vec![44, 0]));
        assert_eq!(cast(Series::U64(vec![1 << 63]), DType::I64), Series::I64(vec![i64::MIN]));
        assert_eq!(
            numpy_astype(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0], DType::U64),
            Series::U64(vec![1 << 63, 0, 1 << 63, u64::MAX])
        );
        assert_eq!(numpy_astype(&[f64::NAN, 1e300], DType::I8), Series::I8(vec![0, 0]));
        assert_eq!(astype(Series::F64(vec![f64::NAN]), DType::I64), Err(CastError::NotFinite));
        assert_eq!(astype(Series::F64(vec![-0.5]), DType::U8), Err(CastError::Negative));
    }
}
