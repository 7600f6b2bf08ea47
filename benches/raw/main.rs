//! ONNX Runtime alone: how many rows a second a graph computes when rows cost nothing to bring.
//!
//! Batches of distinct rows lie ready in memory, contiguous and of the graph's own type, and every
//! thread runs them in turn on one shared session, as the server does. The same row again and again
//! would make a forest of trees look many times faster than it is: the processor learns its
//! branches. Rows for trees come from a file, because random ones all take the same few branches.
//!
//! By default a call is `LoadedModel::run`, the call that the server makes. `--api` makes it
//! through `ort` instead, with inputs and outputs that are bound once and used again, which is the
//! least that a call can cost: the difference is the price of owning each call's values. `ort`
//! lends a session to one caller at a time, so that is for one thread; and it wants the process's
//! only environment, so one process measures one way.

mod direct;
mod rows;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use flowgate::backend::{
    Backend as _, LibrarySearch, LoadSpec, LoadedModel, OrtBackend, OrtOptions,
};
use flowgate::model::SessionOptions;
use flowgate::store::ModelDir;
use flowgate::tensor::Tensor;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The clock is read once in so many calls: reading it is not part of a call.
const CALLS_PER_LOOK: usize = 8;

/// Anything may fail here, and all of it ends the run with one sentence.
type Failure = Box<dyn Error + Send + Sync>;

