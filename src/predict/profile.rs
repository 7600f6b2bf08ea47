//! A drift reference from a model's training data: the rows of a file through the protocol and the
//! graph, as a scoring reads them, into what `drift` keeps of them.
//!
//! Rows are gathered in their order, whichever thread scored them, so that the same file gives the
//! same bytes. A file with more rows than can be held is read twice.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::HumanCount;

use super::block::Block;
use super::error::PredictError;
use super::files::Files;
use super::input::name_of;
use super::job::Reading;
use super::pipeline::Pipeline;
use super::progress::Progress;
use super::scorer::Observed;
use super::target::Target;
use super::unknown::unknown_columns;
use crate::backend::LoadedModel;
use crate::drift::{Builder, Built, LeftOut};
use crate::model::Signature;

/// Values that are held where nobody says, of 8 bytes: 256 MiB.
pub const HELD_VALUES_MAX: usize = 32 << 20;

/// Names that a sentence lists.
const LISTED_MAX: usize = 10;

/// What to profile, and where to.
pub struct ProfileJob {
    pub model: Arc<dyn LoadedModel>,
    pub signature: Signature,
    /// The digest of the signature, as the `MLmodel` file has it.
    pub signature_digest: Option<String>,
    /// The training data. Where the reference goes, `None` for standard output.
    pub files: Files,
    /// Scoring threads, at least 1.
    pub threads: usize,
    /// Values that are held at most, as [`Builder::new`] takes it.
    pub values_max: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiled {
    pub rows: u64,
    /// Features of the inputs and of the outputs.
    pub inputs: usize,
    pub outputs: usize,
    pub left_out: Vec<LeftOut>,
    /// Columns of the data that the model does not know.
    pub unknown: Vec<String>,
    pub elapsed: Duration,
    /// Where the reference is.
    pub output: String,
}

impl fmt::Display for Profiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.unknown.is_empty() {
            let names = listed(self.unknown.iter().map(|name| format!("`{name}`")));
            writeln!(f, "ignored columns that the model's signature does not name: {names}")?;
        }
        if !self.left_out.is_empty() {
            let named = |one: &LeftOut| format!("`{}` ({})", one.name, one.reason);
            writeln!(f, "left out {}", listed(self.left_out.iter().map(named)))?;
        }
        write!(
            f,
            "profiled {} rows in {:.1} s: features of inputs: {}, of outputs: {}, written to {}",
            HumanCount(self.rows),
            self.elapsed.as_secs_f64(),
            self.inputs,
            self.outputs,
            self.output
        )
    }
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let mut text = names.take(LISTED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// Makes the reference. Blocks; `stop` ends it early from another thread.
///
/// # Errors
/// The first fault, in the order of the rows. The target has not appeared then.
pub fn profile(job: &ProfileJob, stop: &AtomicBool) -> Result<Profiled, PredictError> {
    let input = name_of(job.files.input.as_deref());
    let output = job
        .files
        .output
        .as_deref()
        .map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let write = |cause| PredictError::Write { output: output.clone(), cause };
    let mut target = Target::open(job.files.output.as_deref()).map_err(write)?;

    let mut builder = Builder::new(&job.signature, job.model.io(), job.values_max);
    let mut unknown = Vec::new();
    let first = read(job, stop, |observed, names| {
        builder.add(&observed.feeds, &observed.outputs);
        unknown.extend(names.into_iter().flatten());
    })?;
    let digest = job.signature_digest.clone();
    let (built, elapsed) = if builder.needs_recount() {
        first.can_be_repeated(job.values_max).map_err(|reason| none(&input, &reason))?;
        let mut recount = builder.recount(digest).map_err(|cause| none(&input, &cause))?;
        let second =
            read(job, stop, |observed, _| recount.add(&observed.feeds, &observed.outputs))?;
        (recount.finish(), first.elapsed + second.elapsed)
    } else {
        (builder.finish(digest), first.elapsed)
    };
    let Built { reference, left_out } = built.map_err(|cause| none(&input, &cause))?;
    target.write_all(reference.to_json().as_bytes()).map_err(write)?;
    target.finish().map_err(write)?;
    Ok(Profiled {
        rows: reference.rows,
        inputs: reference.inputs.len(),
        outputs: reference.outputs.len(),
        left_out,
        unknown,
        elapsed,
        output,
    })
}

fn none(input: &str, reason: &impl ToString) -> PredictError {
    PredictError::Reference { input: input.to_owned(), reason: reason.to_string() }
}

/// One reading of the whole input.
struct Pass {
    is_file: bool,
    elapsed: Duration,
}

impl Pass {
    fn can_be_repeated(&self, values_max: usize) -> Result<(), String> {
        if self.is_file {
            return Ok(());
        }
        Err(format!(
            "it has more rows than the {} values that are held, and must be read twice then; name \
             a file",
            HumanCount(values_max as u64)
        ))
    }
}

/// Shows every block to `see`, and with the first one the columns that the model does not know.
fn read(
    job: &ProfileJob,
    stop: &AtomicBool,
    mut see: impl FnMut(&Observed, Option<Vec<String>>),
) -> Result<Pass, PredictError> {
    let form = job.files.input_form()?;
    let signature = job.signature.clone();
    let schema = signature.inputs.clone();
    let Reading { source, scorer, bytes, bytes_read } =
        Reading::open(&job.files, form, Arc::clone(&job.model), signature)?;
    let observe = move |block: &Block| {
        let unknown = (block.first_row == 1).then(|| unknown_columns(schema.as_ref(), &block.rows));
        Ok((scorer.observe(block)?, unknown))
    };
    let pipeline = Pipeline::start(source, job.threads, observe).map_err(PredictError::Thread)?;
    let mut progress = Progress::start(bytes, bytes_read);
    pipeline.drive(stop, |(observed, unknown)| {
        see(&observed, unknown);
        progress.add(observed.rows);
        Ok(())
    })?;
    Ok(Pass { is_file: bytes.is_some(), elapsed: progress.elapsed() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::backend::RunError;
    use crate::drift::{Reference, Values};
    use crate::model::{GraphInput, GraphIo, GraphOutput, Output, OutputKind};
    use crate::tensor::{DType, Dim, Dims, Tensor};

    /// Gives back its only input.
    struct Echo(GraphIo);

    impl LoadedModel for Echo {
        fn io(&self) -> &GraphIo {
            &self.0
        }

        fn provider(&self) -> &'static str {
            "test"
        }

        fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
            Ok(feeds.into_iter().map(Output::Tensor).collect())
        }
    }

    fn job(files: Files, values_max: usize) -> ProfileJob {
        let dims = Dims(vec![Dim::Any]);
        let (name, dtype) = ("a".to_owned(), DType::F64);
        let input = GraphInput { name, dtype, dims: dims.clone() };
        let kind = OutputKind::Tensor { dtype, dims };
        let io =
            GraphIo { inputs: vec![input], outputs: vec![GraphOutput { name: "b".into(), kind }] };
        ProfileJob {
            model: Arc::new(Echo(io)),
            signature: Signature::default(),
            signature_digest: None,
            files,
            threads: 2,
            values_max,
        }
    }

    #[test]
    fn a_file_with_more_rows_than_are_held_is_read_twice_and_counted_exactly() {
        let directory = tempfile::tempdir().unwrap();
        let [input, output] = ["in.csv", "out.json"].map(|name| directory.path().join(name));
        let rows: Vec<String> = (0..5000).map(|i| format!("{}.5", i * 37 % 5000)).collect();
        fs::write(&input, format!("a\n{}", rows.join("\n"))).unwrap();
        let files = Files { input: Some(input), output: Some(output.clone()), ..Files::default() };
        let made = |values_max| {
            let profiled = profile(&job(files.clone(), values_max), &AtomicBool::new(false));
            assert_eq!(profiled.unwrap().rows, 5000);
            Reference::parse(&fs::read(&output).unwrap()).unwrap()
        };
        let (whole, thinned) = (made(usize::MAX), made(0));
        let [Values::Numeric(all), Values::Numeric(some)] =
            [&whole.inputs[0].values, &thinned.inputs[0].values]
        else {
            panic!("they are numbers")
        };
        assert_eq!((all.mean, all.std), (some.mean, some.std));
        assert_ne!(all.edges, some.edges);
        for (cell, count) in some.counts.iter().enumerate() {
            // Every number and a half occurs once; the last cell has its end.
            let last = u64::from(cell + 1 == some.counts.len());
            let between = (some.edges[cell + 1] - some.edges[cell]) as u64;
            assert_eq!(*count, between + last, "cell {cell}");
        }
    }

    #[test]
    fn what_is_no_file_cannot_be_read_twice() {
        let pass = |is_file| Pass { is_file, elapsed: Duration::ZERO };
        assert!(pass(true).can_be_repeated(10).is_ok());
        assert_eq!(
            pass(false).can_be_repeated(32_000_000).unwrap_err(),
            "it has more rows than the 32,000,000 values that are held, and must be read twice \
             then; name a file"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let names = |count: usize| listed((0..count).map(|i| i.to_string()));
        assert_eq!(names(2), "0, 1");
        assert_eq!(names(12), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
