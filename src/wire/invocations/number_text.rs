//! Numbers in text, as Python's `int(text)` and `float(text)` read them.

use num_bigint::BigInt;

/// `int(text)` in base 10: blanks around, a sign, digits of any script, single underscores
/// between digits.
#[must_use]
pub fn parse_int(text: &str) -> Option<BigInt> {
    let plain = plain_number(text)?;
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || digits.len() > 4300 {
        return None;
    }
    plain.parse().ok()
}

/// `float(text)`: blanks around, a sign, digits of any script with single underscores between
/// them, a fraction, an exponent; or `inf`, `infinity`, `nan` in any case.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let plain = plain_number(text)?;
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let is_word = ["inf", "infinity", "nan"].iter().any(|w| unsigned.eq_ignore_ascii_case(w));
    // Rust's grammar equals Python's here, but for the words, which are checked by name.
    if !is_word && !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    plain.parse().ok()
}

/// Strips blanks, drops underscores that stand between two digits, and turns decimal digits of
/// other scripts into ASCII. `None` if an underscore stands elsewhere.
fn plain_number(text: &str) -> Option<String> {
    let trimmed = text.trim_matches(is_python_space);
    let mut plain = String::with_capacity(trimmed.len());
    let mut chars = trimmed.chars().map(ascii_digit).peekable();
    while let Some(c) = chars.next() {
        if c == '_' {
            let after_digit = plain.ends_with(|c: char| c.is_ascii_digit());
            let before_digit = chars.peek().is_some_and(char::is_ascii_digit);
            if !(after_digit && before_digit) {
                return None;
            }
        } else {
            plain.push(c);
        }
    }
    Some(plain)
}

fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// The ASCII digit of the same value, for decimal digits (Unicode category Nd); others as is.
fn ascii_digit(c: char) -> char {
    /// The zeros of every Nd run in Unicode 14, Python 3.11's version; runs have ten digits.
    const ZEROS: [u32; 65] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
        0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
        0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
        0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
        0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
        0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
    ];
    let code = c as u32;
    if code < 0x660 {
        return c;
    }
    let run = ZEROS.partition_point(|&zero| zero <= code);
    match run.checked_sub(1).map(|i| code - ZEROS[i]) {
        Some(digit @ 0..10) => char::from(b'0' + digit as u8),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_parse_as_python_does() {
        for (text, want) in [
            ("1", Some(1.0)),
            (" 1.5 ", Some(1.5)),
            ("1_000.5", Some(1000.5)),
            ("１２", Some(12.0)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-INF", Some(f64::NEG_INFINITY)),
            ("1e400", Some(f64::INFINITY)),
            ("", None),
            ("_1", None),
            ("1__0", None),
            ("0x10", None),
            ("infin", None),
            ("e5", None),
            ("- 1", None),
        ] {
            assert_eq!(parse_float(text), want, "{text:?}");
        }
        assert!(parse_float("nan").unwrap().is_nan());
        assert_eq!(parse_int(" +1_0 "), Some(BigInt::from(10)));
        assert_eq!(parse_int("1.0"), None);
        assert_eq!(parse_int(""), None);
    }
}