/// What to measure.
struct Options {
    graph: PathBuf,
    rows_file: Option<PathBuf>,
    /// Distinct rows to make where there is no file.
    rows: NonZeroUsize,
    seed: u64,
    threads: NonZeroUsize,
    intra_op_threads: NonZeroUsize,
    batch: NonZeroUsize,
    time: Duration,
    /// Through `ort` instead of [`LoadedModel`].
    api: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    graph: String,
    /// `LoadedModel::run`, or `ort` with bound values.
    call: &'static str,
    threads: usize,
    intra_op_threads: usize,
    batch: usize,
    distinct_rows: usize,
    rows_per_s: f64,
    cpu_us_per_row: f64,
    /// Wall time of one call on one thread, in microseconds.
    call_us: f64,
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let say = |line: &dyn Display| writeln!(io::stdout().lock(), "{line}");
    let outcome = options(&matches).and_then(|options| measure(&options)).and_then(|report| {
        if matches.get_flag("json") {
            say(&serde_json::to_string(&report)?)?;
        } else {
            say(&report)?;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "raw: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<Report, Failure> {
    if options.api {
        return direct::measure(options, &library());
    }
    let ort = OrtOptions {
        library: library(),
        intra_op_threads: options.intra_op_threads,
        spinning: false,
    };
    let model = OrtBackend::new(ort)?.load(&LoadSpec {
        path: options.graph.clone(),
        providers: Vec::new(),
        session: SessionOptions::default(),
    })?;
    let rows = rows::read_or_make(model.io(), options)?;
    let batches = rows::batches(model.io(), &rows, options.batch)?;
    let measured = run_on_threads(&model, &batches, options)?;
    Ok(Report::new(options, "LoadedModel::run", batches.len(), measured))
}

/// Calls, and the wall and CPU time that they took.
#[derive(Clone, Copy)]
struct Measured {
    calls: usize,
    wall: Duration,
    cpu: Duration,
}

/// Every thread runs the batches in turn, each from a place of its own, until the time is over.
fn run_on_threads(
    model: &Arc<dyn LoadedModel>,
    batches: &[Vec<Tensor>],
    options: &Options,
) -> Result<Measured, Failure> {
    let threads = options.threads.get();
    let ready = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let mut handles = Vec::with_capacity(threads);
        for thread in 0..threads {
            let mut turn = batches.iter().cycle().skip(thread * batches.len() / threads);
            let ready = &ready;
            let work = move || {
                let mut call = || {
                    let feeds = turn.next().ok_or("there is no batch")?.clone();
                    model.run(feeds)?;
                    Ok(())
                };
                let warm = run_for(options.time / 10, &mut call);
                // Before any error is looked at: the others wait for this thread.
                ready.wait();
                warm?;
                run_for(options.time, &mut call)
            };
            let builder = thread::Builder::new().name(format!("raw-{thread}"));
            handles.push(builder.spawn_scoped(scope, work)?);
        }
        ready.wait();
        let (begin, cpu) = (Instant::now(), cpu_time());
        let mut calls = 0;
        for handle in handles {
            calls += handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok(Measured { calls, wall: begin.elapsed(), cpu: cpu_time().saturating_sub(cpu) })
    })
}

/// Calls until the time is over; how often that was.
fn run_for(
    time: Duration,
    call: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let end = Instant::now() + time;
    let mut calls = 0;
    while Instant::now() < end {
        for _ in 0..CALLS_PER_LOOK {
            call()?;
        }
        calls += CALLS_PER_LOOK;
    }
    Ok(calls)
}

/// CPU time of the process so far, all threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Report {
    fn new(options: &Options, call: &'static str, batches: usize, measured: Measured) -> Self {
        let Measured { calls, wall, cpu } = measured;
        let batch = options.batch.get();
        let rows = (calls * batch) as f64;
        let per_thread = calls as f64 / options.threads.get() as f64;
        Self {
            graph: options.graph.display().to_string(),
            call,
            threads: options.threads.get(),
            intra_op_threads: options.intra_op_threads.get(),
            batch,
            distinct_rows: batches * batch,
            rows_per_s: rows / wall.as_secs_f64(),
            cpu_us_per_row: cpu.as_secs_f64() * 1e6 / rows,
            call_us: wall.as_secs_f64() * 1e6 / per_thread,
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { graph, call, threads, intra_op_threads, batch, distinct_rows, .. } = self;
        writeln!(f, "{graph} by {call}")?;
        writeln!(
            f,
            "{threads} threads, {intra_op_threads} within a run, batches of {batch} from \
             {distinct_rows} distinct rows"
        )?;
        writeln!(f, "rows/s        {:>14.0}", self.rows_per_s)?;
        writeln!(f, "CPU us/row    {:>14.3}", self.cpu_us_per_row)?;
        write!(f, "us/call       {:>14.3}", self.call_us)
    }
}

/// Where ONNX Runtime's library may be, as for the server.
fn library() -> LibrarySearch {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    LibrarySearch {
        explicit: None,
        ort_dylib_path: variable("ORT_DYLIB_PATH"),
        virtual_env: variable("VIRTUAL_ENV"),
        conda_prefix: variable("CONDA_PREFIX"),
        executable: std::env::current_exe().ok(),
        current_dir: std::env::current_dir().ok(),
    }
}

fn options(matches: &ArgMatches) -> Result<Options, Failure> {
    let count = |name| matches.get_one(name).copied().unwrap_or(NonZeroUsize::MIN);
    let model: &PathBuf = matches.get_one("model").ok_or("--model is required")?;
    let seconds = matches.get_one("seconds").copied().unwrap_or(5.0);
    Ok(Options {
        graph: graph(model)?,
        rows_file: matches.get_one("rows-file").cloned(),
        rows: count("rows"),
        seed: matches.get_one("seed").copied().unwrap_or(0),
        threads: count("threads"),
        intra_op_threads: count("intra-op"),
        batch: count("batch"),
        time: Duration::try_from_secs_f64(seconds)
            .map_err(|error| format!("--seconds: {error}"))?,
        api: matches.get_flag("api"),
    })
}

/// The graph itself, or the one of a model directory.
fn graph(model: &Path) -> Result<PathBuf, Failure> {
    if model.is_dir() { Ok(ModelDir::open(model)?.graph) } else { Ok(model.to_owned()) }
}

fn command() -> Command {
    let value = |name: &'static str, placeholder: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(placeholder).help(help)
    };
    let count = || |text: &str| text.parse::<NonZeroUsize>();
    Command::new("raw").about("Runs a graph on ONNX Runtime alone").args([
        value("model", "PATH", "A model directory or an .onnx file")
            .required(true)
            .value_parser(value_parser!(PathBuf)),
        value(
            "rows-file",
            "FILE",
            "Rows, a JSON array on each line: the row's values, or one array \
               for each of several inputs",
        )
        .value_parser(value_parser!(PathBuf)),
        value("rows", "N", "Without a file: so many distinct random rows")
            .default_value("4096")
            .value_parser(count()),
        value("seed", "N", "Seed of the random rows")
            .default_value("0")
            .value_parser(value_parser!(u64)),
        value("threads", "N", "Threads that run the one session at once")
            .default_value("1")
            .value_parser(count()),
        value("intra-op", "N", "Threads within a run").default_value("1").value_parser(count()),
        value("batch", "N", "Rows in a call").default_value("1").value_parser(count()),
        value("seconds", "S", "Time to measure, after a tenth of it to warm up")
            .default_value("5")
            .value_parser(value_parser!(f64)),
        Arg::new("api")
            .long("api")
            .action(ArgAction::SetTrue)
            .help("Call through ort, with values bound once; one thread only"),
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("Print one JSON object instead of the summary"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn figures_are_of_all_rows_and_all_threads() {
        let words = ["raw", "--model", "m.onnx", "--threads", "2", "--batch", "10"];
        let options = options(&command().get_matches_from(words)).unwrap();
        let measured =
            Measured { calls: 100, wall: Duration::from_secs(2), cpu: Duration::from_secs(3) };
        let report = Report::new(&options, "x", 7, measured);
        assert_eq!((report.distinct_rows, report.rows_per_s), (70, 500.0));
        assert_eq!((report.cpu_us_per_row, report.call_us), (3_000.0, 40_000.0));
    }

    #[test]
    fn calls_end_with_the_first_error() {
        let mut left = 20;
        let mut call = || {
            left -= 1;
            if left == 0 { Err("no more".into()) } else { Ok(()) }
        };
        assert!(run_for(Duration::from_mins(1), &mut call).is_err());
        assert_eq!(run_for(Duration::ZERO, &mut || Ok(())).unwrap(), 0);
    }
}
