//! Every form in, every form out: what is written, and that it does not depend on the batches.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Stdio;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;

use super::files::{
    CHURN, CUSTOMERS, DIGITS, FIXTURES, Place, WINE, command, ended, lines, read_parquet, wine_csv,
    wine_records, wines,
};

#[test]
fn every_form_in_and_out_holds_the_same_predictions() {
    let place = wines(250);
    place.score(WINE, "in.csv", "want.jsonl", &[]);
    // As the graph computed them.
    let single = |value: &Json| value["quality"].as_f64().unwrap() as f32;
    let want: Vec<f32> = place
        .read("want.jsonl")
        .lines()
        .map(|line| {
            let record: Json = serde_json::from_str(line).unwrap();
            single(&record)
        })
        .collect();
    assert_eq!(want.len(), 250);
    for input in ["in.csv", "in.json", "in.jsonl", "in.parquet"] {
        for output in ["out.csv", "out.json", "out.jsonl", "out.parquet"] {
            place.score(WINE, input, output, &["--rows-per-batch", "64"]);
        }
        assert_eq!(place.read("out.jsonl"), place.read("want.jsonl"), "{input}");
        let csv = place.read("out.csv");
        let (header, rows) = csv.split_once('\n').unwrap();
        assert_eq!(header, "quality");
        let found: Vec<f32> = rows.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(found, want, "{input}");
        let document: Json = serde_json::from_str(&place.read("out.json")).unwrap();
        let records = document["predictions"].as_array().unwrap();
        let found: Vec<f32> = records.iter().map(single).collect();
        assert_eq!(found, want, "{input}");
        let table = read_parquet(&place.path("out.parquet"));
        let column = table.column_by_name("quality").unwrap().as_primitive::<Float32Type>();
        assert_eq!(column.values().to_vec(), want, "{input}");
    }
}

#[test]
fn small_batches_give_what_one_batch_gives() {
    let place = Place::new();
    place.write("in.csv", &wine_csv(100_000));
    place.score(WINE, "in.csv", "small.csv", &["--rows-per-batch", "37"]);
    place.score(WINE, "in.csv", "large.csv", &["--rows-per-batch", "100000"]);
    let small = place.read("small.csv");
    assert_eq!(small.lines().count(), 100_001);
    assert!(small == place.read("large.csv"));
}

#[test]
fn columns_of_texts_and_booleans_are_scored_and_typed() {
    let place = Place::new();
    place.write("in.csv", CUSTOMERS);
    place.score(CHURN, "in.csv", "out.parquet", &["--rows-per-batch", "2"]);
    let table = read_parquet(&place.path("out.parquet"));
    let types: Vec<String> =
        table.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    assert_eq!(table.num_rows(), 5);
    place.score(CHURN, "in.csv", "out.jsonl", &[]);
    let records: Vec<Json> =
        place.read("out.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&String> = records[0].as_object().unwrap().keys().collect();
    assert_eq!(types.len(), names.len(), "{types:?}");
    // What one row gives does not depend on the rows around it.
    let alone =
        CUSTOMERS.lines().next().unwrap().to_owned() + "\n" + CUSTOMERS.lines().last().unwrap();
    place.write("one.csv", &alone);
    place.score(CHURN, "one.csv", "one.jsonl", &[]);
    assert_eq!(place.read("one.jsonl").lines().next(), place.read("out.jsonl").lines().last());
}

#[test]
fn arrays_are_scored_one_a_line() {
    let example = fs::read_to_string(format!("{DIGITS}/serving_input_example.json")).unwrap();
    let example: Json = serde_json::from_str(&example).unwrap();
    let images = example["inputs"].as_array().unwrap();
    let many: Vec<Json> = images.iter().cycle().take(23).cloned().collect();
    let place = Place::new();
    place.write("in.jsonl", &lines(&many));
    place.write("in.json", &example.to_string());
    place.score(DIGITS, "in.jsonl", "out.parquet", &["--rows-per-batch", "5"]);
    let table = read_parquet(&place.path("out.parquet"));
    assert_eq!(table.num_rows(), 23);
    let labels = table.column_by_name("label").unwrap().as_primitive::<Int64Type>();
    let lists = table.column_by_name("probabilities").unwrap().as_list::<i32>();
    for row in 0..23 {
        let probabilities = lists.value(row);
        let probabilities = probabilities.as_primitive::<Float32Type>().values().to_vec();
        assert_eq!(probabilities.len(), 10);
        let best = probabilities.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(probabilities[usize::try_from(labels.value(row)).unwrap()], best);
    }
    // A request body of the server works as it is.
    place.score(DIGITS, "in.json", "out.jsonl", &[]);
    place.score(DIGITS, "in.jsonl", "all.jsonl", &[]);
    assert!(place.read("all.jsonl").starts_with(&place.read("out.jsonl")));
}

#[test]
fn maps_are_a_map_column() {
    let model = format!("{FIXTURES}/iris_zipmap");
    let example = fs::read_to_string(format!("{model}/serving_input_example.json"));
    let body = example.unwrap_or_else(|_| iris_body());
    let place = Place::new();
    place.write("in.json", &body);
    place.score(&model, "in.json", "out.parquet", &[]);
    place.score(&model, "in.json", "out.jsonl", &[]);
    let table = read_parquet(&place.path("out.parquet"));
    let first: Json =
        serde_json::from_str(place.read("out.jsonl").lines().next().unwrap()).unwrap();
    let (name, want) =
        first.as_object().unwrap().iter().find(|(_, value)| value.is_object()).unwrap();
    let maps = table.column_by_name(name).unwrap().as_map();
    let entries = maps.value(0);
    let keys: Vec<&str> = entries.column(0).as_string::<i32>().iter().flatten().collect();
    let values: Vec<f32> = entries
        .column(1)
        .as_primitive::<Float64Type>()
        .values()
        .iter()
        .map(|v| *v as f32)
        .collect();
    assert_eq!(keys, want.as_object().unwrap().keys().collect::<Vec<_>>());
    let want = want.as_object().unwrap().values().map(|value| value.as_f64().unwrap() as f32);
    assert_eq!(values, want.collect::<Vec<_>>());
}

/// Two irises for a model that was saved without an example.
fn iris_body() -> String {
    let names = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"];
    let split = serde_json::json!({
        "columns": names, "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]],
    });
    serde_json::json!({ "dataframe_split": split }).to_string()
}

#[test]
fn no_rows_give_an_empty_file_with_its_columns() {
    let place = Place::new();
    place.write("in.csv", &wine_csv(0));
    for (output, want) in
        [("out.csv", "quality\n"), ("out.jsonl", ""), ("out.json", "{\"predictions\": []}")]
    {
        place.score(WINE, "in.csv", output, &[]);
        assert_eq!(place.read(output), want);
    }
    place.score(WINE, "in.csv", "out.parquet", &[]);
    let file = File::open(place.path("out.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(builder.schema().field(0).name(), "quality");
    place.write("in.jsonl", "\n");
    place.score(WINE, "in.jsonl", "out.csv", &[]);
    assert_eq!(place.read("out.csv"), "quality\n");
}

#[test]
fn standard_streams_speak_json_as_mlflows() {
    let mut child = command(WINE)
        .args(["-i", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let body = Json::Array(wine_records(2)).to_string();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("{\"predictions\": [{\"quality\": "), "{}", ended.stdout);
    assert!(ended.stderr.starts_with("scored 2 rows in "), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("written to standard output\n"), "{}", ended.stderr);
}
