//! A reader of JSON bytes that checks the grammar as it goes. Every method answers `None` for
//! what is invalid or unusual.

use crate::number::{take_digits, to_f64};

/// Where the reader stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    /// What has not been read.
    rest: &'a [u8],
}

/// A cell: what a column's value may be.
/// Flat, and made in one place each: an enum within an enum is copied from half to half, at twice
/// the cost of reading a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// An integer literal that fits `i64`.
    Int(i64),
    /// Any other number.
    Float(f64),
    Bool(bool),
    Null,
    Text(&'a str),
}

/// Most decimal digits that always fit `u64`.
const MANTISSA_DIGITS_MAX: usize = 19;

impl<'a> Cursor<'a> {
    /// Starts at the first byte. `None` where the bytes may be another encoding than UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let plain =
            bytes.first().is_some_and(|first| matches!(first, b'{' | b' ' | b'\n' | b'\r' | b'\t'))
                && !bytes.iter().take(4).any(|byte| *byte == 0);
        plain.then_some(Self { rest: bytes })
    }

    /// Bytes that have not been read.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        // Most bytes are none, which one comparison tells.
        while let [byte @ ..=b' ', rest @ ..] = self.rest {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return;
            }
            self.rest = rest;
        }
    }

    /// Skips blanks and takes `byte`.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Skips blanks and takes `byte` if it is next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest {
            [next, rest @ ..] if *next == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes these very bytes if they are next.
    #[inline]
    pub(super) fn take_bytes(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// After an item: `Some(true)` when another follows, `Some(false)` at the `close`.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Option<bool> {
        self.skip_blanks();
        let (next, rest) = self.rest.split_first()?;
        self.rest = rest;
        match *next {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// Whether only blanks are left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    /// A string without escapes, control characters or invalid UTF-8.
    pub(super) fn plain_string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// Takes a member's name and its colon if it is `name`, written without an escape.
    #[inline]
    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let mut ahead = self.clone();
        let taken = ahead.take(b'"')
            && ahead.take_bytes(name.as_bytes())
            && ahead.take_bytes(b"\"")
            && ahead.take(b':');
        if taken {
            *self = ahead;
        }
        taken
    }

    /// A member's name and its colon.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let name = self.plain_string()?;
        self.expect(b':')?;
        Some(name)
    }

    fn word<T>(&mut self, word: &[u8], value: T) -> Option<T> {
        self.take_bytes(word).then_some(value)
    }

    /// A number, boolean, null or plain string.
    #[inline]
    pub(super) fn cell(&mut self) -> Option<Cell<'a>> {
        self.skip_blanks();
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.other_cell(),
        }
    }

    #[inline(never)]
    fn other_cell(&mut self) -> Option<Cell<'a>> {
        match self.peek()? {
            b'"' => self.plain_string().map(Cell::Text),
            b't' => self.word(b"true", Cell::Bool(true)),
            b'f' => self.word(b"false", Cell::Bool(false)),
            b'n' => self.word(b"null", Cell::Null),
            b'N' => self.word(b"NaN", Cell::Float(f64::NAN)),
            _ => None,
        }
    }

    /// A JSON number: integers and plain decimals at once, the others as a whole.
    #[inline]
    fn number(&mut self) -> Option<Cell<'a>> {
        let token = self.rest;
        let is_negative = token.first() == Some(&b'-');
        let start = usize::from(is_negative);
        let (mantissa, end) = few_digits(token, start);
        if end == start || (token[start] == b'0' && end - start > 1) {
            return None;
        }
        match token.get(end) {
            Some(b'.') => match self.decimal(mantissa, start, end) {
                // Without a branch: half of many models' numbers are negative.
                Some(value) => Some(Cell::Float(if_negated(value, is_negative))),
                None => self.long_number(),
            },
            Some(b'e' | b'E') => self.long_number(),
            _ if end - start > MANTISSA_DIGITS_MAX => self.long_number(),
            _ => {
                self.rest = &token[end..];
                let value = i64::try_from(mantissa).ok()?;
                Some(Cell::Int(if is_negative { -value } else { value }))
            }
        }
    }

    /// The magnitude of a decimal without an exponent: `whole` is what was read from `start` up to
    /// the point. `None`, and nothing taken, where it is another number or none.
    #[inline(never)]
    fn decimal(&mut self, whole: u64, start: usize, point: usize) -> Option<f64> {
        let fraction = self.rest.get(point + 1..)?;
        let (mantissa, rest) = take_digits(whole, fraction);
        let fraction_digits = fraction.len() - rest.len();
        let is_plain = fraction_digits > 0
            && point - start + fraction_digits <= MANTISSA_DIGITS_MAX
            && !matches!(rest, [b'e' | b'E', ..]);
        let value = is_plain.then(|| to_f64(mantissa, -(fraction_digits as i32))).flatten()?;
        self.rest = rest;
        Some(value)
    }

    /// A number of any form.
    #[cold]
    fn long_number(&mut self) -> Option<Cell<'a>> {
        let token = self.rest;
        let (negative, first) = match token {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, token),
        };
        let (mut mantissa, mut rest) = take_digits(0, first);
        let mut digits = first.len() - rest.len();
        let mut exponent = 0_i32;
        let mut is_int = true;
        if let [b'.', fraction @ ..] = rest {
            (mantissa, rest) = take_digits(mantissa, fraction);
            let fraction_digits = fraction.len() - rest.len();
            if fraction_digits == 0 {
                return None;
            }
            is_int = false;
            digits += fraction_digits;
            exponent = -i32::try_from(fraction_digits).ok()?;
        }
        if let [b'e' | b'E', after @ ..] = rest {
            is_int = false;
            let shift;
            (shift, rest) = exponent_of(after)?;
            exponent = exponent.checked_add(shift)?;
        }
        self.rest = rest;
        let value = (!is_int && digits <= MANTISSA_DIGITS_MAX)
            .then(|| to_f64(mantissa, exponent))
            .flatten();
        match value {
            Some(value) => Some(Cell::Float(if negative { -value } else { value })),
            None => slow_number(&token[..token.len() - rest.len()], is_int),
        }
    }

    /// Counts the items of a flat list of cells, such as an index.
    pub(super) fn count_cells(&mut self) -> Option<usize> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(0);
        }
        let mut count = 0;
        loop {
            self.cell()?;
            count += 1;
            if !self.more(b']')? {
                return Some(count);
            }
        }
    }
}

