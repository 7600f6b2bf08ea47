//! The wire alone: bodies to tensors and outputs to answers, by form and size.
//!
//! Would catch: a usual body that no longer streams (its decode would take ten times as long), an
//! allocation or a bounds check that crept into the loop over cells, a slower way to read or print
//! numbers, and anything that grows faster than a body does. Figures are throughputs too, in bytes
//! of the body, so that sizes can be compared with each other.
//!
//! `cargo bench --bench wire -- decode/split` runs a part.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowgate::model::{
    ColumnSpec, ColumnType, Columns, GraphInput, GraphIo, GraphOutput, Output, OutputKind,
    OutputRows, Schema, Signature, TensorDType, TensorSpec, ValueType,
};
use flowgate::tensor::{DType, Dim, Dims, Tensor};
use flowgate::wire::invocations::{Layout, RecordShape, Scoring, ScoringOptions};
use parquet::arrow::ArrowWriter;

/// The server's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const PARQUET: &str = "application/vnd.apache.parquet";

/// The columns of the wine model: short decimals of different sizes.
const COLUMNS: [(&str, f64, usize); 11] = [
    ("fixed acidity", 10.0, 1),
    ("volatile acidity", 1.0, 2),
    ("citric acid", 0.7, 2),
    ("residual sugar", 4.0, 1),
    ("chlorides", 0.1, 3),
    ("free sulfur dioxide", 40.0, 1),
    ("total sulfur dioxide", 90.0, 1),
    ("density", 1.0, 4),
    ("pH", 4.0, 2),
    ("sulphates", 1.0, 2),
    ("alcohol", 13.0, 1),
];
/// The width of a network that takes embeddings.
const WIDE: usize = 512;

/// A body with what it is called in the figures.
pub(crate) struct Body {
    pub(crate) form: &'static str,
    pub(crate) rows: usize,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) scoring: Scoring,
}

/// Numbers that look random and are the same at every run, in `0.0..1.0`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn wine_rows(rows: usize) -> Vec<Vec<String>> {
    let mut numbers = Numbers(7);
    let mut row = || {
        let cells = COLUMNS.iter();
        cells.map(|(_, size, digits)| format!("{:.*}", digits, size * numbers.next())).collect()
    };
    (0..rows).map(|_| row()).collect()
}

fn wide_rows(rows: usize) -> Vec<Vec<String>> {
    let mut numbers = Numbers(9);
    (0..rows)
        .map(|_| (0..WIDE).map(|_| format!("{:?}", numbers.next() * 2.0 - 1.0)).collect())
        .collect()
}

fn graph(width: usize, outputs: &[&str]) -> GraphIo {
    let kind = OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) };
    GraphIo {
        inputs: vec![GraphInput {
            name: "x".into(),
            dtype: DType::F32,
            dims: Dims(vec![Dim::Any, Dim::Fixed(width)]),
        }],
        outputs: outputs
            .iter()
            .map(|name| GraphOutput { name: (*name).into(), kind: kind.clone() })
            .collect(),
    }
}

fn scoring(inputs: Schema, io: GraphIo) -> Scoring {
    let options =
        ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 30 };
    Scoring::new(Signature { inputs: Some(inputs), outputs: None, params: None }, io, options)
}

fn by_columns() -> Scoring {
    let specs = COLUMNS.iter().map(|(name, ..)| ColumnSpec {
        name: (*name).into(),
        ty: ValueType::Scalar(ColumnType::Double),
        required: true,
    });
    let columns = Columns { specs: specs.collect(), named: true };
    scoring(Schema::Columns(columns), graph(COLUMNS.len(), &["variable"]))
}

fn by_tensor(width: usize, dtype: DType) -> Scoring {
    let dims = Dims(vec![Dim::Any, Dim::Fixed(width)]);
    let spec = TensorSpec { name: None, dtype: TensorDType::Known(dtype), dims };
    scoring(Schema::Tensors(vec![spec]), graph(width, &["variable"]))
}

/// `[[...], ...]`.
fn nested(rows: &[Vec<String>]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("[{}]", row.join(", "))).collect();
    format!("[{}]", rows.join(", "))
}

fn split(rows: &[Vec<String>]) -> String {
    let names: Vec<String> = COLUMNS.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    format!(
        "{{\"dataframe_split\": {{\"columns\": [{}], \"data\": {}}}}}",
        names.join(", "),
        nested(rows)
    )
}

