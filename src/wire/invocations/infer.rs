//! `pandas._libs.lib.maybe_convert_objects`: the dtype that pandas gives a column of values.

use num_traits::ToPrimitive as _;

use super::frame::Series;
use super::value::Value;

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
    object: bool,
}

/// Gives a column of Python values its numpy dtype.
#[must_use]
pub fn infer(values: Vec<Value>) -> Series {
    let mut seen = Seen::default();
    for value in &values {
        match value {
            Value::None => seen.none = true,
            Value::Bool(_) => seen.bool = true,
            Value::Int(value) => {
                seen.int = true;
                seen.negative |= *value < 0;
            }
            Value::BigInt(value) if value.to_u64().is_some() => seen.wide_int = true,
            Value::Float(value) if value.is_nan() => seen.nan = true,
            Value::Float(_) => seen.float = true,
            _ => seen.object = true,
        }
    }
    let missing = seen.none || seen.nan;
    let integer = seen.int || seen.wide_int;
    if seen.object || (seen.bool && (integer || seen.float || missing)) {
        return Series::Object(values);
    }
    if seen.bool {
        return Series::Bool(values.iter().map(Value::truthy).collect());
    }
    if seen.float || seen.nan || (integer && seen.none) {
        let floats = values.iter().map(|value| value.to_float().unwrap_or(f64::NAN));
        return Series::F64(floats.collect());
    }
    if !integer || (seen.wide_int && seen.negative) {
        return Series::Object(values);
    }
    if seen.wide_int {
        let wide = values.iter().map(|value| match value {
            Value::BigInt(value) => value.to_u64().unwrap_or_default(),
            Value::Int(value) => *value as u64,
            _ => 0,
        });
        return Series::U64(wide.collect());
    }
    let ints = values.iter().map(|value| if let Value::Int(v) = value { *v } else { 0 });
    Series::I64(ints.collect())
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
            ("[18446744073709551616, 1.5]", "object"),
            ("[[1]]", "object"),
        ] {
            let Ok(Value::List(values)) = json::parse(json.as_bytes()) else { panic!("{json}") };
            assert_eq!(infer(values).dtype_name(), dtype, "{json}");
        }
    }
}
