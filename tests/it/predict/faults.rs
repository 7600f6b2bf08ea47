//! Bad rows, bad usage, signals: what is said, the exit code, and that nothing is left behind.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use serde_json::Value as Json;

use super::files::{
    CHURN, CUSTOMERS, FIXTURES, Place, WINE, command, ended, lines, wine_csv, wine_records,
    write_parquet,
};

/// Runs on bad input, which must end with 1, one sentence and no file; the sentence's start is the
/// file's name and its rest is given back.
fn refused(place: &Place, model: &str, input: &str, more: &[&str]) -> String {
    let before = place.names();
    let ended = place.predict(model, input, "out.csv", more);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(place.names().len(), before.len(), "something was left: {:?}", place.names());
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let start = format!("flowgate: {}", place.path(input).display());
    let said = ended.stderr.trim_end().strip_prefix(&start);
    said.unwrap_or_else(|| panic!("{}", ended.stderr)).to_owned()
}

#[test]
fn a_bad_row_of_a_csv_is_named_with_line_and_column() {
    let place = Place::new();
    for (row, batch) in [(1, "1"), (7, "3"), (500, "64"), (999, "1000"), (1000, "7")] {
        let mut lines: Vec<String> = wine_csv(1000).lines().map(str::to_owned).collect();
        lines[row] = lines[row].rsplit_once(',').unwrap().0.to_owned() + ",strong";
        place.write("in.csv", &lines.join("\n"));
        let said = refused(&place, WINE, "in.csv", &["--rows-per-batch", batch]);
        let start = format!(", row {row} (line {}): ", row + 1);
        assert!(said.starts_with(&start) && said.contains("column `alcohol`"), "{said}");
        assert!(!said.contains("strong"), "a cell may be a secret: {said}");
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let place = Place::new();
    let bad = CUSTOMERS.replace("1,9,90,True", "1,9,90,maybe");
    place.write("in.csv", &bad);
    let said = refused(&place, CHURN, "in.csv", &[]);
    assert!(said.starts_with(", row 4 (line 7): "), "{said}");
    assert!(said.contains("column `senior_citizen`"), "{said}");
    place.write("in.csv", &CUSTOMERS.replace("30,1,50.5", "30,1,50.5,4"));
    let said = refused(&place, CHURN, "in.csv", &[]);
    assert_eq!(said, ", row 5 (line 8): expected 8 values, got 9");
    place.write("in.csv", &CUSTOMERS.replace("two-year", "\"two-year"));
    let said = refused(&place, CHURN, "in.csv", &["--rows-per-batch", "1"]);
    assert_eq!(said, ", row 5 (line 8): a quoted field has no closing quote");
}

#[test]
fn a_bad_row_of_json_lines_is_named_with_line_and_column() {
    let place = Place::new();
    let mut records = wine_records(50);
    records[41]["pH"] = "sour".into();
    place.write("in.jsonl", &lines(&records).replace('\n', "\n\n"));
    let said = refused(&place, WINE, "in.jsonl", &["--rows-per-batch", "20"]);
    assert!(said.starts_with(", row 42 (line 83): ") && said.contains("pH"), "{said}");
    place.write("in.json", &Json::Array(records).to_string());
    let said = refused(&place, WINE, "in.json", &["--rows-per-batch", "20"]);
    assert!(said.starts_with(", row 42 (line 1): ") && said.contains("pH"), "{said}");

    let mut text = lines(&wine_records(9));
    text.push_str("{\"pH\": 3,}\n");
    place.write("in.jsonl", &text);
    let said = refused(&place, WINE, "in.jsonl", &[]);
    assert!(said.starts_with(", row 10 (line 10): not valid JSON: "), "{said}");
    place.write("in.jsonl", "{}, {}\n");
    let said = refused(&place, WINE, "in.jsonl", &[]);
    assert_eq!(said, ", row 1 (line 1): expected one JSON value in the line");
}

#[test]
fn a_bad_row_of_a_parquet_file_is_named_with_its_column() {
    let place = Place::new();
    let rows = 100;
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let mut months: Vec<Option<i64>> = (0..100).map(Some).collect();
    months[77] = None;
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true; rows]));
    let columns = |months: Vec<Option<i64>>| -> Vec<(&str, ArrayRef)> {
        vec![
            ("tenure_months", Arc::new(Int64Array::from(months))),
            ("support_calls", Arc::new(Int64Array::from(vec![1; rows]))),
            ("monthly_charges", Arc::new(Float64Array::from(vec![70.0; rows]))),
            ("senior_citizen", Arc::clone(&flags)),
            ("paperless_billing", Arc::clone(&flags)),
            ("contract", texts("one-year")),
            ("internet_service", texts("fiber")),
            ("payment_method", texts("credit-card")),
        ]
    };
    write_parquet(&place.path("in.parquet"), columns((0..100).map(Some).collect()));
    place.score(CHURN, "in.parquet", "good.csv", &["--rows-per-batch", "9"]);
    assert_eq!(place.read("good.csv").lines().count(), 101);
    write_parquet(&place.path("in.parquet"), columns(months));
    let said = refused(&place, CHURN, "in.parquet", &["--rows-per-batch", "10"]);
    assert!(said.starts_with(", row 78: ") && said.contains("tenure_months"), "{said}");

    let mut charges = columns((0..100).map(Some).collect());
    charges[2].1 = texts("much");
    write_parquet(&place.path("in.parquet"), charges);
    let said = refused(&place, CHURN, "in.parquet", &[]);
    assert!(said.contains("monthly_charges"), "{said}");
}

