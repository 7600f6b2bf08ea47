//! Whether an answer is the expected one.
//!
//! A server that batches may compute the last digits differently from one run to the next, and two
//! servers put blanks in different places. So texts that differ are compared token by token:
//! numbers within a tolerance, everything else exactly. The order of an object's members counts.
//! This runs beside the server on the same cores, so nothing is built and nothing allocated.

/// How far numbers may lie apart, as numpy's `allclose` has it: by `absolute` and `relative` times
/// the expected number together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

/// Whether `got` says the same as `expected`.
pub(crate) fn agrees(expected: &[u8], got: &[u8], tolerance: Tolerance) -> bool {
    if expected == got {
        return true;
    }
    let (mut expected, mut got) = (Tokens(expected), Tokens(got));
    loop {
        match (expected.next(), got.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || close(a, b, tolerance) => {}
            _ => return false,
        }
    }
}

fn close(expected: &[u8], got: &[u8], tolerance: Tolerance) -> bool {
    let (Some(expected), Some(got)) = (number(expected), number(got)) else { return false };
    (expected - got).abs() <= tolerance.absolute + tolerance.relative * expected.abs()
}

fn number(token: &[u8]) -> Option<f64> {
    // Rust reads `inf` and `nan` as numbers; as answers they are words.
    let digit = token.strip_prefix(b"-").unwrap_or(token).first()?;
    let text = digit.is_ascii_digit().then(|| str::from_utf8(token).ok())??;
    text.parse().ok()
}

/// The tokens of a JSON text: strings with their quotes, numbers and words, single marks. Any
/// bytes have tokens: what is no JSON can still be compared.
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0 = self.0.trim_ascii_start();
        let length = match self.0.first()? {
            b'"' => string_length(self.0),
            first if is_mark(*first) => 1,
            _ => {
                let ends =
                    |byte: &u8| is_mark(*byte) || *byte == b'"' || byte.is_ascii_whitespace();
                self.0.iter().position(ends).unwrap_or(self.0.len())
            }
        };
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(token)
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':')
}

/// The length of the string that starts here, with both quotes.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const TOLERANCE: Tolerance = Tolerance { relative: 1e-5, absolute: 1e-7 };

    fn same(expected: &str, got: &str) -> bool {
        agrees(expected.as_bytes(), got.as_bytes(), TOLERANCE)
    }

    #[test]
    fn numbers_agree_within_the_tolerance_and_blanks_do_not_count() {
        assert!(same(r#"{"predictions": [5.25, 1]}"#, r#"{"predictions":[5.250001,1.0]}"#));
        assert!(same("[1e2, -0.0]", "[100, 0]"));
        assert!(same("[0.0]", "[9e-8]"));
        assert!(!same("[5.25]", "[5.2502]"));
        assert!(!same("[5.25]", "[-5.25]"));
    }

    #[test]
    fn all_but_numbers_is_compared_exactly() {
        assert!(!same("[1]", "[1, 1]"));
        assert!(!same("[1, 1]", "[1]"));
        assert!(!same("[1]", r#"["1"]"#));
        assert!(!same(r#"["1.0000001"]"#, r#"["1.0"]"#));
        assert!(!same(r#"["a b"]"#, r#"["a  b"]"#));
        assert!(!same(r#"{"a":1}"#, r#"{"b":1}"#));
        assert!(!same("[true]", "[false]"));
        assert!(!same("[NaN]", "[inf]"));
        assert!(same("[NaN, 1]", "[NaN, 1.0]"));
        assert!(!same("[1.0]", "[1.0.0]"));
        assert!(!same("[]", ""));
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        assert!(same(r#"["a\"]1", 1]"#, r#"[ "a\"]1",1.0]"#));
        assert!(!same(r#"["a\" 1.0", 1]"#, r#"["a\" 1.00", 1]"#));
        assert!(same(r#"["\\", 1]"#, r#"["\\",1.0]"#));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1e6..1e6_f64).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| json!(members)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_same_value_printed_otherwise_agrees(value in value()) {
            let compact = serde_json::to_vec(&value).unwrap();
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            prop_assert!(agrees(&compact, &pretty, TOLERANCE));
        }

        #[test]
        fn another_value_does_not_agree(expected in value(), got in value()) {
            let [a, b] = [&expected, &got].map(|value| serde_json::to_vec(value).unwrap());
            let exact = Tolerance { relative: 0.0, absolute: 0.0 };
            prop_assert_eq!(agrees(&a, &b, exact), a == b);
        }

        #[test]
        fn any_bytes_can_be_compared(a: Vec<u8>, b: Vec<u8>) {
            agrees(&a, &b, TOLERANCE);
        }
    }
}
