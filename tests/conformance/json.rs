//! A comparison of JSON texts that sees what a parsed tree forgets: whether a number was written
//! as an integer or a float, how it was written, key order, separators, escapes, bare `NaN`.

/// Floats agree within `ABSOLUTE + RELATIVE * |expected|`.
const RELATIVE: f64 = 1e-4;
const ABSOLUTE: f64 = 1e-6;
/// A recorded float of more significant digits than this that is exactly an `f32` was one.
const F32_DIGITS_MAX: usize = 9;

/// A token as it was written, with the blanks before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) blank: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of `{ } [ ] , :`.
    Mark,
    String,
    Int,
    Float,
    /// `true`, `false`, `null`.
    Word,
}

/// Splits a text into tokens.
///
/// # Errors
/// The tokens before the place where it stops being JSON, and that place.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, (Vec<Token<'_>>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let start =
            at + text[at..].len() - text[at..].trim_start_matches([' ', '\t', '\n', '\r']).len();
        let Some(first) = text[start..].chars().next() else { return Ok(found) };
        let token = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => Some((Kind::Mark, 1)),
            '"' => string_length(&text[start..]).map(|length| (Kind::String, length)),
            _ => bare(&text[start..]),
        };
        let Some((kind, length)) = token else { return Err((found, start)) };
        found.push(Token { kind, text: &text[start..start + length], blank: &text[at..start] });
        at = start + length;
    }
}

fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn bare(text: &str) -> Option<(Kind, usize)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let word = &text[..end.unwrap_or(text.len())];
    let kind = match word {
        "true" | "false" | "null" => Kind::Word,
        "NaN" | "Infinity" | "-Infinity" => Kind::Float,
        _ if is_int(word) => Kind::Int,
        _ if is_float(word) => Kind::Float,
        _ => return None,
    };
    Some((kind, word.len()))
}

fn is_int(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_float(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && word.parse::<f64>().is_ok()
}

/// Compares a whole answer with the recorded one.
///
/// # Errors
/// What differs first.
pub(crate) fn compare(expected: &str, got: &str) -> Result<(), String> {
    let want = tokens(expected).map_err(|(_, at)| format!("recorded answer breaks at {at}"))?;
    let have = tokens(got).map_err(|(_, at)| format!("not JSON at byte {at}"))?;
    compare_tokens(&want, &have)?;
    if want.len() == have.len() {
        Ok(())
    } else {
        Err(format!("{} tokens expected, {} came", want.len(), have.len()))
    }
}

/// Compares an answer with the head of a recorded one; the head's last token may be cut.
///
/// # Errors
/// What differs first.
pub(crate) fn compare_head(head: &str, got: &str) -> Result<(), String> {
    let mut want = tokens(head).unwrap_or_else(|(whole, _)| whole);
    want.pop();
    let have = tokens(got).map_err(|(_, at)| format!("not JSON at byte {at}"))?;
    compare_tokens(&want, &have)
}

fn compare_tokens(want: &[Token<'_>], have: &[Token<'_>]) -> Result<(), String> {
    for (index, (want, have)) in want.iter().zip(have).enumerate() {
        if !agree(want, have) {
            let [want, have] = [want, have].map(|token| short(token.blank, token.text));
            return Err(format!("token {index}: `{want}` expected, `{have}` came"));
        }
    }
    if want.len() > have.len() {
        return Err(format!("ends after {} tokens, {} expected", have.len(), want.len()));
    }
    Ok(())
}

fn agree(want: &Token<'_>, have: &Token<'_>) -> bool {
    want.kind == have.kind
        && want.blank == have.blank
        && (want.text == have.text
            || (want.kind == Kind::Float && floats_agree(want.text, have.text)))
}

fn floats_agree(want: &str, have: &str) -> bool {
    let [expected, got] = [want, have].map(|text| match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        finite => finite.parse().expect("the tokenizer checked it"),
    });
    let close = if expected.is_finite() && got.is_finite() {
        (expected - got).abs() <= ABSOLUTE + RELATIVE * expected.abs()
    } else {
        expected.total_cmp(&got).is_eq() || (expected.is_nan() && got.is_nan())
    };
    let digits = want.bytes().filter(u8::is_ascii_digit).count();
    let widened = digits > F32_DIGITS_MAX && f64::from(expected as f32) == expected;
    close
        && (expected != 0.0 || got != 0.0 || expected.is_sign_negative() == got.is_sign_negative())
        && (!widened || f64::from(got as f32) == got)
        && (!got.is_finite() || have == python_repr(got))
}

/// A finite float as Python prints it: the shortest digits that read back the same, fixed
/// notation from 1e-4 up to 1e16, else an exponent with its sign and two digits at least.
pub(crate) fn python_repr(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes an integer exponent");
    if value == 0.0 || (-4..16).contains(&exponent) {
        let fixed = format!("{value}");
        return if fixed.contains('.') { fixed } else { fixed + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn short(blank: &str, text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let shown: String = blank.chars().chain(text.chars()).take(SHOWN_MAX).collect();
    shown.escape_debug().to_string()
}

#[test]
fn integers_and_floats_differ_and_notation_counts() {
    let same = |want: &str, have: &str| compare(want, have).is_ok();
    assert!(same("[1, 2.0]", "[1, 2.0]"));
    assert!(same("[1.00001]", "[1.00002]"));
    assert!(same("[NaN, -Infinity, 1e-05]", "[NaN, -Infinity, 1e-05]"));
    assert!(!same("[1]", "[1.0]"), "an integer is no float");
    assert!(!same("[1.0]", "[1.1]"), "beyond the tolerance");
    assert!(!same("[1e-05]", "[1e-5]"), "not Python's notation");
    assert!(!same("[1e+16]", "[10000000000000000.0]"), "not Python's notation");
    assert!(!same("[-0.0]", "[0.0]"), "the sign of zero");
    assert!(!same("[0.10000000149011612]", "[0.1]"), "an f32 is printed widened");
    assert!(!same("[1, 2]", "[1,2]"), "separators");
    assert!(!same(r#"{"a": 1, "b": 2}"#, r#"{"b": 2, "a": 1}"#), "key order");
    assert!(!same(r#""\u00e9""#, r#""é""#), "escapes");
    assert!(!same("[1]", "[1"), "cut");
    assert!(!same("[1", "[1]"), "the recorded one is cut");
    assert!(!same("[1]", "[1]]"), "more than expected");
    assert!(!same("[1]", "[nan]"), "no JSON, no Python");
}

#[test]
fn a_cut_head_is_compared_as_far_as_it_goes() {
    assert!(compare_head(r#"{"a": [1.5, 2.2"#, r#"{"a": [1.5, 2.25, 3.0]}"#).is_ok());
    assert!(compare_head(r#"{"a": [1.5, "te"#, r#"{"a": [1.6, "text"]}"#).is_err());
    assert!(compare_head(r#"{"a": [1.5, 2.5, 3.5]"#, r#"{"a": [1.5"#).is_err());
}

#[test]
fn floats_print_as_in_python() {
    for (value, text) in [
        (0.1, "0.1"),
        (1e16, "1e+16"),
        (1e15, "1000000000000000.0"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
    ] {
        assert_eq!(python_repr(value), text);
    }
}
