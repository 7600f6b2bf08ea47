//! `json.loads(bytes)`: Python's JSON dialect into [`Value`]s.
//!
//! Differs from RFC 8259 as Python does: `NaN`, `Infinity` and `-Infinity` are numbers, integers
//! have any size, duplicate keys are allowed (the last wins), lone surrogates may be escaped, and
//! the bytes may be UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

use std::borrow::Cow;
use std::collections::HashMap;

use num_bigint::BigInt;

use super::value::Value;

/// Deepest nesting of arrays and objects. Python's own limit is its recursion limit, a little
/// under 1,000 here.
const DEPTH_MAX: usize = 990;
/// Longest integer literal, in digits: Python's own limit.
const INT_DIGITS_MAX: usize = 4300;
/// Objects with more keys than this are checked for duplicates by hash instead of by scan.
const SCANNED_KEYS_MAX: usize = 16;

/// Why a body is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the body is not valid JSON: {expected} expected at byte {at}")]
    Syntax { expected: &'static str, at: usize },
    #[error("the body is not valid {0} text")]
    Encoding(&'static str),
    #[error("the body nests arrays and objects deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the body holds an integer of more than {INT_DIGITS_MAX} digits")]
    IntegerTooLong,
}

/// Parses a whole body.
///
/// # Errors
/// Where Python's `json.loads` would raise.
pub fn parse(body: &[u8]) -> Result<Value, JsonError> {
    let text = decode_text(body)?;
    let mut reader = Reader { text: &text, at: 0, depth: 0 };
    reader.skip_blanks();
    let value = reader.value()?;
    reader.skip_blanks();
    if reader.at < text.len() { Err(reader.expected("the end of the body")) } else { Ok(value) }
}

/// The body as text: `json.detect_encoding` and a decode that lets surrogates pass. Surrogates
/// have no place in a `str`, so they become `\uXXXX` escapes, which mean the same inside a string
/// and are a syntax error, as they should be, outside.
pub(super) fn decode_text(body: &[u8]) -> Result<Cow<'_, str>, JsonError> {
    let utf16 = |bytes: &[u8], from: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2);
        if !units.remainder().is_empty() {
            return Err(JsonError::Encoding("UTF-16"));
        }
        let units = units.map(|pair| from([pair[0], pair[1]]));
        Ok(Cow::Owned(push_all(
            char::decode_utf16(units).map(|c| c.map_err(|e| e.unpaired_surrogate())),
        )))
    };
    let utf32 = |bytes: &[u8], from: fn([u8; 4]) -> u32| {
        let units = bytes.chunks_exact(4);
        if !units.remainder().is_empty() {
            return Err(JsonError::Encoding("UTF-32"));
        }
        let mut text = String::with_capacity(bytes.len() / 4);
        for unit in units {
            let code = from([unit[0], unit[1], unit[2], unit[3]]);
            match (char::from_u32(code), code) {
                (Some(c), _) => text.push(c),
                (None, 0xd800..=0xdfff) => push_surrogate(&mut text, code as u16),
                _ => return Err(JsonError::Encoding("UTF-32")),
            }
        }
        Ok(Cow::Owned(text))
    };
    match body {
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0, 0, _, _, ..] => utf32(body, u32::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(body, u32::from_le_bytes),
        [0, _, _, _, ..] | [0, _] => utf16(body, u16::from_be_bytes),
        [_, 0, _, _, ..] | [_, 0] => utf16(body, u16::from_le_bytes),
        _ => utf8(body),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, JsonError> {
    let mut rest = bytes;
    let mut text = String::new();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) if text.is_empty() => return Ok(Cow::Borrowed(valid)),
            Ok(valid) => {
                text.push_str(valid);
                return Ok(Cow::Owned(text));
            }
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                text.push_str(
                    std::str::from_utf8(valid).map_err(|_| JsonError::Encoding("UTF-8"))?,
                );
                let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, after @ ..] = bad else {
                    return Err(JsonError::Encoding("UTF-8"));
                };
                let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
                push_surrogate(&mut text, unit);
                rest = after;
            }
        }
    }
}

