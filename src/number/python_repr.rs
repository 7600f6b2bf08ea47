//! Python's text form of a float: `float.__repr__`, which `json.dumps` and `str` print too.
//!
//! The digits are the shortest that read back as the same double, the closest of them to its
//! exact value. Notation is fixed for `1e-4 <= |x| < 1e16`, else an exponent with a sign and at
//! least two digits; a float always shows that it is one (`1.0`, `1e+16`, `-0.0`).
//!
//! `zmij` finds the digits and, in the common range, lays them out as Python does. Outside it only
//! the exponent differs, so the text is patched instead of printed anew. Nothing is allocated but
//! the room that `out` lacks.

use std::ops::Range;

/// Magnitudes that Python prints in fixed notation (and zero, which it does too).
const FIXED: Range<f64> = 1e-4..1e16;

/// The leading zeros of the one decade that zmij prints in fixed notation and Python does not.
const FIXED_ONLY_IN_ZMIJ: &str = "0.0000";

/// Appends `value` as `json.dumps` prints it: `NaN`, `Infinity`, `-Infinity` stand bare.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        write_finite(out, value);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value > 0.0 {
        out.extend_from_slice(b"Infinity");
    } else {
        out.extend_from_slice(b"-Infinity");
    }
}

/// Appends `value` as `str(value)` prints it, which differs only in `nan`, `inf` and `-inf`.
pub fn write_f64_str(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        write_finite(out, value);
    } else if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value > 0.0 {
        out.extend_from_slice(b"inf");
    } else {
        out.extend_from_slice(b"-inf");
    }
}

fn write_finite(out: &mut Vec<u8>, value: f64) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    let magnitude = value.abs();
    if FIXED.contains(&magnitude) || magnitude == 0.0 {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_scientific(out, text);
    }
}

/// Appends zmij's `text` with Python's exponent.
fn write_scientific(out: &mut Vec<u8>, text: &str) {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.len() < text.len() {
        out.push(b'-');
    }
    if let Some(digits) = unsigned.strip_prefix(FIXED_ONLY_IN_ZMIJ) {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        out.extend_from_slice(b"e-05");
        return;
    }
    let (significand, exponent) =
        unsigned.split_once('e').expect("zmij prints an exponent outside its fixed range");
    out.extend_from_slice(significand.as_bytes());
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (b'-', digits),
        None => (b'+', exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    out.extend_from_slice(&[b'e', sign]);
    if digits.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(digits.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{write_f64, write_f64_str};

    /// `<bits in hex> <repr>` a line, recorded from Python by `tests/fixtures/number/record.py`.
    const RECORDED: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/number/python_repr.txt"));

    fn json(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn str_of(value: f64) -> String {
        let mut out = Vec::new();
        write_f64_str(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// The layout rules, checked on the text alone.
    fn assert_python_layout(text: &str) {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let value: f64 = unsigned.parse().unwrap();
        if value == 0.0 || (1e-4..1e16).contains(&value) {
            let (whole, fraction) = unsigned.split_once('.').expect("a fixed float has a point");
            assert!(whole == "0" || !whole.starts_with('0'), "{text}");
            assert!(fraction == "0" || !fraction.ends_with('0'), "{text}");
            assert!(!text.contains('e'), "{text}");
            return;
        }
        let (significand, exponent) = unsigned.split_once('e').expect("an exponent");
        let digits = exponent.strip_prefix(['+', '-']).expect("a signed exponent");
        assert!(digits.len() == 2 || digits.len() == 3 && !digits.starts_with('0'), "{text}");
        let (first, rest) = significand.split_once('.').unwrap_or((significand, "1"));
        assert!(first.len() == 1 && first != "0", "{text}");
        assert!(!rest.is_empty() && !rest.ends_with('0'), "{text}");
    }

    #[test]
    fn prints_what_python_prints() {
        let mut checked = 0;
        for line in RECORDED.lines() {
            let (bits, expected) = line.split_once(' ').unwrap();
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(json(value), expected, "bits {bits}");
            if value.is_finite() {
                assert_eq!(str_of(value), expected, "bits {bits}");
            }
            checked += 1;
        }
        assert!(checked > 3_000, "the recording is complete: {checked}");
    }

    #[test]
    fn specials_differ_between_json_and_str() {
        let specials = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(specials.map(json), ["NaN", "NaN", "Infinity", "-Infinity"]);
        assert_eq!(specials.map(str_of), ["nan", "nan", "inf", "-inf"]);
    }

    #[test]
    fn appends_to_what_is_there() {
        let mut out = b"[".to_vec();
        write_f64(&mut out, 0.1);
        out.extend_from_slice(b", ");
        write_f64_str(&mut out, -1e-5);
        assert_eq!(out, b"[0.1, -1e-05");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn reads_back_as_the_same_double(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = json(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
            assert_python_layout(&text);
        }

        #[test]
        fn reads_back_near_the_change_of_notation(
            digits in 1..100_000_000_000_000_000_u64, exponent in -24..4_i32, negative: bool,
        ) {
            let value: f64 = format!("{digits}e{exponent}").parse().unwrap();
            let value = if negative { -value } else { value };
            let text = json(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            assert_python_layout(&text);
        }
    }
}
