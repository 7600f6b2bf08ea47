//! `pandas._libs.lib.maybe_convert_objects`: the dtype that pandas gives a column of values.

use num_traits::ToPrimitive as _;

use super::frame::Series;
use super::value::Value;

/// pandas holds every integer as a double while it looks at a column, and cannot hold this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected numbers that a double can hold, got an integer out of range")]
pub struct IntegerTooLarge;

impl From<IntegerTooLarge> for String {
    fn from(error: IntegerTooLarge) -> Self {
        error.to_string()
    }
}

/// Which kinds of value a column holds.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "which kinds of value occur")]
struct Seen {
    none: bool,
    nan: bool,
    bool: bool,
    int: bool,
    negative: bool,
    wide_int: bool,
    float: bool,
}

/// Gives a column of Python values its numpy dtype.
///
/// # Errors
/// When an integer beyond the doubles comes before pandas gives up looking for a dtype.
pub fn infer(values: Vec<Value>) -> Result<Series, IntegerTooLarge> {
    let mut seen = Seen::default();
    for value in &values {
        // The first value that only an object column holds ends the search.
        if !seen.includes(value)? {
            return Ok(Series::Object(values));
        }
    }
    let missing = seen.none || seen.nan;
    if seen.bool && (seen.int || seen.float || missing) {
        return Ok(Series::Object(values));
    }
    if seen.bool {
        return Ok(Series::Bool(values.iter().map(Value::truthy).collect()));
    }
    if seen.float || seen.nan || (seen.int && seen.none) {
        let floats = values.iter().map(|value| value.to_float().unwrap_or(f64::NAN));
        return Ok(Series::F64(floats.collect()));
    }
    if !seen.int {
        return Ok(Series::Object(values));
    }
    if seen.wide_int {
        let wide = values.iter().map(|value| match value {
            Value::BigInt(value) => value.to_u64().unwrap_or_default(),
            Value::Int(value) => *value as u64,
            _ => 0,
        });
        return Ok(Series::U64(wide.collect()));
    }
    let ints = values.iter().map(|value| if let Value::Int(v) = value { *v } else { 0 });
    Ok(Series::I64(ints.collect()))
}

impl Seen {
    /// Counts a value in; false where only an object column holds it beside those before.
    fn includes(&mut self, value: &Value) -> Result<bool, IntegerTooLarge> {
        match value {
            Value::None => self.none = true,
            Value::Bool(_) => self.bool = true,
            Value::Int(value) => {
                self.int = true;
                self.negative |= *value < 0;
            }
            Value::BigInt(value) => {
                if value.to_f64().is_none_or(f64::is_infinite) {
                    return Err(IntegerTooLarge);
                }
                self.int = true;
                self.wide_int = true;
                // After a null the column can only be of doubles, which hold it.
                if value.to_u64().is_none() && !self.none {
                    return Ok(false);
                }
            }
            Value::Float(value) if value.is_nan() => self.nan = true,
            Value::Float(_) => self.float = true,
            _ => return Ok(false),
        }
        Ok(self.none || !(self.wide_int && self.negative))
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn dtypes_are_pandas() {
        for (json, dtype) in [
            ("[1, 2]", "int64"),
            ("[1, null]", "float64"),
            ("[1, 2.5]", "float64"),
            ("[1, NaN]", "float64"),
            ("[null, NaN]", "float64"),
            ("[null]", "object"),
            ("[]", "object"),
            ("[true, false]", "bool"),
            ("[true, null]", "object"),
            ("[true, 1]", "object"),
            ("[true, NaN]", "object"),
            ("[\"a\", 1]", "object"),
            ("[9223372036854775808, 1]", "uint64"),
            ("[9223372036854775808, -1]", "object"),
            ("[9223372036854775808, 1.5]", "float64"),
            ("[9223372036854775808, null]", "float64"),
            ("[9223372036854775808, -1, null]", "object"),
            ("[null, 9223372036854775808, -1]", "float64"),
            ("[18446744073709551616, 1.5]", "object"),
            ("[18446744073709551616, null]", "object"),
            ("[null, 18446744073709551616]", "float64"),
            ("[null, -9223372036854775809, true]", "object"),
            ("[[1]]", "object"),
        ] {
            let Ok(Value::List(values)) = json::parse(json.as_bytes()) else { panic!("{json}") };
            assert_eq!(infer(values).unwrap().dtype_name(), dtype, "{json}");
        }
    }

    #[test]
    fn integers_beyond_the_doubles_are_refused_unless_an_object_comes_first() {
        let huge = format!("1{}", "0".repeat(400));
        for (json, refused) in [
            (format!("[{huge}]"), true),
            (format!("[1, {huge}]"), true),
            (format!("[null, {huge}]"), true),
            (format!("[{huge}, \"a\"]"), true),
            (format!("[\"a\", {huge}]"), false),
            (format!("[[1], {huge}]"), false),
            (format!("[18446744073709551616, {huge}]"), false),
        ] {
            let Ok(Value::List(values)) = json::parse(json.as_bytes()) else { panic!("{json}") };
            assert_eq!(infer(values).is_err(), refused, "{json}");
        }
    }
}