fn records(rows: &[Vec<String>]) -> String {
    let record = |row: &Vec<String>| {
        let members =
            COLUMNS.iter().zip(row).map(|((name, ..), cell)| format!("\"{name}\": {cell}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    let records: Vec<String> = rows.iter().map(record).collect();
    format!("{{\"dataframe_records\": [{}]}}", records.join(", "))
}

/// `{"inputs": {"a": [...], ...}}`.
fn lists(rows: &[Vec<String>]) -> String {
    let list = |i: usize| rows.iter().map(|row| row[i].as_str()).collect::<Vec<_>>().join(", ");
    let members =
        COLUMNS.iter().enumerate().map(|(i, (name, ..))| format!("\"{name}\": [{}]", list(i)));
    format!("{{\"inputs\": {{{}}}}}", members.collect::<Vec<_>>().join(", "))
}

fn csv(rows: &[Vec<String>]) -> String {
    let mut text = COLUMNS.map(|(name, ..)| name).join(",");
    for row in rows {
        write!(text, "\n{}", row.join(",")).expect("a string takes all text");
    }
    text
}

fn parquet(rows: &[Vec<String>]) -> Vec<u8> {
    let column = |i: usize| -> ArrayRef {
        let cells = rows.iter().map(|row| row[i].parse().expect("a number"));
        Arc::new(Float64Array::from(cells.collect::<Vec<f64>>()))
    };
    let columns = COLUMNS.iter().enumerate().map(|(i, (name, ..))| (*name, column(i)));
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("plain columns");
    writer.write(&batch).expect("memory takes all bytes");
    writer.close().expect("memory takes all bytes");
    file
}

/// Every body that is measured.
pub(crate) fn bodies() -> Vec<Body> {
    let mut bodies = Vec::new();
    let mut add = |form, rows, content_type, bytes, scoring| {
        bodies.push(Body { form, rows, content_type, bytes, scoring });
    };
    for rows in [1, 32, 1000] {
        let cells = wine_rows(rows);
        let tensor = || by_tensor(COLUMNS.len(), DType::F32);
        let inputs = format!("{{\"inputs\": {}}}", nested(&cells));
        let instances = format!("{{\"instances\": {}}}", nested(&cells));
        add("split", rows, JSON, split(&cells).into(), by_columns());
        add("records", rows, JSON, records(&cells).into(), by_columns());
        add("lists", rows, JSON, lists(&cells).into(), by_columns());
        add("inputs", rows, JSON, inputs.into(), tensor());
        add("instances", rows, JSON, instances.into(), tensor());
        add("csv", rows, CSV, csv(&cells).into(), by_columns());
        add("parquet", rows, PARQUET, parquet(&cells), by_columns());
        // Members before the data are unusual: the exact path from the first byte.
        let exact = |text: String| text.replacen('{', "{\"params\": {}, ", 1).into();
        add("exact-split", rows, JSON, exact(split(&cells)), by_columns());
        add(
            "exact-inputs",
            rows,
            JSON,
            exact(format!("{{\"inputs\": {}}}", nested(&cells))),
            tensor(),
        );
    }
    for rows in [1, 32] {
        let inputs = format!("{{\"inputs\": {}}}", nested(&wide_rows(rows)));
        add("wide-inputs", rows, JSON, inputs.into(), by_tensor(WIDE, DType::F64));
    }
    bodies
}

/// Outputs with what they are called in the figures.
pub(crate) struct Answer {
    pub(crate) form: &'static str,
    pub(crate) rows: usize,
    pub(crate) layout: Layout,
    pub(crate) outputs: Vec<Output>,
    pub(crate) scoring: Scoring,
}

/// Every answer that is measured.
pub(crate) fn answers() -> Vec<Answer> {
    let mut numbers = Numbers(11);
    let mut floats = |rows: usize, width: usize| {
        let values = (0..rows * width).map(|_| numbers.next() as f32).collect();
        let shape = if width == 1 { vec![rows] } else { vec![rows, width] };
        Output::Tensor(Tensor::from_vec::<f32>(&shape, values).expect("as many as the shape has"))
    };
    let labels = |rows: usize| {
        let values = (0..rows as i64).map(|row| row % 3).collect();
        Output::Tensor(Tensor::from_vec(&[rows], values).expect("as many as the shape has"))
    };
    let columns = || Schema::Columns(Columns { specs: Vec::new(), named: true });
    let mut answers = Vec::new();
    let mut add = |form, rows, layout, outputs: Vec<Output>, names: &[&str]| {
        let scoring = scoring(columns(), graph(1, names));
        answers.push(Answer { form, rows, layout, outputs, scoring });
    };
    for rows in [1, 32, 1000] {
        add("records", rows, Layout::Records, vec![floats(rows, 1)], &["variable"]);
        add("tensors", rows, Layout::Tensors, vec![floats(rows, 1)], &["variable"]);
        let classifier = vec![labels(rows), floats(rows, 3)];
        add("classes", rows, Layout::Records, classifier, &["label", "probabilities"]);
    }
    for rows in [1, 32] {
        add("wide-tensors", rows, Layout::Tensors, vec![floats(rows, WIDE)], &["variable"]);
    }
    answers
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for body in bodies() {
        let Body { form, rows, content_type, bytes, scoring } = body;
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new(form, rows), |bencher| {
            bencher.iter(|| {
                scoring.decode(Some(content_type), black_box(&bytes)).expect("a valid request")
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for answer in answers() {
        let Answer { form, rows, layout, outputs, scoring } = answer;
        let write = || {
            let mut body = Vec::new();
            let outputs = OutputRows::all(black_box(&outputs));
            scoring.encode(&outputs, layout, &mut body).expect("an answer");
            body
        };
        group.throughput(Throughput::Bytes(write().len() as u64));
        group.bench_function(BenchmarkId::new(form, rows), |bencher| bencher.iter(write));
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
