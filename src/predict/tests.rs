//! Cutting a text into blocks changes nothing of what it means.

use proptest::prelude::*;

use super::block::{Block, BlockLimits, Rows, Source};
use super::csv::CsvSource;
use super::error::PredictError;
use super::input::Input;
use super::json::{Inputs, JsonSource};
use crate::model::ColumnType;
use crate::wire::invocations::csv::{CsvOptions, CsvTypes, Datetimes, UnevenRows, read_csv};
use crate::wire::invocations::json;
use crate::wire::invocations::value::Value;

fn limits(rows: usize) -> BlockLimits {
    BlockLimits { rows, bytes: usize::MAX }
}

fn blocks(source: &mut dyn Source) -> Result<Vec<Block>, PredictError> {
    std::iter::from_fn(|| source.next_block().transpose()).collect()
}

fn bodies(source: &mut dyn Source) -> Result<Vec<String>, PredictError> {
    let body = |Block { rows, .. }: Block| {
        let body = rows.body(rows.len().unwrap()).unwrap().into_owned();
        String::from_utf8(body).unwrap()
    };
    Ok(blocks(source)?.into_iter().map(body).collect())
}

/// The columns of a CSV, all of them texts.
fn columns(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let types = ["x", "y", "z"].map(|name| (name.to_owned(), ColumnType::String));
    let options = CsvOptions {
        types: CsvTypes::Named(&types),
        datetimes: Datetimes::Parse,
        uneven_rows: UnevenRows::Fit,
    };
    let frame = read_csv(text, &options).map_err(|error| error.message)?;
    let cells = |cells: Vec<Value>| cells.iter().map(|cell| format!("{cell:?}")).collect();
    let column = |(label, series): (_, crate::wire::invocations::frame::Series)| {
        (format!("{label:?}"), cells(series.into_values()))
    };
    Ok(frame.columns.into_iter().map(column).collect())
}

/// The same, read in blocks.
fn columns_in_blocks(text: &str, rows: usize, read_bytes: usize) -> Result<Columns, String> {
    let mut source = CsvSource::new(Input::of_text(text, read_bytes), limits(rows));
    let mut whole = Vec::new();
    for body in bodies(&mut source).map_err(|error| error.to_string())? {
        let part = columns(&body)?;
        if whole.is_empty() {
            whole = part;
            continue;
        }
        for ((name, cells), (other, more)) in whole.iter_mut().zip(part) {
            assert_eq!(*name, other);
            cells.extend(more);
        }
    }
    Ok(whole)
}

type Columns = Vec<(String, Vec<String>)>;

fn csv_text() -> impl Strategy<Value = String> {
    let header =
        prop::sample::select(vec!["x", "x,y", "x,y,z", "\"x\",\"y\"", "x,x", "\u{feff}x,y"]);
    let piece = prop::sample::select(vec![
        "a", "1", "é", " ", "\t", ",", ",", "\"", "\"\"", "\"b,\n\"", "\n", "\n", "\r", "\r\n",
        "\0",
    ]);
    (header, prop::collection::vec(piece, 0..40))
        .prop_map(|(header, pieces)| format!("{header}\n{}", pieces.concat()))
}

proptest! {
    #[test]
    fn a_csv_in_blocks_means_what_it_means_as_a_whole(
        text in csv_text(), rows in 1_usize..5, read_bytes in 1_usize..20,
    ) {
        match (columns(&text), columns_in_blocks(&text, rows, read_bytes)) {
            (Ok(whole), Ok(parts)) => {
                // Without rows there is no block.
                let has_rows = whole.iter().any(|(_, cells)| !cells.is_empty());
                prop_assert_eq!(if has_rows { whole } else { Vec::new() }, parts);
            }
            (Err(_), Err(_)) => {}
            (whole, parts) => prop_assert!(false, "{:?}: {:?} but {:?}", text, whole, parts),
        }
    }

    #[test]
    fn json_values_come_out_as_they_went_in(
        values in prop::collection::vec(json_text(), 0..12),
        blank in prop::sample::select(vec!["", " ", "\n\t"]),
        rows in 1_usize..5,
        read_bytes in 1_usize..20,
    ) {
        let separator = format!("{blank},{blank}");
        let list = format!("{blank}[{blank}{}{blank}]{blank}", values.join(&separator));
        let input = Input::of_text(&list, read_bytes);
        let mut source = JsonSource::document(input, limits(rows), Inputs::Undeclared);
        prop_assert_eq!(items(&bodies(&mut source).unwrap()), values.clone());

        let lines = values.join(&format!("\r\n{}\n", blank.replace('\n', "")));
        let input = Input::of_text(&lines, read_bytes);
        let mut source = JsonSource::lines(input, limits(rows), Inputs::Undeclared);
        prop_assert_eq!(items(&bodies(&mut source).unwrap()), values);
    }
}

