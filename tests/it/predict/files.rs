//! What the tests of `predict` share: a directory with a run's files, and rows to put into them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;
use tempfile::TempDir;

pub(crate) const WINE: &str = "models/wine-quality/2";
pub(crate) const CHURN: &str = "models/customer-churn/2";
pub(crate) const DIGITS: &str = "models/digits/1";
pub(crate) const FIXTURES: &str = "tests/fixtures/conformance/models";

pub(crate) const WINE_COLUMNS: [&str; 11] = [
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
];

/// Five customers, the second with a line end in a text.
pub(crate) const CUSTOMERS: &str = "tenure_months,support_calls,monthly_charges,senior_citizen,\
    paperless_billing,contract,internet_service,payment_method\n\
    6,0,18.02,False,False,month-to-month,none,bank-transfer\n\
    72,2,84.48,False,True,\"one\nyear\",fiber,bank-transfer\n\
    \n\
    72,2,84.48,False,True,one-year,fiber,bank-transfer\n\
    1,9,90,True,True,month-to-month,fiber,\"electronic, check\"\n\
    30,1,50.5,True,False,two-year,dsl,credit-card\n";

/// A directory with the files of one run.
pub(crate) struct Place(TempDir);

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Runs with file names that lie here.
    pub(crate) fn predict(&self, model: &str, input: &str, output: &str, more: &[&str]) -> Ended {
        let (input, output) = (self.path(input), self.path(output));
        let files = [Path::new("-i"), &input, Path::new("-o"), &output];
        ended(command(model).args(files).args(more).output().unwrap())
    }

    /// The same, which must work.
    pub(crate) fn score(&self, model: &str, input: &str, output: &str, more: &[&str]) {
        let ended = self.predict(model, input, output, more);
        assert_eq!(ended.code, Some(0), "{input} to {output}: {}", ended.stderr);
    }
}

pub(crate) fn command(model: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    command.current_dir(root).args(["predict", "--log-level", "warn", "-m", model]);
    command.stdin(Stdio::null());
    command
}

pub(crate) fn ended(Output { status, stdout, stderr }: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

pub(crate) fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub(crate) fn read_parquet(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap();
    builder.with_batch_size(rows.max(1)).build().unwrap().next().unwrap().unwrap()
}

/// A wine, different for each number.
pub(crate) fn wine(number: usize) -> Vec<f64> {
    let means = [7.2, 0.34, 0.32, 5.4, 0.056, 30.5, 115.7, 0.9947, 3.22, 0.53, 10.5];
    let stretch = |i: usize| 0.5 + ((number * 31 + i * 17) % 997) as f64 / 997.0;
    means.iter().enumerate().map(|(i, mean)| (mean * stretch(i) * 1e4).round() / 1e4).collect()
}

pub(crate) fn wine_csv(rows: usize) -> String {
    let mut text = WINE_COLUMNS.join(",");
    for row in 0..rows {
        let cells: Vec<String> = wine(row).iter().map(f64::to_string).collect();
        let _ = write!(text, "\n{}", cells.join(","));
    }
    text
}

pub(crate) fn wine_records(rows: usize) -> Vec<Json> {
    let record = |row| {
        let members = WINE_COLUMNS.into_iter().zip(wine(row));
        Json::Object(members.map(|(name, cell)| (name.to_owned(), cell.into())).collect())
    };
    (0..rows).map(record).collect()
}

pub(crate) fn wine_parquet(path: &Path, rows: usize) {
    let column = |i: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..rows).map(|row| wine(row)[i])))
    };
    let columns = WINE_COLUMNS.into_iter().enumerate().map(|(i, name)| (name, column(i)));
    write_parquet(path, columns.collect());
}

pub(crate) fn lines(records: &[Json]) -> String {
    let mut text = String::new();
    for record in records {
        let _ = writeln!(text, "{record}");
    }
    text
}

pub(crate) fn wines(rows: usize) -> Place {
    let place = Place::new();
    place.write("in.csv", &wine_csv(rows));
    place.write("in.json", &Json::Array(wine_records(rows)).to_string());
    place.write("in.jsonl", &lines(&wine_records(rows)));
    wine_parquet(&place.path("in.parquet"), rows);
    place
}