/// The digits from `at` on, one by one, as a number that wraps beyond 19 of them; and where they
/// end. For the few in front of a point.
#[inline]
fn few_digits(text: &[u8], mut at: usize) -> (u64, usize) {
    let mut value = 0_u64;
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (value, at)
}

#[inline]
fn if_negated(value: f64, is_negative: bool) -> f64 {
    f64::from_bits(value.to_bits() | u64::from(is_negative) << 63)
}

/// The exponent after an `e`, with the rest.
fn exponent_of(text: &[u8]) -> Option<(i32, &[u8])> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits.strip_prefix(b"+").unwrap_or(digits)),
    };
    let (value, rest) = take_digits(0, digits);
    // Longer exponents, infinities among them, are left to the exact path.
    if !(1..=4).contains(&(digits.len() - rest.len())) {
        return None;
    }
    let value = value as i32;
    Some((if negative { -value } else { value }, rest))
}

#[cold]
fn slow_number<'a>(token: &[u8], is_int: bool) -> Option<Cell<'a>> {
    let token = std::str::from_utf8(token).ok()?;
    if is_int { token.parse().ok().map(Cell::Int) } else { token.parse().ok().map(Cell::Float) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<Cell<'_>> {
        let mut cursor = Cursor { rest: text.as_bytes() };
        let number = cursor.number()?;
        cursor.at_end().then_some(number)
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for (text, want) in [
            ("0", Some(Cell::Int(0))),
            ("-0", Some(Cell::Int(0))),
            ("-7", Some(Cell::Int(-7))),
            ("9223372036854775807", Some(Cell::Int(i64::MAX))),
            ("9223372036854775808", None),
            ("0.1", Some(Cell::Float(0.1))),
            ("1e3", Some(Cell::Float(1000.0))),
            ("1E+22", Some(Cell::Float(1e22))),
            ("-1.5e-3", Some(Cell::Float(-0.0015))),
            ("123456789012345678901234567890.5", Some(Cell::Float(1.234_567_890_123_456_8e29))),
            ("01", None),
            ("1.", None),
            (".5", None),
            ("+1", None),
            ("1e", None),
            ("-", None),
            ("1e99999", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
    }

    #[test]
    fn numbers_at_the_edges_of_each_way_to_read_them_are_the_standard_librarys() {
        for text in [
            "0.0",
            "-0.0",
            "0.1e1",
            "-0e0",
            "1e22",
            "1e23",
            "9007199254740993.0",
            "9007199254740993e0",
            "1125899906842623.5",
            "1125899906842624.5",
            "0.000000000000000001",
            "0.0000000000000000001",
            "9999999999999999999.9",
            "18446744073709551616.0",
            "1.7976931348623157e308",
            "5e-324",
        ] {
            let want = text.parse::<f64>().unwrap();
            let Some(Cell::Float(got)) = number(text) else { panic!("{text} was not read") };
            assert_eq!(got.to_bits(), want.to_bits(), "{text}");
        }
        for text in ["9007199254740993", "-9007199254740993", "1000000000000000000"] {
            assert_eq!(number(text), Some(Cell::Int(text.parse().unwrap())), "{text}");
        }
        for text in ["00", "-01", "00.5", "-07.25", "01e1", "1.e1", "1.5e", "1.5e+", "-.5", "- 1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn decimals_are_the_standard_librarys(
            text in r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?",
            after in prop::sample::select(vec!["", ",", "]]}", ", 1.5, 2.25]]}", "      ]"]),
        ) {
            let body = format!("{text}{after}");
            let mut cursor = Cursor { rest: body.as_bytes() };
            match cursor.number() {
                Some(Cell::Float(got)) => {
                    prop_assert_eq!(got.to_bits(), text.parse::<f64>().unwrap().to_bits());
                }
                Some(Cell::Int(got)) => prop_assert_eq!(got, text.parse::<i64>().unwrap()),
                // Integers beyond 64 bits are left to the exact path.
                other => prop_assert_eq!((other, text.parse::<i64>().ok()), (None, None)),
            }
            let is_read = text.contains(['.', 'e', 'E']) || text.parse::<i64>().is_ok();
            prop_assert!(!is_read || cursor.remaining() == after.len());
        }

        #[test]
        fn leading_zeros_are_refused(text in r"-?0[0-9]{1,20}(\.[0-9]{1,20})?([eE][0-9]{1,3})?") {
            prop_assert_eq!(number(&text), None);
        }

        #[test]
        fn floats_read_back_exactly(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value:?}"), format!("{value:e}"), format!("{value:.6}")] {
                let want: f64 = text.parse().unwrap();
                match number(&text) {
                    Some(Cell::Float(got)) => prop_assert_eq!(got.to_bits(), want.to_bits()),
                    Some(Cell::Int(got)) => prop_assert_eq!(got as f64, want),
                    _ => prop_assert!(false, "{} was not read", text),
                }
            }
        }
    }
}
