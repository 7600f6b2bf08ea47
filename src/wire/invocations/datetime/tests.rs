use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::frame::{NAT, Series};
use super::super::value::Value;
use super::format::Format;
use super::{DatetimeError, is_datetime64, to_datetime};

/// Recorded by `tests/fixtures/datetime/record.py`, which says what the lines mean.
const RECORDED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/datetime/cases.jsonl"));

fn cell(json: &Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(values) => Value::List(values.iter().map(cell).collect()),
        Json::Object(typed) => match (typed.get("float"), typed.get("int")) {
            (Some(value), _) => Value::Float(value.as_str().unwrap().parse().unwrap()),
            (_, Some(value)) => Value::BigInt(Box::new(value.as_str().unwrap().parse().unwrap())),
            _ => panic!("a typed cell is a float or an integer"),
        },
    }
}

fn result(cells: &Json) -> Json {
    let cells = cells.as_array().unwrap().iter().map(cell).collect();
    match to_datetime(&Series::Object(cells)) {
        Ok(Series::Datetime(values)) => serde_json::json!(["naive", values]),
        Ok(Series::DatetimeTz(values)) => serde_json::json!(["aware", values]),
        Ok(Series::Object(_)) => serde_json::json!(["object", null]),
        Ok(other) => panic!("{} is no datetime", other.dtype_name()),
        Err(_) => Json::Null,
    }
}

/// Whether pandas reads the column only with the help of `dateutil`, which we refuse to guess
/// after: a first text in none of the known formats.
fn is_left_to_dateutil(case: &Json) -> bool {
    let texts = case["column"].as_array().unwrap().iter().filter_map(Json::as_str);
    let known = |text: &str| text.is_empty() || Format::guess(text).is_some();
    !case["result"].is_null() && !texts.into_iter().all(known)
}

#[test]
fn reads_what_pandas_and_numpy_read() {
    // A recording of your own, to try more cases than are kept.
    let recorded = match std::env::var("FLOWGATE_TEST_DATETIME_CASES") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => RECORDED.to_owned(),
    };
    let (mut checked, mut left, mut wrong) = (0, 0, Vec::new());
    for line in recorded.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        checked += 1;
        if let Some(parameter) = case["parameter"].as_str() {
            if case["taken"].as_bool() != Some(is_datetime64(parameter)) {
                wrong.push(line.to_owned());
            }
            continue;
        }
        let ours = result(&case["column"]);
        if ours == case["result"] {
            continue;
        }
        if ours.is_null() && is_left_to_dateutil(&case) {
            left += 1;
        } else {
            wrong.push(format!("{line}\n  ours: {ours}"));
        }
    }
    assert!(checked >= 500, "the recording is complete: {checked}");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(left * 10 < checked, "{left} of {checked} are left to dateutil");
}

#[test]
fn numbers_are_nanoseconds() {
    let datetimes = |values: &[i64]| Ok(Series::Datetime(values.to_vec()));
    assert_eq!(to_datetime(&Series::I32(vec![5, -5])), datetimes(&[5, -5]));
    let floats = Series::F64(vec![1.5, -1.5, f64::NAN, f64::INFINITY, 9.3e18]);
    assert_eq!(to_datetime(&floats), datetimes(&[1, -1, NAT, NAT, NAT]));
    assert_eq!(to_datetime(&Series::U64(vec![7])), datetimes(&[7]));
    let too_big = Series::U64(vec![7, 1 << 63]);
    assert_eq!(to_datetime(&too_big), Err(DatetimeError::OutOfBounds { row: 1 }));
    let booleans = Series::Bool(vec![true]);
    assert_eq!(to_datetime(&booleans), Err(DatetimeError::Type { row: 0, got: "boolean" }));
    assert_eq!(to_datetime(&Series::Datetime(vec![NAT])), datetimes(&[NAT]));
}

#[test]
fn errors_say_where_and_what() {
    let error = |cells: &[&str]| {
        let cells = cells.iter().map(|text| Value::Str((*text).into())).collect();
        to_datetime(&Series::Object(cells)).unwrap_err().to_string()
    };
    assert_eq!(
        error(&["2024-02-29T12:00", "2024-02-29"]),
        "expected the format `%Y-%m-%dT%H:%M` in all rows, got another in row 1"
    );
    assert_eq!(
        error(&["", "secret"]),
        "expected a date or time in ISO 8601, got another text in row 1"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([0-9]{1,4}|[-+:T.Z ]|Feb|\\PC){0,16}") {
        let _ = to_datetime(&Series::Object(vec![Value::Str(text.clone())]));
        let _ = is_datetime64(&text);
    }

    #[test]
    fn a_written_time_reads_back(seconds in -9_223_372_036_i64..9_223_372_036) {
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        for format in ["%Y-%m-%dT%H:%M:%S", "%d %b %Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p"] {
            let text = Value::Str(time.format(format).to_string());
            let read = to_datetime(&Series::Object(vec![text]));
            prop_assert_eq!(read, Ok(Series::Datetime(vec![seconds * 1_000_000_000])));
        }
    }
}

#[test]
fn words_and_afternoons_have_no_format_of_their_own() {
    for (cells, reads) in [
        (["now", "2024-01-01"], true),
        (["2024-01-01", "today"], true),
        (["now", "null"], false),
        (["2/29/2024 1:02 PM", "2024-01-01"], true),
        (["2/29/2024 1:02 AM", "2024-01-01"], false),
        (["2/29/2024 1:02 PM", "abc"], false),
    ] {
        let series = Series::Object(cells.map(|text| Value::Str(text.into())).to_vec());
        assert_eq!(to_datetime(&series).is_ok(), reads, "{cells:?}");
    }
}
