//! One loaded graph, run for many requests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::backend::LoadedModel;
use crate::drift::{Sample, Tap};
use crate::model::{Output, OutputRows};
use crate::telemetry::Meter;
use crate::tensor::Tensor;
use crate::tune::Costs;

use super::assemble::{gather, has_rows};
use super::lane::{EXPRESS_RUN_MAX, EXPRESS_STALL, HAND_OVER};
use super::{BatchLimits, Computed, Failure, Job, Lane, LaneChoice, Lap, Request, Stages, contain};

/// Weight of the past in the running mean of a model's pace, in samples.
const PACE_SAMPLES: f32 = 16.0;
/// One run counts as this many times the present pace at most. A thread that lost its core for a
/// while says little about the model; when every run is slow, the mean gets there all the same.
const PACE_MAX: f32 = 4.0;

/// Outputs of one request are counted from this size on: smaller ones are gone soon.
const COUNTED_BYTES_MIN: usize = 64 << 10;

/// A part of a large request takes at least this long to run: less is not worth a hand-over.
const PART_MIN: Duration = Duration::from_micros(200);

/// How a model version is run.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    pub limits: BatchLimits,
    /// Whether the limit of rows is a measured one: then a single request may have more rows in a
    /// run that takes next to no time. A configured one is the most there is.
    pub is_tuned: bool,
    /// Whether requests may run together.
    pub merges: bool,
    pub lane: LaneChoice,
    /// What runs of sample rows took.
    pub costs: Costs,
    /// Elements of one such row, over all feeds.
    pub row_elements: usize,
}

/// Runs one graph for jobs of any thread, and knows what a run costs.
pub struct Runner {
    /// For the log.
    name: String,
    model: Arc<dyn LoadedModel>,
    limits: BatchLimits,
    merges: AtomicBool,
    choice: LaneChoice,
    costs: Costs,
    row_elements: usize,
    /// Rows in a part of a large request.
    part_rows: usize,
    /// What runs take now over what they took when they were measured: the bits of an `f32`. Zero
    /// until the first run of a model that could not be measured.
    pace: AtomicU32,
    /// Memory that a row of the outputs takes, in bytes; 0 until there was one.
    row_bytes: AtomicUsize,
    /// A [`Lane`], as its number.
    lane: AtomicU8,
    /// `None`: nobody counts its runs.
    meter: Option<Arc<Meter>>,
    /// `None`: nobody looks at what it is fed.
    tap: Option<Arc<Tap>>,
}

impl Runner {
    /// A runner in the lane that the measured costs call for.
    pub fn new(name: String, model: Arc<dyn LoadedModel>, options: RunnerOptions) -> Self {
        let RunnerOptions { limits, is_tuned, merges, lane: choice, costs, row_elements } = options;
        let lane = choice.next(Lane::Queue, costs.estimate(1));
        let part_rows = if is_tuned { part_rows(limits.rows_max, &costs) } else { limits.rows_max };
        let pace: f32 = if costs.points().is_empty() { 0.0 } else { 1.0 };
        Self {
            name,
            model,
            limits,
            merges: AtomicBool::new(merges),
            choice,
            costs,
            row_elements: row_elements.max(1),
            part_rows,
            pace: AtomicU32::new(pace.to_bits()),
            row_bytes: AtomicUsize::new(0),
            lane: AtomicU8::new(lane as u8),
            meter: None,
            tap: None,
        }
    }

    /// The same runner, whose runs are counted.
    #[must_use]
    pub fn with_meter(self, meter: Arc<Meter>) -> Self {
        Self { meter: Some(meter), ..self }
    }

    /// The same runner, whose rows are looked at as well.
    #[must_use]
    pub fn with_tap(self, tap: Option<Arc<Tap>>) -> Self {
        Self { tap, ..self }
    }

    /// What the log calls it: the model, a slash, the version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The graph.
    pub fn model(&self) -> &dyn LoadedModel {
        &*self.model
    }

    /// What a batch may be.
    pub fn limits(&self) -> BatchLimits {
        self.limits
    }

    /// Rows in one part of a request that has more.
    pub(super) fn part_rows(&self) -> usize {
        self.part_rows
    }

    /// Whether requests run together.
    pub fn merges(&self) -> bool {
        self.merges.load(Ordering::Relaxed)
    }

    /// The lane that requests take now.
    pub fn lane(&self) -> Lane {
        if self.lane.load(Ordering::Relaxed) == Lane::Express as u8 {
            Lane::Express
        } else {
            Lane::Queue
        }
    }

    /// Why requests take the lane that they take, for people.
    pub fn lane_reason(&self) -> String {
        match self.choice {
            LaneChoice::Always(_) => "it is configured".to_owned(),
            LaneChoice::Auto => match self.estimate(1) {
                Some(time) => {
                    format!("a run of one row takes {:.1} us", time.as_secs_f64() * 1e6)
                }
                None => "what a run takes is not known yet".to_owned(),
            },
        }
    }

