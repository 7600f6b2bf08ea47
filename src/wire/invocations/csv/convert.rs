//! Columns of a CSV in their final type: the declared one, or the one that fits.

use num_bigint::BigInt;

use super::super::frame::Series;
use super::super::value::Value;
use super::parse::{self, Column, MISSING_INT, Parsed};
use crate::model::ColumnType;

/// A column that cannot have its declared type. The caller knows its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

/// The column in the type that fits, missing values in the form that pandas gives them: NaN in a
/// float column, which integers become for it; NaN among objects, which booleans become for it.
pub(super) fn inferred<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> Series {
    finish(parse::infer(fields))
}

fn finish(column: Column) -> Series {
    let complete = column.missing == 0;
    match column.values {
        Parsed::Int(values) if complete => Series::I64(values),
        Parsed::Int(values) => Series::F64(values.into_iter().map(float_or_missing).collect()),
        Parsed::Uint(values) => Series::U64(values),
        Parsed::Float(values) => Series::F64(values),
        Parsed::Bool(values) if complete => Series::Bool(values.into_iter().flatten().collect()),
        Parsed::Bool(values) => Series::Object(
            values
                .into_iter()
                .map(|value| value.map_or(Value::Float(f64::NAN), Value::Bool))
                .collect(),
        ),
        Parsed::Text(values) => Series::Object(values),
    }
}

fn float_or_missing(value: i64) -> f64 {
    if value == MISSING_INT { f64::NAN } else { value as f64 }
}

/// The column in a declared type. `Datetime` is not pandas' business here, so it is refused.
pub(super) fn declared<'a>(
    fields: impl Iterator<Item = &'a str> + Clone,
    ty: ColumnType,
) -> Result<Series, Misfit> {
    match ty {
        ColumnType::Double => Ok(Series::F64(floats(fields)?)),
        ColumnType::Float => {
            Ok(Series::F32(floats(fields)?.into_iter().map(|value| value as f32).collect()))
        }
        ColumnType::Long => match integers(fields, |_| true)? {
            Integers::Signed(values) => Ok(Series::I64(values)),
            // pandas hands these out although `int64` was asked for; enforcement refuses them.
            Integers::Unsigned(values) => Ok(Series::U64(values)),
        },
        // Too big an integer wraps, too big a float does not fit: numpy's rules.
        ColumnType::Integer => Ok(Series::I32(match integers(fields, fits_i32)? {
            Integers::Signed(values) => values.into_iter().map(|value| value as i32).collect(),
            Integers::Unsigned(values) => values.into_iter().map(|value| value as i32).collect(),
        })),
        ColumnType::Boolean => Ok(Series::Bool(booleans(fields)?)),
        ColumnType::String | ColumnType::Binary => Ok(finish(parse::text(fields))),
        ColumnType::Datetime => Err(Misfit),
    }
}

/// Numbers, or else the words for true and false.
fn floats<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<f64>, Misfit> {
    let column = parse::floats(fields.clone()).unwrap_or_else(|| parse::infer(fields));
    match column.values {
        Parsed::Float(values) => Ok(values),
        Parsed::Bool(values) => Ok(values
            .into_iter()
            .map(|value| value.map_or(f64::NAN, |value| f64::from(u8::from(value))))
            .collect()),
        Parsed::Int(_) | Parsed::Uint(_) | Parsed::Text(_) => Err(Misfit),
    }
}

enum Integers {
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
}

/// Integers, or else floats that are whole and fit, or else the words for true and false; none
/// missing.
fn integers<'a>(
    fields: impl Iterator<Item = &'a str> + Clone,
    float_fits: fn(i64) -> bool,
) -> Result<Integers, Misfit> {
    let column = match parse::integers(fields.clone()) {
        Ok(Some(column)) => column,
        Ok(None) => parse::infer(fields),
        Err(_) => return Err(Misfit),
    };
    if column.missing > 0 {
        return Err(Misfit);
    }
    match column.values {
        Parsed::Int(values) => Ok(Integers::Signed(values)),
        Parsed::Uint(values) => Ok(Integers::Unsigned(values)),
        Parsed::Float(values) => {
            let values = values.into_iter().map(|value| whole(value).filter(|i| float_fits(*i)));
            values.collect::<Option<_>>().map(Integers::Signed).ok_or(Misfit)
        }
        Parsed::Bool(values) => {
            Ok(Integers::Signed(values.into_iter().flatten().map(i64::from).collect()))
        }
        Parsed::Text(_) => Err(Misfit),
    }
}

