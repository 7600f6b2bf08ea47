//! A whole run: from what was asked to what came of it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use indicatif::HumanCount;

use super::block::{Block, BlockLimits, Source};
use super::csv::CsvSource;
use super::error::PredictError;
use super::files::{Files, Forms};
use super::format::Format;
use super::inferred::declare;
use super::input::{Input, name_of, open_file};
use super::json::{Inputs, JsonSource};
use super::parquet::ParquetSource;
use super::pipeline::Pipeline;
use super::progress::Progress;
use super::scorer::Scorer;
use super::sink::{Scored, Sink};
use super::target::Target;
use crate::backend::{Backend, LoadError, LoadSpec, LoadedModel};
use crate::model::{GraphIo, Provider, Schema, Signature};
use crate::store::ModelDir;
use crate::tensor::Dim;

/// Rows that are scored together where nobody says: enough for the cost of a call not to show,
/// few enough for a model whose rows are images.
const ROWS_PER_BATCH: usize = 1000;

/// Bytes of input that are scored together, at most, but for a row that is longer.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What to score, and where to.
pub struct Job {
    pub model: Arc<dyn LoadedModel>,
    pub signature: Signature,
    pub files: Files,
    pub forms: Forms,
    /// Scoring threads, at least 1.
    pub threads: usize,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub rows: u64,
    pub elapsed: Duration,
    /// Where the predictions are.
    pub output: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.rows as f64 / seconds.max(f64::EPSILON);
        write!(
            f,
            "scored {} rows in {seconds:.1} s ({} rows/s), written to {}",
            HumanCount(self.rows),
            HumanCount(rate as u64),
            self.output
        )
    }
}

/// Loads the graph of a verified directory; `providers` go before those that it asks for.
///
/// # Errors
/// When the engine cannot run the graph.
pub fn load(
    dir: ModelDir,
    backend: &dyn Backend,
    providers: Option<&[String]>,
) -> Result<(Signature, Arc<dyn LoadedModel>), LoadError> {
    let ModelDir { mlmodel, onnx, graph, .. } = dir;
    let named = |name: &String| Provider { name: name.clone(), options: Vec::new() };
    let providers = match providers {
        Some(names) => names.iter().map(named).collect(),
        None => onnx.providers,
    };
    let model = backend.load(&LoadSpec { path: graph, providers, session: onnx.session })?;
    Ok((mlmodel.signature.unwrap_or_default(), model))
}

/// Scores a file. Blocks; `stop` ends it early from another thread.
///
/// # Errors
/// The first fault, in the order of the rows. The target has not appeared then.
pub fn run(job: Job, stop: &AtomicBool) -> Result<Summary, PredictError> {
    let Job { model, signature, files, forms, threads } = job;
    let Reading { source, scorer, bytes, bytes_read } =
        Reading::open(&files, forms.input, Arc::clone(&model), signature)?;
    let output = files
        .output
        .as_deref()
        .map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let write = |cause| PredictError::Write { output: output.clone(), cause };
    let target = Target::open(files.output.as_deref()).map_err(write)?;
    let mut sink = Sink::new(target, forms.output, model.io());
    let score = move |block: &Block| Ok(Scored::new(scorer.score(block)?, forms.output));
    let pipeline = Pipeline::start(source, threads, score).map_err(PredictError::Thread)?;
    let mut progress = Progress::start(bytes, bytes_read);
    pipeline.drive(stop, |scored| {
        if !sink.fits(&scored) {
            return Err(PredictError::Output(format!(
                "the model's outputs have other shapes from row {} on, which no table can hold",
                progress.rows() + 1
            )));
        }
        sink.write(&scored).map_err(write)?;
        progress.add(scored.rows);
        Ok(())
    })?;
    sink.finish().map_err(write)?;
    Ok(Summary { rows: progress.rows(), elapsed: progress.elapsed(), output })
}

/// An input that is open, and what scores it.
pub(super) struct Reading {
    pub(super) source: Box<dyn Source>,
    pub(super) scorer: Scorer,
    /// Size of the input, if it is a file that has one.
    pub(super) bytes: Option<u64>,
    pub(super) bytes_read: Arc<AtomicU64>,
}

impl Reading {
    /// Opens the input and looks at its first rows, where the model does not say what they are.
    ///
    /// # Errors
    /// When it cannot be read, or its first rows have no type.
    pub(super) fn open(
        files: &Files,
        form: Format,
        model: Arc<dyn LoadedModel>,
        signature: Signature,
    ) -> Result<Self, PredictError> {
        let path = files.input.as_deref();
        let (name, bytes) = (name_of(path), input_bytes(path)?);
        let bytes_read = Arc::new(AtomicU64::new(0));
        let limits = limits(files.rows_per_batch, model.io());
        let schema = signature.inputs.as_ref();
        let mut source = open(path, form, limits, schema, &bytes_read)?;
        let inferred = match schema {
            Some(_) => None,
            None => source
                .sample()?
                .map(|frame| declare(&frame))
                .transpose()
                .map_err(|reason| PredictError::Input { input: name.clone(), reason })?,
        };
        let scorer = Scorer::new(name, model, signature, inferred);
        Ok(Self { source, scorer, bytes, bytes_read })
    }
}

fn input_bytes(path: Option<&Path>) -> Result<Option<u64>, PredictError> {
    let Some(path) = path else { return Ok(None) };
    let metadata = open_file(path)?
        .metadata()
        .map_err(|cause| PredictError::Read { input: name_of(Some(path)), cause })?;
    Ok(metadata.is_file().then_some(metadata.len()))
}

fn open(
    path: Option<&Path>,
    form: Format,
    limits: BlockLimits,
    schema: Option<&Schema>,
    bytes_read: &Arc<AtomicU64>,
) -> Result<Box<dyn Source>, PredictError> {
    let bytes_read = Arc::clone(bytes_read);
    if let (Format::Parquet, Some(path)) = (form, path) {
        return Ok(Box::new(ParquetSource::open(path, limits, schema, bytes_read)?));
    }
    let (input, inputs) = (Input::open(path, bytes_read)?, Inputs::of(schema));
    Ok(match form {
        Format::Csv => Box::new(CsvSource::new(input, limits)),
        Format::Json => Box::new(JsonSource::document(input, limits, inputs)),
        Format::JsonLines => Box::new(JsonSource::lines(input, limits, inputs)),
        Format::Parquet => return Err(PredictError::Usage("Parquet needs a file".to_owned())),
    })
}

/// The rows that were asked for, or the batch that the graph takes if it takes one size only.
fn limits(rows_per_batch: Option<NonZeroUsize>, io: &GraphIo) -> BlockLimits {
    let fixed = io.inputs.iter().find_map(|input| match input.dims.0.first() {
        Some(Dim::Fixed(rows)) if *rows > 0 => Some(*rows),
        _ => None,
    });
    match (rows_per_batch, fixed) {
        (None, Some(rows)) => BlockLimits { rows, bytes: usize::MAX },
        (rows, _) => BlockLimits {
            rows: rows.map_or(ROWS_PER_BATCH, NonZeroUsize::get),
            bytes: BATCH_BYTES_MAX,
        },
    }
}