fn json_text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "{}",
        "[1, [2]]",
        "-1.5",
        "\"\"",
        "\"a,]}\\\"\"",
        "\"\\\\\"",
        "{\"a\": [\"]\", {}]}",
        "null",
    ])
    .prop_map(str::to_owned)
}

/// The rows of bodies, printed again.
fn items(bodies: &[String]) -> Vec<String> {
    let rows = |body: &String| {
        let Ok(Value::Dict(members)) = json::parse(body.as_bytes()) else { panic!("{body}") };
        let Some((_, Value::List(rows))) = members.into_iter().next() else { panic!("{body}") };
        rows.iter().map(print).collect::<Vec<_>>()
    };
    bodies.iter().flat_map(rows).collect()
}

fn print(value: &Value) -> String {
    match value {
        Value::None => "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Str(text) => serde_json::to_string(text).unwrap(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", "))
        }
        Value::Dict(members) => {
            let members = members.iter().map(|(key, value)| format!("{key:?}: {}", print(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => panic!("{other:?}"),
    }
}

fn fault(source: &mut dyn Source) -> String {
    blocks(source).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_row_that_cannot_be_cut_out_is_named() {
    for (text, want) in [
        ("", "text: there is no header line"),
        ("x,\"y\n1,2\n", "text: the header (line 1): a quoted field has no closing quote"),
        ("x,y\n1,2\n\n1,2,3\n", "text, row 2 (line 4): expected 2 values, got 3"),
        ("x\n\"a\nb\"\n\"c", "text, row 2 (line 4): a quoted field has no closing quote"),
    ] {
        let mut source = CsvSource::new(Input::of_text(text, 2), limits(10));
        assert_eq!(fault(&mut source), want, "{text:?}");
    }
    for (text, want) in [
        ("[{},\n{}", "text, row 2 (line 2): the JSON list has no end"),
        ("[1,]", "text, row 2 (line 1): expected a JSON value"),
        ("[\n1}]", "text, row 1 (line 2): brackets of the JSON list do not match"),
        ("[1]\n2", "text: something follows the JSON list (line 2)"),
        (" ", "text: the JSON document has no end"),
    ] {
        let input = Input::of_text(text, 2);
        let mut source = JsonSource::document(input, limits(10), Inputs::Undeclared);
        assert_eq!(fault(&mut source), want, "{text:?}");
    }
    let input = Input::of_text("1\n\n 2, 3\n", 2);
    let mut source = JsonSource::lines(input, limits(10), Inputs::Undeclared);
    assert_eq!(fault(&mut source), "text, row 2 (line 3): expected one JSON value in the line");
}

#[test]
fn the_largest_request_body_is_bounded() {
    let large = format!("{{{}", " ".repeat(64 << 20));
    let input = Input::of_text(&large, 1 << 20);
    let mut source = JsonSource::document(input, limits(1), Inputs::Columns);
    assert!(fault(&mut source).contains("may have 64 MiB"));
}

#[test]
fn an_open_quote_does_not_read_the_whole_input() {
    let large = format!("x\n1\n\"{}", "a\n".repeat(36 << 20));
    let mut source = CsvSource::new(Input::of_text(&large, 1 << 20), limits(10));
    let said = fault(&mut source);
    assert_eq!(said, "text, row 2 (line 3): longer than 64 MiB: is a quote left open?");
}

#[test]
fn the_first_rows_show_the_types_without_being_used() {
    let mut source = CsvSource::new(Input::of_text("x,y\n1,a\n2,\n", 3), limits(10));
    let frame = source.sample().unwrap().unwrap();
    assert_eq!(frame.rows, 2);
    assert_eq!(blocks(&mut source).unwrap()[0].rows.len(), Some(2));
    for text in ["{\"x\": 1}\n{\"x\": 2.5}", "[{\"x\": 1}, {\"x\": 2.5}]"] {
        let input = Input::of_text(text, 3);
        let mut source = if text.starts_with('[') {
            JsonSource::document(input, limits(10), Inputs::Undeclared)
        } else {
            JsonSource::lines(input, limits(10), Inputs::Undeclared)
        };
        let frame = source.sample().unwrap().unwrap();
        assert_eq!(frame.columns[0].1.dtype_name(), "float64");
        assert!(
            matches!(&blocks(&mut source).unwrap()[0].rows, Rows::Text(rows) if rows.len() == 2)
        );
    }
}
