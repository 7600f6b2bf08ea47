//! Python values: what `json.loads` makes of a body, and what the cells of an object column hold.
//!
//! The conversions (`int(x)`, `float(x)`, `bool(x)`, `str(x)`, `repr(x)`) are Python's own; every
//! coercion rule of the protocol rests on them.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDate};
use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::number_text::{parse_float, parse_int};
use crate::number::write_f64_str;

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    BigInt(Box<BigInt>),
    Float(f64),
    Str(String),
    /// A string with lone surrogates, each replaced by U+FFFD. Legal in JSON, not in a tensor.
    Surrogates(String),
    Bytes(Vec<u8>),
    /// `datetime.date`, from a Parquet file.
    Date(NaiveDate),
    /// A value of a Python type that no model input takes (`Timestamp`, `Decimal`, ...), by name.
    Other(&'static str),
    List(Vec<Value>),
    /// A numpy array inside a cell: a list to every rule, but for how it prints.
    Array(Vec<Value>),
    /// A numpy array of rank 0 inside a cell: it converts as its element does, but neither
    /// pandas nor the schema takes it for a scalar.
    ZeroRank(Box<Value>),
    /// Keys in order of first appearance, each once (the last value wins).
    Dict(Vec<(String, Value)>),
}

/// Why a value does not convert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotConvertible {
    /// `int()` or `float()` of something that is neither a number nor the text of one.
    Type,
    /// The number does not fit the wanted type.
    Range,
}

impl Value {
    /// The JSON type's name, for messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Str(_) | Self::Surrogates(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "a date",
            Self::Other(name) => name,
            Self::List(_) | Self::Array(_) => "an array",
            Self::ZeroRank(_) => "a bare value",
            Self::Dict(_) => "an object",
        }
    }

    /// `numpy.isscalar(x)`: numbers, booleans, strings and bytes; not null.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        !matches!(
            self,
            Self::None
                | Self::List(_)
                | Self::Array(_)
                | Self::ZeroRank(_)
                | Self::Dict(_)
                | Self::Date(_)
                | Self::Other(_)
        )
    }

    /// `pandas.isnull(x)` of a cell: null or NaN.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::None => true,
            Self::Float(value) => value.is_nan(),
            _ => false,
        }
    }

    /// The member of that name, of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(members) => {
                members.iter().find_map(|(name, value)| (name == key).then_some(value))
            }
            _ => None,
        }
    }

    /// `bool(x)`.
    #[must_use]
    pub fn truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::BigInt(_) | Self::Date(_) | Self::Other(_) => true,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) | Self::Surrogates(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(items) | Self::Array(items) => !items.is_empty(),
            Self::ZeroRank(element) => element.truthy(),
            Self::Dict(members) => !members.is_empty(),
        }
    }

    /// `float(x)`, with null as NaN (numpy's rule for floating element types).
    ///
    /// # Errors
    /// When the value is no number and no text of one, or an integer beyond the doubles.
    pub fn to_float(&self) -> Result<f64, NotConvertible> {
        match self {
            Self::None => Ok(f64::NAN),
            Self::Bool(value) => Ok(f64::from(u8::from(*value))),
            Self::Int(value) => Ok(*value as f64),
            Self::BigInt(value) => {
                value.to_f64().filter(|float| float.is_finite()).ok_or(NotConvertible::Range)
            }
            Self::Float(value) => Ok(*value),
            Self::Str(text) => parse_float(text).ok_or(NotConvertible::Type),
            Self::Bytes(bytes) => {
                std::str::from_utf8(bytes).ok().and_then(parse_float).ok_or(NotConvertible::Type)
            }
            Self::ZeroRank(element) => element.to_float(),
            Self::Surrogates(_)
            | Self::Date(_)
            | Self::Other(_)
            | Self::List(_)
            | Self::Array(_)
            | Self::Dict(_) => Err(NotConvertible::Type),
        }
    }

    /// `int(x)`: floats are truncated toward zero.
    ///
    /// # Errors
    /// When the value is no number (NaN and infinities included) and no text of an integer.
    pub fn to_int(&self) -> Result<BigInt, NotConvertible> {
        match self {
            Self::Bool(value) => Ok(BigInt::from(u8::from(*value))),
            Self::Int(value) => Ok(BigInt::from(*value)),
            Self::BigInt(value) => Ok((**value).clone()),
            Self::Float(value) => {
                num_traits::FromPrimitive::from_f64(value.trunc()).ok_or(NotConvertible::Type)
            }
            Self::Str(text) => parse_int(text).ok_or(NotConvertible::Type),
            Self::Bytes(bytes) => {
                std::str::from_utf8(bytes).ok().and_then(parse_int).ok_or(NotConvertible::Type)
            }
            Self::ZeroRank(element) => element.to_int(),
            Self::None
            | Self::Surrogates(_)
            | Self::Date(_)
            | Self::Other(_)
            | Self::List(_)
            | Self::Array(_)
            | Self::Dict(_) => Err(NotConvertible::Type),
        }
    }

    /// `str(x)`; `None` where the text has lone surrogates and so no UTF-8 form.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.clone()),
            Self::Surrogates(_) => None,
            Self::Date(date) => Some(date.to_string()),
            Self::ZeroRank(element) => element.to_text(),
            _ => {
                let mut text = String::new();
                self.write_repr(&mut text)?;
                Some(text)
            }
        }
    }

    /// Appends `repr(x)`; `None` where it has no UTF-8 form.
    fn write_repr(&self, out: &mut String) -> Option<()> {
        match self {
            Self::None => out.push_str("None"),
            Self::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
            Self::Int(value) => write!(out, "{value}").ok()?,
            Self::BigInt(value) => write!(out, "{value}").ok()?,
            Self::Float(value) => {
                let mut digits = Vec::with_capacity(24);
                write_f64_str(&mut digits, *value);
                out.extend(digits.into_iter().map(char::from));
            }
            Self::Str(text) => write_str_repr(text, out),
            // Python's repr would escape the surrogate; we no longer know which one it was.
            Self::Surrogates(_) | Self::ZeroRank(_) | Self::Other(_) => return None,
            Self::Bytes(bytes) => write_bytes_repr(bytes, out),
            Self::Date(date) => {
                let (year, month, day) = (date.year(), date.month(), date.day());
                write!(out, "datetime.date({year}, {month}, {day})").ok()?;
            }
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write_repr(out)?;
                }
                out.push(']');
            }
            Self::Array(items) => write_array_text(items, out)?,
            Self::Dict(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    write_str_repr(key, out);
                    out.push_str(": ");
                    value.write_repr(out)?;
                }
                out.push('}');
            }
        }
        Some(())
    }
}