#[test]
fn what_is_wrong_with_all_rows_names_no_row() {
    let place = Place::new();
    place.write("in.csv", &wine_csv(3).replacen("alcohol", "alcool", 1));
    let said = refused(&place, WINE, "in.csv", &[]);
    assert!(said.starts_with(": ") && said.contains("alcohol"), "{said}");
    place.write("in.parquet", "PAR1 no");
    let said = refused(&place, WINE, "in.parquet", &[]);
    assert!(said.starts_with(": not a readable Parquet file"), "{said}");
    let missing = place.predict(WINE, "gone.csv", "out.csv", &[]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("cannot read ") && missing.stderr.contains("gone.csv"));
}

#[test]
fn without_a_signature_the_first_rows_decide_and_a_later_one_is_held_to_them() {
    let model = format!("{FIXTURES}/iris_nosig");
    let place = Place::new();
    let row = |i: usize| format!("{}.5,3.25,{}.75,0.5\n", i % 3 + 4, i % 5 + 1);
    let header = "sepal_length,sepal_width,petal_length,petal_width\n";
    // More than is looked at beforehand. A block of whole numbers alone is of floats all the same.
    let mut text: String = (0..80_000).map(row).collect();
    text.push_str("5,3,2,1\n");
    place.write("in.csv", &format!("{header}{text}"));
    place.score(&model, "in.csv", "out.csv", &["--rows-per-batch", "1000"]);
    assert_eq!(place.read("out.csv").lines().count(), 80_002);
    fs::remove_file(place.path("out.csv")).unwrap();
    place.write("in.csv", &format!("{header}{text}red,3,2,1\n"));
    let said = refused(&place, &model, "in.csv", &[]);
    assert!(said.starts_with(", row 80002 (line 80003): "), "{said}");
}

#[test]
fn usage_that_makes_no_sense_ends_with_2() {
    let place = Place::new();
    place.write("in.txt", "");
    place.write("in.csv", "");
    for (input, more, said) in [
        ("in.txt", &[][..], "says no type"),
        ("in.csv", &["-t", "xml"][..], "xml"),
        ("in.csv", &["--rows-per-batch", "0"][..], "0"),
        ("in.csv", &["--colour"][..], "--colour"),
    ] {
        let ended = place.predict(WINE, input, "out.csv", more);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let parquet = ended(command(WINE).args(["-t", "parquet"]).output().unwrap());
    assert_eq!(parquet.code, Some(2), "{}", parquet.stderr);
    let output = Command::new(env!("CARGO_BIN_EXE_flowgate")).arg("predict").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_signal_ends_it_without_leaving_anything() {
    for name in ["-INT", "-TERM"] {
        let place = Place::new();
        let mut child = command(WINE)
            .args(["-t", "csv", "-o"])
            .arg(place.path("out.csv"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The input stays open, so the reader waits for ever.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(wine_csv(5000).as_bytes()).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while place.names().is_empty() {
            assert!(Instant::now() < deadline, "no temporary file appeared");
            std::thread::yield_now();
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        assert!(ended.stderr.contains("stopped before the end"), "{}", ended.stderr);
        assert_eq!(place.names(), Vec::<String>::new());
        drop(stdin);
    }
}
