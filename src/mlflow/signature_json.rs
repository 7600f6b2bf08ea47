//! The JSON that Python writes: as everywhere, plus bare `NaN`, `Infinity` and `-Infinity`.

use std::borrow::Cow;

use serde_json::Value as Json;

/// Characters of a text that an error shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Python's spellings of what JSON cannot say; the longest first, as one holds another.
const NON_FINITE: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads a JSON text. A non-finite number, which only the default of a parameter can be, is kept
/// as the text of its name.
pub(super) fn read(text: &str) -> Result<Json, serde_json::Error> {
    serde_json::from_str(&quote_non_finite(text))
}

fn quote_non_finite(text: &str) -> Cow<'_, str> {
    if !NON_FINITE.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = NON_FINITE.iter().find(|word| !in_string && rest.starts_with(**word));
        let taken = match (word, c) {
            (Some(word), _) => word.len(),
            // An escape is taken whole: its second character ends no string.
            (None, '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, c) => c.len_utf8(),
        };
        if c == '"' {
            in_string = !in_string;
        }
        let (head, tail) = rest.split_at(taken);
        if word.is_some() {
            quoted.extend(["\"", head, "\""]);
        } else {
            quoted.push_str(head);
        }
        rest = tail;
    }
    Cow::Owned(quoted)
}

/// A value in a few words, for an error text.
pub(super) fn describe(json: Option<&Json>) -> String {
    match json {
        None => "nothing".to_owned(),
        Some(Json::Null) => "null".to_owned(),
        Some(Json::Bool(flag)) => flag.to_string(),
        Some(Json::Number(number)) => number.to_string(),
        Some(Json::String(text)) => {
            format!("`{}`", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
        }
        Some(Json::Array(_)) => "a list".to_owned(),
        Some(Json::Object(_)) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn non_finite_numbers_are_kept_by_name_and_texts_are_left_alone() {
        let text = r#"[NaN, -Infinity, Infinity, "NaN \" Infinity", {"\\": NaN}, "é"]"#;
        let want = json!(["NaN", "-Infinity", "Infinity", "NaN \" Infinity", {"\\": "NaN"}, "é"]);
        assert_eq!(read(text).unwrap(), want);
    }

    #[test]
    fn a_text_that_ends_in_an_escape_is_an_error_and_no_panic() {
        assert!(read("[NaN, \"\\").is_err());
        assert!(read("\\").is_err());
    }
}
