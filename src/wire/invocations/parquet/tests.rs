use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use base64::Engine as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::WireErrorKind;
use super::super::frame::{Frame, Label, Series};
use super::super::value::Value;
use super::read_parquet;

/// What pandas read, recorded by `tests/fixtures/parquet/record.py`, which says what the lines
/// mean.
const RECORDED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parquet/cases.jsonl"));

const BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
struct Case {
    name: String,
    body: Vec<u8>,
    result: Json,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let case = |line| {
        let case: Json = serde_json::from_str(line).unwrap();
        Case {
            name: case["name"].as_str().unwrap().to_owned(),
            body: base64::prelude::BASE64_STANDARD.decode(case["body"].as_str().unwrap()).unwrap(),
            result: case["result"].clone(),
        }
    };
    RECORDED.lines().map(case).collect()
});

fn write(array: ArrayRef, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
    let properties = properties.set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    body
}

fn refusal(body: &[u8]) -> String {
    let error = read_parquet(body, BYTES_MAX).unwrap_err();
    assert_eq!(error.kind, WireErrorKind::BadRequest);
    error.message
}

fn bits(value: f64) -> Json {
    if value.is_nan() { Json::from("nan") } else { format!("{:016x}", value.to_bits()).into() }
}

fn cell(value: &Value) -> Json {
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    match value {
        Value::None => Json::Null,
        Value::Bool(value) => json!({"bool": value}),
        Value::Int(value) => json!({"int": value.to_string()}),
        Value::BigInt(value) => json!({"int": value.to_string()}),
        Value::Float(value) => json!({"float": bits(*value)}),
        Value::Str(value) | Value::Surrogates(value) => json!({"str": value}),
        Value::Bytes(bytes) => json!({"bytes": hex(bytes)}),
        Value::Date(_) => json!({"other": "date"}),
        Value::Other(name) => json!({"other": name}),
        Value::ZeroRank(element) => cell(element),
        Value::List(values) | Value::Array(values) => {
            json!({"list": values.iter().map(cell).collect::<Vec<_>>()})
        }
        Value::Dict(pairs) => {
            let pairs: Vec<Json> =
                pairs.iter().map(|(key, value)| json!([key, cell(value)])).collect();
            json!({"dict": pairs})
        }
    }
}

fn values(series: &Series) -> Vec<Json> {
    fn texts<T: ToString>(values: &[T]) -> Vec<Json> {
        values.iter().map(|value| Json::from(value.to_string())).collect()
    }
    match series {
        Series::Bool(values) => values.iter().map(|value| Json::from(*value)).collect(),
        Series::I8(values) => texts(values),
        Series::I16(values) => texts(values),
        Series::I32(values) => texts(values),
        Series::I64(values) => texts(values),
        Series::U8(values) => texts(values),
        Series::U16(values) => texts(values),
        Series::U32(values) => texts(values),
        Series::U64(values) => texts(values),
        Series::F16(values) => values.iter().map(|value| bits(f64::from(*value))).collect(),
        Series::F32(values) => values.iter().map(|value| bits(f64::from(*value))).collect(),
        Series::F64(values) => values.iter().map(|value| bits(*value)).collect(),
        Series::Datetime(values) | Series::DatetimeTz(values) => {
            values.iter().map(|value| Json::from(*value)).collect()
        }
        Series::Object(values) | Series::Category(values) => values.iter().map(cell).collect(),
    }
}

fn recorded_form(frame: &Frame) -> Json {
    let columns: Vec<Json> = frame
        .columns
        .iter()
        .map(|(label, series)| {
            let label = match label {
                Label::Name(name) => Json::from(name.as_str()),
                Label::Number(number) => json!({"int": number}),
                Label::Other(value) => cell(value),
            };
            // The recorder writes categories as the objects that they hold.
            let dtype = match series {
                Series::Category(_) => "object",
                other => other.dtype_name(),
            };
            json!([label, dtype, values(series)])
        })
        .collect();
    json!({"rows": frame.rows, "columns": columns})
}

