use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::frame::{Frame, Label, NAT, Series};
use super::super::value::Value;
use super::read::COLUMNS_MAX;
use super::{CsvOptions, CsvTypes, Datetimes, UnevenRows, read_csv};
use crate::model::ColumnType;

/// What pandas read, recorded by `tests/fixtures/csv/record.py`, which says what the lines mean.
const RECORDED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/csv/cases.jsonl"));

fn read(text: &str, types: CsvTypes<'_>) -> Option<Frame> {
    read_csv(
        text,
        &CsvOptions { types, datetimes: Datetimes::Refuse, uneven_rows: UnevenRows::Fit },
    )
    .ok()
}

fn column_type(name: &Json) -> ColumnType {
    ColumnType::from_name(name.as_str().unwrap()).unwrap()
}

fn bits(value: f64) -> Json {
    if value.is_nan() { Json::from("nan") } else { format!("{:016x}", value.to_bits()).into() }
}

fn cell(value: &Value) -> Json {
    match value {
        Value::Bool(value) => serde_json::json!({"bool": value}),
        Value::Int(value) => serde_json::json!({"int": value.to_string()}),
        Value::BigInt(value) => serde_json::json!({"int": value.to_string()}),
        Value::Float(value) => serde_json::json!({"float": bits(*value)}),
        Value::Str(value) => serde_json::json!({"str": value}),
        other => panic!("pandas never reads {} from a CSV", other.type_name()),
    }
}

fn values(series: &Series) -> Vec<Json> {
    let text = |value: &dyn ToString| Json::from(value.to_string());
    match series {
        Series::Bool(values) => values.iter().map(|value| Json::from(*value)).collect(),
        Series::I32(values) => values.iter().map(|value| text(value)).collect(),
        Series::I64(values) => values.iter().map(|value| text(value)).collect(),
        Series::U64(values) => values.iter().map(|value| text(value)).collect(),
        Series::F32(values) => values.iter().map(|value| bits(f64::from(*value))).collect(),
        Series::F64(values) => values.iter().map(|value| bits(*value)).collect(),
        Series::Datetime(values) => values.iter().map(|value| text(value)).collect(),
        Series::Object(values) => values.iter().map(cell).collect(),
        other => panic!("pandas never reads {} from a CSV", other.dtype_name()),
    }
}

fn recorded_form(frame: &Frame) -> Json {
    let columns: Vec<Json> = frame
        .columns
        .iter()
        .map(|(label, series)| {
            let Label::Name(name) = label else { panic!("a CSV column has a name") };
            assert_eq!(series.len(), frame.rows);
            serde_json::json!([name, series.dtype_name(), values(series)])
        })
        .collect();
    serde_json::json!({"rows": frame.rows, "columns": columns})
}

#[test]
fn reads_what_pandas_reads() {
    // A recording of your own, to try more cases than are kept.
    let recorded = match std::env::var("FLOWGATE_TEST_CSV_CASES") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => RECORDED.to_owned(),
    };
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in recorded.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let named: Vec<(String, ColumnType)> = case["named"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| (pair[0].as_str().unwrap().to_owned(), column_type(&pair[1])))
            .collect();
        let positional: Vec<ColumnType> =
            case["positional"].as_array().into_iter().flatten().map(column_type).collect();
        let types = if case["named"].is_array() {
            CsvTypes::Named(&named)
        } else if case["positional"].is_array() {
            CsvTypes::Positional(&positional)
        } else {
            CsvTypes::Inferred
        };
        let ours = read(text, types).map_or(Json::Null, |frame| recorded_form(&frame));
        if ours != case["result"] {
            wrong.push(format!("{line}\n  ours: {ours}"));
        }
        checked += 1;
    }
    assert!(checked >= 1_000, "the recording is complete: {checked}");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// pandas infers types part by part and joins the parts, which shows in long columns.