fn push_all(chars: impl Iterator<Item = Result<char, u16>>) -> String {
    let mut text = String::new();
    for c in chars {
        match c {
            Ok(c) => text.push(c),
            Err(unit) => push_surrogate(&mut text, unit),
        }
    }
    text
}

fn push_surrogate(text: &mut String, unit: u16) {
    use std::fmt::Write as _;
    let _ = write!(text, "\\u{unit:04x}");
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { expected, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self
                .string()
                .map(|(text, lone)| if lone { Value::Surrogates(text) } else { Value::Str(text) }),
            Some(b'[') => self.nested(Self::array),
            Some(b'{') => self.nested(Self::object),
            Some(b'-') if self.eat_word("-Infinity") => Ok(Value::Float(f64::NEG_INFINITY)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') if self.eat_word("null") => Ok(Value::None),
            Some(b't') if self.eat_word("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.eat_word("false") => Ok(Value::Bool(false)),
            Some(b'N') if self.eat_word("NaN") => Ok(Value::Float(f64::NAN)),
            Some(b'I') if self.eat_word("Infinity") => Ok(Value::Float(f64::INFINITY)),
            _ => Err(self.expected("a value")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, JsonError>,
    ) -> Result<Value, JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    // Room for four is most of the memory that many lists of one item take.
                    items.shrink_to_fit();
                    return Ok(Value::List(items));
                }
                _ => return Err(self.expected("',' or ']'")),
            }
            self.skip_blanks();
        }
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut members = Members::default();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Dict(members.list));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let (key, _) = self.string()?;
            self.skip_blanks();
            if self.peek() != Some(b':') {
                return Err(self.expected("':'"));
            }
            self.at += 1;
            self.skip_blanks();
            let value = self.value()?;
            members.insert(key, value);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    members.list.shrink_to_fit();
                    return Ok(Value::Dict(members.list));
                }
                _ => return Err(self.expected("',' or '}'")),
            }
            self.skip_blanks();
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = start + usize::from(bytes[start] == b'-');
        let integer_digits = match bytes.get(end) {
            Some(b'0') => 1,
            Some(b'1'..=b'9') => digits(end),
            _ => return Err(self.expected("a value")),
        };
        end += integer_digits;
        let mut is_float = false;
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            is_float = true;
            end += 1 + digits(end + 1);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                is_float = true;
                end += 1 + sign + exponent;
            }
        }
        let token = &self.text[start..end];
        self.at = end;
        if is_float {
            return token.parse().map(Value::Float).map_err(|_| self.expected("a number"));
        }
        if let Ok(value) = token.parse() {
            return Ok(Value::Int(value));
        }
        if integer_digits > INT_DIGITS_MAX {
            return Err(JsonError::IntegerTooLong);
        }
        let value: BigInt = token.parse().map_err(|_| self.expected("an integer"))?;
        Ok(Value::BigInt(Box::new(value)))
    }

    /// Reads a string; the flag says whether it has lone surrogates (U+FFFD in the text).
    fn string(&mut self) -> Result<(String, bool), JsonError> {
        self.at += 1;
        let mut text = String::new();
        let mut lone = false;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .bytes()
                .position(|b| b == b'"' || b == b'\\' || b < 0x20)
                .ok_or(JsonError::Syntax { expected: "'\"'", at: self.text.len() })?;
            text.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((text, lone));
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    lone |= c.is_none();
                    text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                _ => return Err(self.expected("no control character inside a string")),
            }
        }
    }

    /// Reads an escape; `None` is a lone surrogate.
    fn escape(&mut self) -> Result<Option<char>, JsonError> {
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(Some(c))
    }

    fn unicode_escape(&mut self) -> Result<Option<char>, JsonError> {
        let unit = self.hex4(self.at + 1).ok_or(self.expected("four hexadecimal digits"))?;
        self.at += 5;
        if let 0xd800..=0xdbff = unit
            && self.text.as_bytes()[self.at..].starts_with(b"\\u")
            && let Some(low @ 0xdc00..=0xdfff) = self.hex4(self.at + 2)
        {
            self.at += 6;
            let code = 0x10000 + (u32::from(unit - 0xd800) << 10) + u32::from(low - 0xdc00);
            return Ok(char::from_u32(code));
        }
        Ok(char::from_u32(u32::from(unit)))
    }

    fn hex4(&self, at: usize) -> Option<u16> {
        let digits: &'a [u8] = self.text.as_bytes().get(at..at + 4)?;
        digits.iter().try_fold(0, |value, &digit| {
            let digit = char::from(digit).to_digit(16)?;
            Some(value << 4 | digit as u16)
        })
    }
}

