//! One CSV field as a number or a boolean, by the rules of pandas' C parser.
//!
//! Its float reader rounds more than once, so its last digit may differ from the nearest double;
//! users of MLflow get that digit, hence so do ours.

use std::sync::LazyLock;

/// Why a field is no integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotInteger {
    /// Its digits are more than the type holds.
    Overflow,
    /// It is something else.
    Invalid,
}

/// The field as `int64`.
pub(super) fn int64(field: &[u8]) -> Result<i64, NotInteger> {
    let field = trim_start(field);
    let (negative, field) = sign(field);
    let (digits, rest) = leading_digits(field);
    if digits.is_empty() {
        return Err(NotInteger::Invalid);
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let next = value.checked_mul(10);
        let next = if negative {
            next.and_then(|value| value.checked_sub(digit))
        } else {
            next.and_then(|value| value.checked_add(digit))
        };
        value = next.ok_or(NotInteger::Overflow)?;
    }
    if trim_start(rest).is_empty() { Ok(value) } else { Err(NotInteger::Invalid) }
}

/// The field as `uint64`; `None` is a field with a minus sign, whatever follows it.
pub(super) fn uint64(field: &[u8]) -> Result<Option<u64>, NotInteger> {
    let field = trim_start(field);
    if field.first() == Some(&b'-') {
        return Ok(None);
    }
    let (digits, rest) = leading_digits(field.strip_prefix(b"+").unwrap_or(field));
    if digits.is_empty() {
        return Err(NotInteger::Invalid);
    }
    let mut value = 0_u64;
    for digit in digits {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or(NotInteger::Overflow)?;
    }
    if trim_start(rest).is_empty() { Ok(Some(value)) } else { Err(NotInteger::Invalid) }
}

/// The field as `float64`. Only the words for infinity are known by name; `nan` is a missing value
/// and never gets here.
pub(super) fn float64(field: &[u8]) -> Option<f64> {
    decimal(field).or_else(|| {
        let (negative, word) = sign(field);
        let infinite = word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity");
        infinite.then_some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
    })
}

/// The field as `bool`.
pub(super) fn boolean(field: &[u8]) -> Option<bool> {
    if field.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if field.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// Whether the field is one of pandas' words for a missing value.
pub(super) fn is_missing(field: &str) -> bool {
    // The longest of them has 8 bytes; most fields are not even looked at.
    field.len() <= 8
        && matches!(
            field,
            "" | "#N/A"
                | "#N/A N/A"
                | "#NA"
                | "-1.#IND"
                | "-1.#QNAN"
                | "-NaN"
                | "-nan"
                | "1.#IND"
                | "1.#QNAN"
                | "<NA>"
                | "N/A"
                | "NA"
                | "NULL"
                | "NaN"
                | "None"
                | "n/a"
                | "nan"
                | "null"
        )
}

/// Digits of a significand, and of an exponent, that pandas looks at.
const DIGITS_MAX: usize = 17;

/// `1e0` to `1e308`, each the nearest double.
static POWERS_OF_TEN: LazyLock<Vec<f64>> = LazyLock::new(|| {
    (0..=308)
        .map(|exponent| format!("1e{exponent}").parse().expect("a literal of Rust's own grammar"))
        .collect()
});

/// A decimal number with blanks around it. Infinite results are refused.
fn decimal(field: &[u8]) -> Option<f64> {
    let (negative, rest) = sign(trim_start(field));
    let (whole, mut rest) = leading_digits(rest);
    let mut number = 0.0;
    for digit in whole.iter().take(DIGITS_MAX) {
        number = number * 10.0 + f64::from(digit - b'0');
    }
    let mut digits = whole.len().min(DIGITS_MAX);
    let mut exponent = i32::try_from(whole.len() - digits).ok()?;
    if let Some(after_point) = rest.strip_prefix(b".") {
        let (fraction, after_fraction) = leading_digits(after_point);
        for digit in fraction.iter().take(DIGITS_MAX - digits) {
            number = number * 10.0 + f64::from(digit - b'0');
            digits += 1;
            exponent -= 1;
        }
        rest = after_fraction;
    }
    if digits == 0 {
        return None;
    }
    if negative {
        number = -number;
    }
    if let Some(after_e) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let (negative, after_sign) = sign(after_e);
        let (digits, after_digits) = leading_digits(after_sign);
        if digits.is_empty() || digits.len() > DIGITS_MAX {
            return None;
        }
        // pandas counts in an int, which wraps.
        let written = digits.iter().fold(0_i32, |value, digit| {
            value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'))
        });
        exponent =
            if negative { exponent.wrapping_sub(written) } else { exponent.wrapping_add(written) };
        rest = after_digits;
    }
    let number = scale(number, exponent)?;
    trim_start(rest).is_empty().then_some(number)
}

/// `number * 10^exponent` in pandas' order of operations; `None` is an overflow.
fn scale(number: f64, exponent: i32) -> Option<f64> {
    let power = |exponent: u32| POWERS_OF_TEN[exponent as usize];
    let scaled = match exponent {
        309.. => return None,
        0..=308 => number * power(exponent.unsigned_abs()),
        -308..=-1 => number / power(exponent.unsigned_abs()),
        -616..=-309 => number / power(exponent.unsigned_abs() - 308) / power(308),
        ..=-617 => 0.0,
    };
    scaled.is_finite().then_some(scaled)
}

fn trim_start(field: &[u8]) -> &[u8] {
    let blanks = field.iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    &field[blanks..]
}

fn sign(field: &[u8]) -> (bool, &[u8]) {
    match field.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, field),
    }
}

fn leading_digits(field: &[u8]) -> (&[u8], &[u8]) {
    let length = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
    field.split_at(length)
}
