//! Whether an error message repeats the request's data. Names (keys, column labels, whatever the
//! model itself declares) may be named; cells may not.

use std::collections::HashSet;

use crate::json::{self, Kind};

/// Shorter numbers and texts turn up in any sentence by chance.
const NUMBER_CHARS_MIN: usize = 5;
const TEXT_CHARS_MIN: usize = 6;

/// The first cell of `body` that `message` repeats. `declared` is the model's `MLmodel` file.
pub(crate) fn echoed(message: &str, body: &[u8], csv: bool, declared: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let cells = if csv { csv_cells(body) } else { json_cells(body) };
    let numbers: HashSet<&str> =
        message.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).collect();
    cells
        .into_iter()
        .find(|cell| match cell {
            Cell::Number(text) => text.len() >= NUMBER_CHARS_MIN && numbers.contains(text),
            Cell::Text(text) => {
                text.chars().count() >= TEXT_CHARS_MIN
                    && message.contains(text)
                    && !declared.contains(text)
            }
        })
        .map(|(Cell::Number(text) | Cell::Text(text))| text.chars().take(40).collect())
}

#[derive(Clone, Copy)]
enum Cell<'a> {
    Number(&'a str),
    Text(&'a str),
}

/// The values of a JSON body, as far as it is one: no keys, no column labels.
fn json_cells(body: &str) -> Vec<Cell<'_>> {
    let tokens = json::tokens(body).unwrap_or_else(|(whole, _)| whole);
    let mut cells = Vec::new();
    let mut labels = false;
    for (index, token) in tokens.iter().enumerate() {
        let is_key = tokens.get(index + 1).is_some_and(|next| next.text == ":");
        match token.kind {
            Kind::String if is_key => labels = token.text == "\"columns\"",
            Kind::Mark if token.text == "]" => labels = false,
            Kind::String if !labels => cells.push(Cell::Text(token.text.trim_matches('"'))),
            Kind::Int | Kind::Float if !labels => cells.push(Cell::Number(token.text)),
            _ => {}
        }
    }
    cells
}

/// The cells of a CSV body below its header.
fn csv_cells(body: &str) -> Vec<Cell<'_>> {
    body.lines()
        .skip(1)
        .flat_map(|line| line.split([',', ';', '\t', '"']))
        .map(str::trim)
        .map(|cell| if cell.parse::<f64>().is_ok() { Cell::Number(cell) } else { Cell::Text(cell) })
        .collect()
}

#[test]
fn a_repeated_cell_is_seen_and_a_named_column_is_not() {
    let body =
        br#"{"dataframe_split": {"columns": ["acidity"], "data": [["secret text", 12.345]]}}"#;
    let seen = |message: &str| echoed(message, body, false, "declared: plan");
    assert_eq!(seen("column `acidity`: expected a number"), None);
    assert_eq!(seen("could not read \"secret text\" as a number").as_deref(), Some("secret text"));
    assert_eq!(seen("the value 12.345 is bad").as_deref(), Some("12.345"));
    assert_eq!(seen("at most 112.3456 seconds"), None);
    let csv = b"acidity\n9.8765\n";
    assert_eq!(echoed("acidity: 9.8765", csv, true, "").as_deref(), Some("9.8765"));
}
