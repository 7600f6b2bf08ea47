//! A reader of JSON bytes that checks the grammar as it goes. Every method answers `None` for
//! what is invalid or unusual.

/// Where the reader stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A JSON number: an integer literal that fits `i64`, or any other number as a double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// A cell: what a column's value may be.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Number(Number),
    Bool(bool),
    Null,
    /// Borrowed when the string has no escape.
    Text(std::borrow::Cow<'a, str>),
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Most decimal digits that always fit `u64`.
const MANTISSA_DIGITS_MAX: usize = 19;

impl<'a> Cursor<'a> {
    /// Starts at the first byte. `None` where the bytes may be another encoding than UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let plain =
            bytes.first().is_some_and(|first| matches!(first, b'{' | b' ' | b'\n' | b'\r' | b'\t'))
                && !bytes.iter().take(4).any(|byte| *byte == 0);
        plain.then_some(Self { bytes, at: 0 })
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips blanks and takes `byte`.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Skips blanks and takes `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// After an item: `Some(true)` when another follows, `Some(false)` at the `close`.
    pub(super) fn more(&mut self, close: u8) -> Option<bool> {
        self.skip_blanks();
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// Whether only blanks are left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.at == self.bytes.len()
    }

    /// A string without escapes, control characters or invalid UTF-8.
    pub(super) fn plain_string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = &self.bytes[self.at..];
        let (mut length, mut ascii) = (0, true);
        loop {
            match *rest.get(length)? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                byte => ascii &= byte < 0x80,
            }
            length += 1;
        }
        self.at += length + 1;
        let text = &rest[..length];
        // ASCII is the rule; only other text pays for the full check.
        let text = std::str::from_utf8(text).ok()?;
        debug_assert!(!ascii || text.is_ascii());
        Some(text)
    }

    /// A member's name and its colon.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let name = self.plain_string()?;
        self.expect(b':')?;
        Some(name)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    /// A number, boolean, null or plain string.
    pub(super) fn cell(&mut self) -> Option<Cell<'a>> {
        self.skip_blanks();
        match self.peek()? {
            b'"' => self.plain_string().map(|text| Cell::Text(text.into())),
            b't' => self.word(b"true").map(|()| Cell::Bool(true)),
            b'f' => self.word(b"false").map(|()| Cell::Bool(false)),
            b'n' => self.word(b"null").map(|()| Cell::Null),
            b'N' => self.word(b"NaN").map(|()| Cell::Number(Number::Float(f64::NAN))),
            _ => self.number().map(Cell::Number),
        }
    }

    /// A JSON number. Short ones are converted as they are read: a mantissa below 2^53 and a
    /// power of ten up to 22 are exact doubles, so one operation rounds correctly. Others go
    /// through the standard library.
    pub(super) fn number(&mut self) -> Option<Number> {
        self.skip_blanks();
        let start = self.at;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let first = self.at;
        let mut mantissa = self.digits(0);
        let integer_digits = self.at - first;
        if integer_digits == 0 || (integer_digits > 1 && self.bytes[first] == b'0') {
            return None;
        }
        let mut digits = integer_digits;
        let mut exponent = 0_i32;
        let mut is_int = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let from = self.at;
            mantissa = self.digits(mantissa);
            let fraction_digits = self.at - from;
            if fraction_digits == 0 {
                return None;
            }
            is_int = false;
            digits += fraction_digits;
            exponent = -i32::try_from(fraction_digits).ok()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_int = false;
            exponent = exponent.checked_add(self.exponent()?)?;
        }
        if digits > MANTISSA_DIGITS_MAX {
            return self.slow_number(start, is_int);
        }
        if is_int {
            let value = i64::try_from(mantissa).ok()?;
            return Some(Number::Int(if negative { -value } else { value }));
        }
        if mantissa >> 53 != 0 || exponent.unsigned_abs() as usize >= EXACT_POWERS.len() {
            return self.slow_number(start, is_int);
        }
        let power = EXACT_POWERS[exponent.unsigned_abs() as usize];
        let value = mantissa as f64;
        let value = if exponent < 0 { value / power } else { value * power };
        Some(Number::Float(if negative { -value } else { value }))
    }

    /// Takes digits, adding them to `mantissa` (which wraps beyond 19 digits; the caller counts).
    fn digits(&mut self, mut mantissa: u64) -> u64 {
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        mantissa
    }

    fn exponent(&mut self) -> Option<i32> {
        self.at += 1;
        let negative = self.peek()? == b'-';
        self.at += usize::from(matches!(self.peek()?, b'+' | b'-'));
        let from = self.at;
        let value = self.digits(0);
        // Longer exponents, infinities among them, are left to the exact path.
        if !(1..=4).contains(&(self.at - from)) {
            return None;
        }
        let value = value as i32;
        Some(if negative { -value } else { value })
    }

    fn slow_number(&self, start: usize, is_int: bool) -> Option<Number> {
        let token = std::str::from_utf8(&self.bytes[start..self.at]).ok()?;
        if is_int {
            token.parse().ok().map(Number::Int)
        } else {
            token.parse().ok().map(Number::Float)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<Number> {
        let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
        let number = cursor.number()?;
        cursor.at_end().then_some(number)
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for (text, want) in [
            ("0", Some(Number::Int(0))),
            ("-0", Some(Number::Int(0))),
            ("-7", Some(Number::Int(-7))),
            ("9223372036854775807", Some(Number::Int(i64::MAX))),
            ("9223372036854775808", None),
            ("0.1", Some(Number::Float(0.1))),
            ("1e3", Some(Number::Float(1000.0))),
            ("1E+22", Some(Number::Float(1e22))),
            ("-1.5e-3", Some(Number::Float(-0.0015))),
            ("123456789012345678901234567890.5", Some(Number::Float(1.234_567_890_123_456_8e29))),
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

    proptest! {
        #[test]
        fn floats_read_back_exactly(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value:?}"), format!("{value:e}"), format!("{value:.6}")] {
                let want: f64 = text.parse().unwrap();
                match number(&text) {
                    Some(Number::Float(got)) => prop_assert_eq!(got.to_bits(), want.to_bits()),
                    Some(Number::Int(got)) => prop_assert_eq!(got as f64, want),
                    None => prop_assert!(false, "{} was not read", text),
                }
            }
        }
    }
}
