//! Decoding takes no more memory than is said beforehand, for the bodies that take most.
//!
//! One test, as the allocator counts for the whole process.

use flowgate::model::{
    ColumnSpec, ColumnType, Columns, GraphInput, GraphIo, Schema, Signature, TensorDType,
    TensorSpec, ValueType,
};
use flowgate::tensor::{DType, Dim, Dims};
use flowgate::wire::invocations::{RecordShape, Scoring, ScoringOptions};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const PARQUET: &str = "application/vnd.apache.parquet";

fn scoring(inputs: Option<Schema>, dtype: DType) -> Scoring {
    let dims = Dims(vec![Dim::Any, Dim::Any]);
    let io =
        GraphIo { inputs: vec![GraphInput { name: "a".into(), dtype, dims }], outputs: Vec::new() };
    let options =
        ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 28 };
    Scoring::new(Signature { inputs, outputs: None, params: None }, io, options)
}

fn column(ty: ColumnType, dtype: DType) -> Scoring {
    let spec = ColumnSpec { name: "a".into(), ty: ValueType::Scalar(ty), required: true };
    scoring(Some(Schema::Columns(Columns { specs: vec![spec], named: true })), dtype)
}

fn tensor(dtype: DType) -> Scoring {
    let dims = Dims(vec![Dim::Any, Dim::Any]);
    let spec = TensorSpec { name: None, dtype: TensorDType::Known(dtype), dims };
    scoring(Some(Schema::Tensors(vec![spec])), dtype)
}

fn models() -> Vec<Scoring> {
    vec![
        column(ColumnType::Double, DType::F64),
        column(ColumnType::String, DType::Str),
        tensor(DType::F64),
        tensor(DType::Str),
        scoring(None, DType::F32),
    ]
}

/// Most memory that was held at once, beyond what was held before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    let peak = ALLOCATOR.peak_usage() - before;
    drop(result);
    peak
}

fn list(item: &str, count: usize) -> String {
    vec![item; count].join(",")
}

/// Bodies of a kind each that takes much memory for its size, or is refused for that.
fn json_bodies() -> Vec<String> {
    let mut bodies = Vec::new();
    for cell in ["1", "1.5", "\"\"", "\"a\"", "[1]", "[[]]", "[1,2]", "{\"\":1}", "{\"a\":\"\"}"] {
        let cells = list(cell, 2000);
        bodies.push(format!("{{\"inputs\":[{cells}]}}"));
        bodies.push(format!("{{\"instances\":[[{cells}]]}}"));
        bodies.push(format!("{{\"inputs\":{{\"a\":[{cells}]}}}}"));
        bodies.push(format!("{{\"dataframe_records\":[{cells}]}}"));
        bodies.push(format!("{{\"dataframe_split\":{{\"columns\":[\"a\"],\"data\":[{cells}]}}}}"));
    }
    for records in [10, 100, 1000] {
        // Each record has a column that no other has.
        let members: Vec<String> = (0..records).map(|i| format!("{{\"{i}\":1}}")).collect();
        bodies.push(format!("{{\"dataframe_records\":[{}]}}", members.join(",")));
    }
    bodies
}

/// Bodies so long that what padding may take is little beside them.
fn long_bodies() -> Vec<String> {
    let bodies = [("{\"\":1}", 100_000), ("{\"a\":\"\"}", 70_000), ("1", 200_000)];
    bodies.map(|(cell, count)| format!("{{\"inputs\":[{}]}}", list(cell, count))).into()
}

fn csv_bodies() -> Vec<String> {
    let commas = |count| ",".repeat(count);
    let mut bodies = vec![commas(20_000) + "\n" + &commas(20_000)];
    for side in [10, 100, 1000] {
        bodies.push(commas(side) + "\n" + &"1\n".repeat(side));
        bodies.push(commas(side) + "\n" + &"x\n".repeat(side));
    }
    for cell in ["1", "x", "1.5", "2020-01-01"] {
        bodies.push(format!("a\n{}", list(cell, 5000).replace(',', "\n")));
    }
    bodies
}

fn parquet_bodies() -> Vec<Vec<u8>> {
    let recorded = include_str!("../fixtures/parquet/cases.jsonl");
    let cases = recorded.lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let body = case["body"].as_str().expect("the file, in base64");
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body).expect("base64")
    });
    cases.collect()
}

fn assert_exact(scoring: &Scoring, content_type: &str, body: &[u8]) {
    let name = String::from_utf8_lossy(&body[..body.len().min(60)]);
    let bound = scoring.exact_bytes_max(Some(content_type), body);
    let used = peak(|| scoring.decode_exactly(Some(content_type), body));
    assert!(used <= bound, "{used} of {bound} bytes for {} of {name}", body.len());
}

#[test]
fn decoding_takes_no_more_memory_than_is_said_beforehand() {
    let mut streamed = 0;
    for scoring in models() {
        for body in json_bodies() {
            let name = &body[..body.len().min(60)];
            let bound = scoring.usual_bytes_max(body.len());
            let used = peak(|| scoring.decode_usual(Some(JSON), body.as_bytes()));
            assert!(used <= bound, "{used} bytes to stream {} bytes of {name}", body.len());
            streamed += usize::from(scoring.decode_usual(Some(JSON), body.as_bytes()).is_some());
            assert_exact(&scoring, JSON, body.as_bytes());
        }
        for body in csv_bodies() {
            assert_exact(&scoring, CSV, body.as_bytes());
        }
        for body in parquet_bodies() {
            assert_exact(&scoring, PARQUET, &body);
        }
    }
    assert!(streamed > 10, "{streamed} bodies were usual ones");
    let texts = column(ColumnType::String, DType::Str);
    for body in long_bodies() {
        assert_exact(&texts, JSON, body.as_bytes());
    }
}