#[test]
fn reads_what_pandas_reads() {
    assert!(CASES.len() > 100, "the recording is complete: {}", CASES.len());
    let mut wrong = Vec::new();
    for case in CASES.iter() {
        let ours = read_parquet(&case.body, BYTES_MAX);
        let ours =
            ours.map_or_else(|error| Json::from(error.message), |frame| recorded_form(&frame));
        if ours != case.result && !(ours.is_string() && case.result.is_null()) {
            wrong.push(format!("{}\n  pandas: {}\n  ours:   {ours}", case.name, case.result));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn small_files_do_not_become_large() {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 200_000]));
    let too_large = "Invalid Parquet: unpacked it is larger than 1048576 bytes.";
    for properties in [plain(), WriterProperties::builder()] {
        let body = write(Arc::clone(&zeros), properties);
        assert!(body.len() < 2_000, "a small file: {}", body.len());
        assert_eq!(refusal(&body), too_large);
    }

    let long = "x".repeat(10_000);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 1_000]));
    let body = write(Arc::clone(&texts), WriterProperties::builder());
    assert!(refusal(&body).starts_with("Invalid Parquet: its cells take more than"));
    for encoding in [Encoding::PLAIN, Encoding::DELTA_BYTE_ARRAY] {
        let body = write(Arc::clone(&texts), plain().set_encoding(encoding));
        assert_eq!(refusal(&body), too_large, "{encoding}");
    }
}

/// A file that is a footer: a schema and nothing else.
fn schema_only(elements: &[u8], count: usize) -> Vec<u8> {
    let mut footer = vec![0x15, 0x04, 0x19, 0xfc];
    let mut rest = count;
    while rest >= 0x80 {
        footer.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    footer.push(rest as u8);
    footer.extend_from_slice(elements);
    // No rows and no row groups.
    footer.extend_from_slice(&[0x16, 0x00, 0x19, 0x0c, 0x00]);
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [b"PAR1", footer.as_slice(), &length, b"PAR1"].concat()
}

#[test]
fn schemas_are_bounded() {
    let group = |children: u8| vec![0x35, 0x02, 0x18, 1, b'g', 0x15, children * 2, 0x00];
    let leaf = vec![0x15, 0x04, 0x25, 0x02, 0x18, 1, b'l', 0x00];

    // What the crate would follow on the stack, to its end.
    let deep = [group(1).repeat(100_000), leaf.clone()].concat();
    assert!(refusal(&schema_only(&deep, 100_001)).contains("nested 100000 deep"));
    // More children, or more elements, than there are.
    let greedy = [group(60), leaf.clone()].concat();
    assert!(refusal(&schema_only(&greedy, 2)).contains("damaged"));
    assert!(refusal(&schema_only(&leaf, usize::MAX >> 1)).contains("damaged"));

    let body = schema_only(&[group(1), leaf].concat(), 2);
    let frame = read_parquet(&body, BYTES_MAX).unwrap();
    assert_eq!((frame.rows, frame.columns.len()), (0, 1));
}

/// Recorded files that are more than a few bytes.
fn any_file() -> impl Strategy<Value = &'static Case> {
    prop::sample::select(CASES.iter().filter(|case| case.body.len() > 100).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Bytes changed, taken out or put in anywhere: the file is read or refused. The crate's own
    /// panics are contained, and say so in the output of this test.
    #[test]
    fn damaged_files_are_read_or_refused(
        case in any_file(),
        damages in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..5),
        in_footer: bool,
    ) {
        let mut body = case.body.clone();
        for (place, byte, kind) in damages {
            let footer = body.len().saturating_sub(800);
            let place = if in_footer {
                footer + place.index(body.len() - footer)
            } else {
                place.index(body.len())
            };
            match kind % 4 {
                0 | 1 => body[place] = byte,
                2 => drop(body.remove(place)),
                _ => body.insert(place, byte),
            }
        }
        match read_parquet(&body, BYTES_MAX) {
            Ok(frame) => {
                for (_, series) in &frame.columns {
                    prop_assert_eq!(series.len(), frame.rows);
                }
            }
            Err(error) => prop_assert_eq!(error.kind, WireErrorKind::BadRequest),
        }
    }
}