    /// What a run of `rows` rows takes, as things are; `None` before anything is known.
    pub fn estimate(&self, rows: usize) -> Option<Duration> {
        let pace = self.pace();
        (pace > 0.0).then(|| scale(self.costs.estimate(rows), pace))
    }

    /// Whether a job may take the express lane.
    pub fn is_express<R: Request>(&self, job: &Job<R>) -> bool {
        if self.lane() == Lane::Queue {
            return false;
        }
        let elements = job.elements();
        let is_usual_row = job.weight() == 1 && elements <= self.row_elements;
        is_usual_row || {
            if self.merges() && job.weight() > self.part_rows {
                return false;
            }
            self.estimate_of(job).is_some_and(|time| time <= EXPRESS_RUN_MAX)
        }
    }

    /// Whether a job that waits for nothing is done sooner where it is than on a thread that has
    /// to be woken. Not if the queue is configured.
    pub(super) fn is_sooner_here<R: Request>(&self, job: &Job<R>) -> bool {
        self.choice == LaneChoice::Auto
            && self.estimate_of(job).is_some_and(|time| time <= HAND_OVER)
    }

    /// What a run of one job takes. A row that is longer than those that were measured counts as
    /// several of them.
    fn estimate_of<R: Request>(&self, job: &Job<R>) -> Option<Duration> {
        let rows = job.weight().max(job.elements().div_ceil(self.row_elements));
        self.estimate(rows)
    }

    /// Rows of a batch that keeps an event loop no longer than it may. A pinned model whose single
    /// rows take longer is no better off one by one.
    pub(super) fn express_rows_max(&self) -> usize {
        let rows_max = self.limits.rows_max;
        if self.is_short(rows_max) {
            return rows_max;
        }
        let (mut short, mut long) = (0, rows_max);
        while long - short > 1 {
            let middle = short.midpoint(long);
            if self.is_short(middle) {
                short = middle;
            } else {
                long = middle;
            }
        }
        if short == 0 { rows_max } else { short }
    }

    /// Whether a run of `rows` rows keeps an event loop no longer than it may.
    fn is_short(&self, rows: usize) -> bool {
        self.estimate(rows).is_some_and(|time| time <= EXPRESS_RUN_MAX)
    }

    fn pace(&self) -> f32 {
        f32::from_bits(self.pace.load(Ordering::Relaxed))
    }

    /// Runs jobs that join each other as one batch, and answers each.
    pub(super) fn run<R: Request>(&self, jobs: Vec<Job<R>>) {
        let start = Instant::now();
        let jobs = jobs.into_iter().filter_map(|job| job.unless_over(start));
        let mut jobs: Vec<_> = jobs.filter_map(|job| self.reserve(job)).collect();
        if jobs.len() <= 1 {
            if let Some(job) = jobs.pop() {
                self.run_alone(job, start);
            }
            return;
        }
        let Err(unanswered) = self.run_merged(jobs, start) else { return };
        // One bad row fails only its own request: each runs on its own, if it still has time.
        for job in unanswered {
            let start = Instant::now();
            if let Some(job) = job.unless_over(start) {
                self.run_alone(job, start);
            }
        }
    }

    /// Counts what the outputs of a job will take as its memory; a job that has none is answered.
    fn reserve<R: Request>(&self, mut job: Job<R>) -> Option<Job<R>> {
        let bytes = self.output_bytes(job.weight());
        if bytes < COUNTED_BYTES_MIN {
            return Some(job);
        }
        match job.request.reserve(bytes) {
            Ok(()) => Some(job),
            Err(error) => {
                job.request.answer(Err(error));
                None
            }
        }
    }

    /// What `rows` rows of the outputs are expected to take; 0 before anything is known.
    pub(super) fn output_bytes(&self, rows: usize) -> usize {
        self.row_bytes.load(Ordering::Relaxed).saturating_mul(rows)
    }

    /// Runs a batch; gives the jobs back if it failed.
    fn run_merged<R: Request>(&self, jobs: Vec<Job<R>>, start: Instant) -> Result<(), Vec<Job<R>>> {
        let Some(feeds) = gather(&jobs) else { return Err(jobs) };
        let rows = jobs.iter().map(Job::weight).sum();
        let sample = self.sample(&feeds);
        let assembled = Instant::now();
        let Ok(outputs) = self.execute(feeds) else { return Err(jobs) };
        let end = Instant::now();
        if !has_rows(&outputs, rows) {
            self.stop_merging(&outputs, rows);
            return Err(jobs);
        }
        let (assemble, execute) = (assembled - start, end - assembled);
        self.observe(rows, execute);
        self.note_batch(rows, assemble, execute);
        let lap = Lap::new(end);
        let (mut first, all) = (0, rows);
        for job in jobs {
            let last = first + job.weight();
            let rows = OutputRows { outputs: &outputs, rows: Some(first..last) };
            first = last;
            let queue = start.saturating_duration_since(job.since);
            let stages = Stages { queue, assemble, execute, rows: all };
            job.request.answer(Ok(Computed { rows, stages, lap: &lap }));
        }
        Sample::put(sample, &outputs);
        Ok(())
    }