/// `str()` of a numpy array of one dimension: items apart by blanks, in lines of 75 characters,
/// with only the ends of a long one.
fn write_array_text(items: &[Value], out: &mut String) -> Option<()> {
    const LINE_MAX: usize = 74;
    const SHOWN_MAX: usize = 1000;
    const EDGE: usize = 3;
    let repr = |item: &Value| {
        let mut text = String::new();
        item.write_repr(&mut text).map(|()| text)
    };
    let words = if items.len() > SHOWN_MAX {
        let (head, tail) = (&items[..EDGE], &items[items.len() - EDGE..]);
        let ends = head.iter().map(repr).chain([Some("...".into())]).chain(tail.iter().map(repr));
        ends.collect::<Option<Vec<_>>>()?
    } else {
        items.iter().map(repr).collect::<Option<Vec<_>>>()?
    };
    out.push('[');
    let mut width = 1;
    for (i, word) in words.iter().enumerate() {
        let length = word.chars().count();
        if width + length > LINE_MAX && width > 1 {
            out.truncate(out.trim_end_matches(' ').len());
            out.push_str("\n ");
            width = 1;
        }
        out.push_str(word);
        width += length;
        if i + 1 < words.len() {
            out.push(' ');
            width += 1;
        }
    }
    out.push(']');
    Some(())
}

/// `repr()` of a string: single quotes unless only those occur inside; escapes as Python's.
fn write_str_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

fn write_bytes_repr(bytes: &[u8], out: &mut String) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x20..=0x7e if char::from(byte) != quote => out.push(char::from(byte)),
            0x20..=0x7e => {
                out.push('\\');
                out.push(quote);
            }
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_pythons() {
        let nested = Value::Dict(vec![
            ("a".into(), Value::List(vec![Value::Float(1e20), Value::Str("it's".into())])),
            ("b".into(), Value::None),
        ]);
        assert_eq!(nested.to_text().unwrap(), r#"{'a': [1e+20, "it's"], 'b': None}"#);
        let array = Value::Array(vec![Value::Str("a".into()), Value::Str(String::new())]);
        assert_eq!(array.to_text().unwrap(), "['a' '']");
        assert_eq!(Value::Bool(true).to_text().unwrap(), "True");
        assert_eq!(Value::Surrogates("x".into()).to_text(), None);
    }
}