/// The members of an object in the making.
#[derive(Default)]
struct Members {
    list: Vec<(String, Value)>,
    /// Position of each key, kept once there are too many to scan.
    positions: HashMap<String, usize>,
}

impl Members {
    fn insert(&mut self, key: String, value: Value) {
        let position = if self.list.len() <= SCANNED_KEYS_MAX {
            self.list.iter().position(|(known, _)| *known == key)
        } else {
            if self.positions.is_empty() {
                let keys = self.list.iter().enumerate();
                self.positions = keys.map(|(i, (known, _))| (known.clone(), i)).collect();
            }
            self.positions.get(&key).copied()
        };
        if let Some(position) = position {
            self.list[position].1 = value;
            return;
        }
        if !self.positions.is_empty() {
            self.positions.insert(key.clone(), self.list.len());
        }
        self.list.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_dialect_is_accepted() {
        let parsed = parse(
            br#" {"a": [NaN, -Infinity, 1e400, -0, 123456789012345678901], "b": 1,
            "b": "\ud83d\ude00\u00e9\/", "c": {}} "#,
        );
        let Value::Dict(members) = parsed.unwrap() else { panic!("an object") };
        let Value::List(numbers) = &members[0].1 else { panic!("an array") };
        assert!(matches!(numbers[0], Value::Float(v) if v.is_nan()));
        assert_eq!(numbers[1], Value::Float(f64::NEG_INFINITY));
        assert_eq!(numbers[2], Value::Float(f64::INFINITY));
        assert_eq!(numbers[3], Value::Int(0));
        assert!(matches!(numbers[4], Value::BigInt(_)));
        assert_eq!(members[1], ("b".into(), Value::Str("😀é/".into())));
        assert_eq!(members.len(), 3);
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for body in [
            "",
            "nan",
            "+1",
            ".5",
            "01",
            "0x1",
            "1.",
            "1e",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "[1",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "1 2",
            "// c\n1",
            "tru",
            "-",
            "--1",
            "[",
            "\"a",
        ] {
            assert!(matches!(parse(body.as_bytes()), Err(JsonError::Syntax { .. })), "{body}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(JsonError::Encoding("UTF-8")));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(parse("1".repeat(4301).as_bytes()), Err(JsonError::IntegerTooLong));
    }

    #[test]
    fn every_encoding_of_python_is_read() {
        let text = "[\"é\"]";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
        let want = Value::List(vec![Value::Str("é".into())]);
        for body in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &utf16].concat(),
            utf16,
            utf32,
        ] {
            assert_eq!(parse(&body).as_ref(), Ok(&want), "{body:?}");
        }
        assert!(matches!(parse(b"\"\xed\xa0\x80\""), Ok(Value::Surrogates(_))));
        assert!(matches!(parse(br#""\ud800x""#), Ok(Value::Surrogates(_))));
    }

    #[test]
    fn many_keys_keep_the_last_value_in_the_first_place() {
        let members: Vec<String> = (0..50).map(|i| format!("\"k{}\": {i}", i % 30)).collect();
        let body = format!("{{{}, \"z\": 1}}", members.join(", "));
        let Value::Dict(members) = parse(body.as_bytes()).unwrap() else { panic!("an object") };
        assert_eq!(members.len(), 31);
        assert_eq!(members[5], ("k5".into(), Value::Int(35)));
    }
}
