//! A column's fields, tried as one type at a time, in pandas' order.

use super::super::value::Value;
use super::number::{self, NotInteger};

/// Fields as numbers of one type, before missing values find their final form.
#[derive(Debug)]
pub(super) enum Parsed {
    /// [`MISSING_INT`] where missing. A field of that very value counts as missing too if others
    /// are.
    Int(Vec<i64>),
    Uint(Vec<u64>),
    /// NaN where missing.
    Float(Vec<f64>),
    /// `None` where missing.
    Bool(Vec<Option<bool>>),
    /// Text, and NaN where missing.
    Text(Vec<Value>),
}

/// pandas' mark for a missing integer.
pub(super) const MISSING_INT: i64 = i64::MIN;

/// Values and how many of them are missing.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) values: Parsed,
    pub(super) missing: usize,
}

/// Why a column that starts as integers cannot become numbers at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooBig {
    /// More digits than `uint64` has, or than `int64` has below zero.
    Overflow,
    /// Some values need `uint64`, which has room for neither a sign nor a missing value.
    Conflict,
}

/// The fields as integers; `None` when one of them is something else.
pub(super) fn integers<'a>(
    fields: impl Iterator<Item = &'a str> + Clone,
) -> Result<Option<Column>, TooBig> {
    let mut missing = 0;
    let mut values = Vec::with_capacity(fields.size_hint().0);
    for field in fields.clone() {
        if number::is_missing(field) {
            missing += 1;
            values.push(MISSING_INT);
            continue;
        }
        match number::int64(field.as_bytes()) {
            Ok(value) => values.push(value),
            Err(NotInteger::Invalid) => return Ok(None),
            Err(NotInteger::Overflow) => return unsigned(fields),
        }
    }
    Ok(Some(Column { values: Parsed::Int(values), missing }))
}

fn unsigned<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Option<Column>, TooBig> {
    let (mut big, mut negative, mut missing) = (false, false, false);
    let mut values = Vec::with_capacity(fields.size_hint().0);
    for field in fields {
        if number::is_missing(field) {
            missing = true;
            values.push(0);
            continue;
        }
        match number::uint64(field.as_bytes()) {
            Ok(Some(value)) => {
                big |= i64::try_from(value).is_err();
                values.push(value);
            }
            Ok(None) => {
                negative = true;
                values.push(0);
            }
            Err(NotInteger::Invalid) => return Ok(None),
            Err(NotInteger::Overflow) => return Err(TooBig::Overflow),
        }
    }
    if big && (negative || missing) {
        return Err(TooBig::Conflict);
    }
    if negative {
        return Err(TooBig::Overflow);
    }
    Ok(Some(Column { values: Parsed::Uint(values), missing: 0 }))
}

/// The fields as floats; `None` when one of them is something else.
pub(super) fn floats<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Column> {
    let mut missing = 0;
    let values = fields
        .map(|field| {
            if number::is_missing(field) {
                missing += 1;
                return Some(f64::NAN);
            }
            number::float64(field.as_bytes())
        })
        .collect::<Option<_>>()?;
    Some(Column { values: Parsed::Float(values), missing })
}

/// The fields as booleans; `None` when one of them is something else.
pub(super) fn booleans<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Column> {
    let mut missing = 0;
    let values = fields
        .map(|field| {
            if number::is_missing(field) {
                missing += 1;
                return Some(None);
            }
            number::boolean(field.as_bytes()).map(Some)
        })
        .collect::<Option<_>>()?;
    Some(Column { values: Parsed::Bool(values), missing })
}

/// The fields as text.
pub(super) fn text<'a>(fields: impl Iterator<Item = &'a str>) -> Column {
    let mut missing = 0;
    let values = fields
        .map(|field| {
            if number::is_missing(field) {
                missing += 1;
                return Value::Float(f64::NAN);
            }
            Value::Str(field.to_owned())
        })
        .collect();
    Column { values: Parsed::Text(values), missing }
}

/// The type that fits: integers, else floats, else booleans, else text.
pub(super) fn infer<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> Column {
    match integers(fields.clone()) {
        Ok(Some(column)) => return column,
        Ok(None) => {}
        Err(TooBig::Overflow) => return text(fields),
        // Even the words for a missing value stay text then.
        Err(TooBig::Conflict) => {
            let values = fields.map(|field| Value::Str(field.to_owned())).collect();
            return Column { values: Parsed::Text(values), missing: 0 };
        }
    }
    floats(fields.clone()).or_else(|| booleans(fields.clone())).unwrap_or_else(|| text(fields))
}