/// The integer that the float is, if it is one.
fn whole(value: f64) -> Option<i64> {
    let integer = value as i64;
    (integer as f64 == value && integer != i64::MAX).then_some(integer)
}

fn fits_i32(value: i64) -> bool {
    i32::try_from(value).is_ok()
}

/// The words for true and false, or else numbers that are 1 or 0; none missing.
fn booleans<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<bool>, Misfit> {
    let column = parse::booleans(fields.clone()).unwrap_or_else(|| parse::infer(fields));
    if column.missing > 0 {
        return Err(Misfit);
    }
    let values: Option<Vec<bool>> = match column.values {
        Parsed::Bool(values) => values.into_iter().collect(),
        Parsed::Int(values) => values.into_iter().map(|value| truth(value as f64)).collect(),
        Parsed::Float(values) => values.into_iter().map(truth).collect(),
        Parsed::Uint(_) | Parsed::Text(_) => None,
    };
    values.ok_or(Misfit)
}

fn truth(value: f64) -> Option<bool> {
    if value == 1.0 {
        Some(true)
    } else if value == 0.0 {
        Some(false)
    } else {
        None
    }
}

/// Joins the parts of a column that were read one by one: unlike numbers become floats, anything
/// else that is unlike becomes objects.
pub(super) fn join(mut parts: Vec<Series>) -> Series {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let alike = |is: fn(&Series) -> bool| parts.iter().all(is);
    if alike(|part| matches!(part, Series::Bool(_))) {
        Series::Bool(parts.into_iter().filter_map(into_bools).flatten().collect())
    } else if alike(|part| matches!(part, Series::I64(_))) {
        Series::I64(parts.into_iter().filter_map(into_i64s).flatten().collect())
    } else if alike(|part| matches!(part, Series::U64(_))) {
        Series::U64(parts.into_iter().filter_map(into_u64s).flatten().collect())
    } else if alike(|part| matches!(part, Series::I64(_) | Series::U64(_) | Series::F64(_))) {
        Series::F64(parts.into_iter().filter_map(into_floats).flatten().collect())
    } else {
        Series::Object(parts.into_iter().flat_map(into_objects).collect())
    }
}

fn into_bools(series: Series) -> Option<Vec<bool>> {
    if let Series::Bool(values) = series { Some(values) } else { None }
}

fn into_i64s(series: Series) -> Option<Vec<i64>> {
    if let Series::I64(values) = series { Some(values) } else { None }
}

fn into_u64s(series: Series) -> Option<Vec<u64>> {
    if let Series::U64(values) = series { Some(values) } else { None }
}

fn into_floats(series: Series) -> Option<Vec<f64>> {
    match series {
        Series::I64(values) => Some(values.into_iter().map(|value| value as f64).collect()),
        Series::U64(values) => Some(values.into_iter().map(|value| value as f64).collect()),
        Series::F64(values) => Some(values),
        _ => None,
    }
}

fn into_objects(series: Series) -> Vec<Value> {
    match series {
        Series::Bool(values) => values.into_iter().map(Value::Bool).collect(),
        Series::I64(values) => values.into_iter().map(Value::Int).collect(),
        Series::U64(values) => values
            .into_iter()
            .map(|value| {
                i64::try_from(value)
                    .map_or_else(|_| Value::BigInt(Box::new(BigInt::from(value))), Value::Int)
            })
            .collect(),
        Series::F64(values) => values.into_iter().map(Value::Float).collect(),
        Series::Object(values) => values,
        _ => Vec::new(),
    }
}