    fn run_alone<R: Request>(&self, job: Job<R>, start: Instant) {
        let weight = job.weight();
        let Job { request, feeds, rows, since, .. } = job;
        let sample = self.sample(&feeds);
        // What was copied is no part of the run.
        let start = if sample.is_some() { Instant::now() } else { start };
        let outputs = self.execute(feeds);
        let end = Instant::now();
        match outputs {
            Ok(outputs) => {
                // What does not agree on its rows says nothing about what a row takes.
                if let Some(rows) = rows {
                    self.observe(rows, end - start);
                }
                self.note_batch(weight, Duration::ZERO, end - start);
                let stages = Stages {
                    queue: start.saturating_duration_since(since),
                    assemble: Duration::ZERO,
                    execute: end - start,
                    rows: weight,
                };
                let rows = OutputRows::all(&outputs);
                request.answer(Ok(Computed { rows, stages, lap: &Lap::new(end) }));
                Sample::put(sample, &outputs);
            }
            Err(failure) => request.answer(Err(failure.into())),
        }
    }

    /// Copies rows that are about to run, for who looks at drift.
    pub(super) fn sample(&self, feeds: &[Tensor]) -> Option<Sample<'_>> {
        self.tap.as_ref()?.sample(feeds)
    }

    /// Feeds to outputs.
    ///
    /// # Errors
    /// When the runtime refuses the feeds, fails or panics.
    pub fn execute(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, Failure> {
        let rows = feeds.first().and_then(Tensor::rows).unwrap_or(0);
        let outputs = contain(&self.name, || self.model.run(feeds))?.map_err(|error| {
            tracing::debug!(model = self.name, %error, "the runtime refused a run");
            error
        })?;
        let known = self.output_bytes(rows);
        if rows > 0 && (known == 0 || known >= COUNTED_BYTES_MIN) {
            let bytes: usize = outputs.iter().map(Output::bytes).sum();
            self.row_bytes.store(bytes.div_ceil(rows), Ordering::Relaxed);
        }
        Ok(outputs)
    }

    /// Takes note of a batch whose outputs cannot be split by rows, though they could when the
    /// model was loaded.
    pub(super) fn stop_merging(&self, outputs: &[Output], rows: usize) {
        self.merges.store(false, Ordering::Relaxed);
        let items: Vec<_> = outputs.iter().map(Output::rows).collect();
        let model = &self.name;
        tracing::warn!(model, rows, ?items, "a batch cannot be split: requests run alone now");
    }

    /// Counts a run.
    pub(super) fn note_batch(&self, rows: usize, assemble: Duration, execute: Duration) {
        if let Some(meter) = &self.meter {
            meter.note_batch(rows, assemble, execute);
        }
    }

    /// Takes note of what a run took, and moves to the other lane if that calls for it.
    pub(super) fn observe(&self, rows: usize, took: Duration) {
        let estimate = self.costs.estimate(rows).as_secs_f32();
        if estimate <= 0.0 {
            return;
        }
        // Threads may overwrite each other's sample: a mean of most of them will do.
        let past = self.pace();
        let sample = took.as_secs_f32() / estimate;
        let pace = if past > 0.0 {
            past + (sample.min(PACE_MAX * past) - past) / PACE_SAMPLES
        } else {
            sample
        };
        self.pace.store(pace.to_bits(), Ordering::Relaxed);
        let is_stall = took > EXPRESS_STALL && estimate * past <= EXPRESS_RUN_MAX.as_secs_f32();
        let one_row = if is_stall { took } else { scale(self.costs.estimate(1), pace) };
        let current = self.lane();
        let next = self.choice.next(current, one_row);
        if next != current {
            self.lane.store(next as u8, Ordering::Relaxed);
            let (lane, pace) = (next.name(), f64::from(pace));
            tracing::debug!(model = self.name, lane, pace, "the model changes lanes");
        }
    }
}

/// Rows in a part of a large request: a full batch, or more where that runs in no time.
fn part_rows(rows_max: usize, costs: &Costs) -> usize {
    let mut rows = rows_max;
    while costs.estimate(rows) < PART_MIN && rows <= usize::MAX / 2 {
        rows *= 2;
    }
    rows
}

/// A duration times a factor; the longest there is where it does not fit.
fn scale(time: Duration, factor: f32) -> Duration {
    Duration::try_from_secs_f32(time.as_secs_f32() * factor).unwrap_or(Duration::MAX)
}