#[test]
fn long_columns_are_inferred_in_parts() {
    // A wide header makes the parts short: 2^20 cells.
    let part = 512;
    let header = format!("a{}", ",".repeat(1023));
    let column = |ones: usize, last: &str| {
        let text = format!("{header}\n{}{last}\n", "1\n".repeat(ones));
        read(&text, CsvTypes::Inferred).unwrap().columns.remove(0).1
    };

    assert_eq!(column(part, "2").dtype_name(), "int64");
    assert_eq!(column(part, "2.5").dtype_name(), "float64");
    let Series::Object(values) = column(part, "x") else { panic!("an object column") };
    assert_eq!(values[part - 1..], [Value::Int(1), Value::Str("x".into())]);
    let Series::Object(values) = column(part, "True") else { panic!("an object column") };
    assert_eq!(values[part - 1..], [Value::Int(1), Value::Bool(true)]);
    // With one row less it is one part: all text.
    let Series::Object(values) = column(part - 1, "x") else { panic!("an object column") };
    assert_eq!(values[part - 2], Value::Str("1".into()));
}

#[test]
fn errors_name_the_column_and_not_the_cell() {
    let types = [("age".to_owned(), ColumnType::Long), ("when".to_owned(), ColumnType::Datetime)];
    let options = CsvOptions {
        types: CsvTypes::Named(&types),
        datetimes: Datetimes::Refuse,
        uneven_rows: UnevenRows::Fit,
    };
    let message = |text| read_csv(text, &options).unwrap_err().message;

    let expected = "Invalid CSV: column `age`: expected whole numbers, none missing.";
    assert_eq!(message("age,x\nsecret,1\n"), expected);
    assert!(
        message("when\n2024-02-29\n").starts_with("Invalid CSV: column `when`: expected dates")
    );
    assert_eq!(message("a\n1\n\n2,3\n"), "Invalid CSV: expected 1 fields in line 4, got 2.");
    let expected = "Invalid CSV: a quoted field that starts in line 2 has no closing quote.";
    assert_eq!(message("a\n\"secret"), expected);
    assert_eq!(message(" \n"), "Invalid CSV: there is no header line.");
}

#[test]
fn datetimes_are_read_when_unambiguous() {
    let types = [("t".to_owned(), ColumnType::Datetime)];
    let options = CsvOptions {
        types: CsvTypes::Named(&types),
        datetimes: Datetimes::Parse,
        uneven_rows: UnevenRows::Fit,
    };
    let column =
        |text: &str| read_csv(text, &options).map(|mut frame| frame.columns.remove(0).1).ok();

    let day = 1_709_164_800_000_000_000;
    assert_eq!(column("t,x\n2024-02-29,1\nNA,2\n"), Some(Series::Datetime(vec![day, NAT])));
    let second = Series::Datetime(vec![day + 1_000_000_000]);
    assert_eq!(column("t,x\n2024-02-29T00:00:01,1\n"), Some(second));
    assert_eq!(column("t,x\n,1\n"), Some(Series::Datetime(vec![NAT])));
    for ambiguous in ["02/03/2024", "1709164800", "29 Feb 2024", "20240229", "2024-02-30", "x"] {
        let text = format!("t,x\n{ambiguous},1\n");
        assert_eq!(column(&text), None, "{ambiguous}");
    }
}

#[test]
fn size_is_bounded() {
    let header = "a,".repeat(COLUMNS_MAX - 1);
    assert!(read(&header, CsvTypes::Inferred).is_some());
    assert!(read(&format!("{header},"), CsvTypes::Inferred).is_none());
    // 130 kB that would ask for 3 billion cells.
    let padded = format!("{header}\n{}", "1\n".repeat(50_000));
    assert!(read(&padded, CsvTypes::Inferred).is_none());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in "([a1,\"\r\n \t\u{0}é.-]|NA|True|1e5|\u{feff}){0,60}",
        ty in prop::sample::select(vec![ColumnType::Long, ColumnType::Double, ColumnType::Boolean]),
    ) {
        for types in [CsvTypes::Inferred, CsvTypes::Positional(&[ty])] {
            if let Some(frame) = read(&text, types) {
                for (_, series) in &frame.columns {
                    prop_assert_eq!(series.len(), frame.rows);
                }
            }
        }
    }
}
