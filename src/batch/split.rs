//! A request with more rows than a batch takes: its parts run like requests of their own, on
//! several threads if they are idle, and its answer is written when the last has run.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::backend::RunError;
use crate::drift::Sample;
use crate::model::{Output, OutputRows};
use crate::tensor::Tensor;

use super::assemble::{has_rows, join, part_rows};
use super::{Computed, Failure, Job, Lap, Request, Runner, Stages};

/// A request in parts. Shared by the threads that run them.
pub(super) struct Split<R> {
    feeds: Vec<Tensor>,
    rows: usize,
    parts: usize,
    since: Instant,
    progress: Mutex<Progress<R>>,
}

struct Progress<R> {
    /// Gone once it is answered or abandoned: the parts that are left need not run.
    request: Option<R>,
    outputs: Vec<Option<Vec<Output>>>,
    parts_to_run: usize,
    /// Memory that is counted for the outputs of all parts, in bytes.
    reserved: usize,
    stages: Stages,
}

impl<R: Request> Split<R> {
    /// Splits a job into parts of `rows_max` rows at most, of nearly the same size.
    ///
    /// # Errors
    /// The job itself, if it is small enough or has no rows to split.
    pub(super) fn new(job: Job<R>, rows_max: usize) -> Result<Self, Job<R>> {
        let Some(rows) = job.rows.filter(|rows| *rows > rows_max) else { return Err(job) };
        let parts = rows.div_ceil(rows_max);
        let progress = Progress {
            request: Some(job.request),
            outputs: (0..parts).map(|_| None).collect(),
            parts_to_run: parts,
            reserved: 0,
            stages: Stages { rows, ..Stages::default() },
        };
        let progress = Mutex::new(progress);
        Ok(Self { feeds: job.feeds, rows, parts, since: job.since, progress })
    }

    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Rows of a part.
    pub(super) fn part_rows(&self, part: usize) -> usize {
        part_rows(self.rows, self.parts, part).len()
    }

    /// Rows of that part and all after it.
    pub(super) fn rows_from(&self, part: usize) -> usize {
        self.rows - part_rows(self.rows, self.parts, part).start
    }

    /// Looks at the request, while it is not answered.
    #[cfg(test)]
    pub(super) fn look<T>(&self, look: impl FnOnce(&R) -> T) -> Option<T> {
        self.with(|progress| progress.request.as_ref().map(look))
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Whether it has been answered or dropped: parts that have not run need not.
    pub(super) fn is_over(&self) -> bool {
        self.with(|progress| progress.request.is_none())
    }

    /// Whether nobody waits for the parts that have not run.
    pub(super) fn is_abandoned(&self) -> bool {
        self.with(|progress| progress.request.as_ref().is_none_or(Request::is_abandoned))
    }

    /// Runs one part; the last one answers.
    pub(super) fn run(&self, part: usize, runner: &Runner) {
        let start = Instant::now();
        self.end_if_over(start);
        self.reserve(runner.output_bytes(self.rows));
        if self.is_over() {
            return;
        }
        let range = part_rows(self.rows, self.parts, part);
        let rows = range.len();
        let feeds: Option<Vec<_>> =
            self.feeds.iter().map(|feed| feed.slice_rows(range.clone())).collect();
        let sample = feeds.as_ref().and_then(|feeds| runner.sample(feeds));
        let assembled = Instant::now();
        let outputs = match feeds {
            Some(feeds) => runner.execute(feeds),
            None => Err(failed("a feed has fewer rows than the others")),
        };
        let end = Instant::now();
        match outputs {
            Ok(outputs) if !has_rows(&outputs, rows) => {
                runner.stop_merging(&outputs, rows);
                self.run_whole(runner);
            }
            Ok(outputs) => {
                runner.observe(rows, end - assembled);
                runner.note_batch(rows, assembled - start, end - assembled);
                Sample::put(sample, &outputs);
                self.complete(part, outputs, [start, assembled, end]);
            }
            Err(failure) => self.answer(Err(failure)),
        }
    }

    /// Counts the outputs of all parts, which are kept until the last has run, as memory of the
    /// request; answers it if there is none. The first part tells what they take.
    fn reserve(&self, bytes: usize) {
        let refused = self.with(|progress| {
            let more = bytes.saturating_sub(progress.reserved);
            let request = progress.request.as_mut().filter(|_| more > 0)?;
            let error = request.reserve(more).err();
            progress.reserved = bytes.max(progress.reserved);
            error.and_then(|error| Some((progress.request.take()?, error)))
        });
        if let Some((request, error)) = refused {
            request.answer(Err(error));
        }
    }

    /// Runs all rows at once, for a graph that turns out not to be one for parts.
    fn run_whole(&self, runner: &Runner) {
        let Some(request) = self.with(|progress| progress.request.take()) else { return };
        runner.run(vec![Job::whole(request, self.feeds.clone(), self.since)]);
    }

    /// Drops the request if its client has gone, and answers it if it has expired.
    pub(super) fn end_if_over(&self, now: Instant) {
        let is_over = |request: &mut R| request.is_abandoned() || now >= request.deadline();
        let over = self.with(|progress| progress.request.take_if(is_over));
        if let Some(request) = over.filter(|request| !request.is_abandoned()) {
            request.answer(Err(Failure::Expired.into()));
        }
    }

    fn complete(&self, part: usize, outputs: Vec<Output>, [start, assembled, end]: [Instant; 3]) {
        let all = self.with(|progress| {
            if progress.parts_to_run == progress.outputs.len() {
                progress.stages.queue = start.saturating_duration_since(self.since);
            }
            progress.stages.assemble += assembled - start;
            progress.stages.execute += end - assembled;
            progress.outputs[part] = Some(outputs);
            progress.parts_to_run -= 1;
            (progress.parts_to_run == 0).then(|| std::mem::take(&mut progress.outputs))
        });
        let Some(all) = all else { return };
        let whole = all.into_iter().collect::<Option<Vec<_>>>().and_then(join);
        self.answer(whole.ok_or_else(|| failed("the outputs of parts do not join")));
    }

    /// Answers, unless that has been done: another part may have failed before.
    fn answer(&self, result: Result<Vec<Output>, Failure>) {
        let taken = self.with(|progress| (progress.request.take(), progress.stages));
        let (Some(request), stages) = taken else { return };
        match result {
            Ok(outputs) => {
                let rows = OutputRows::all(&outputs);
                let lap = Lap::new(Instant::now());
                request.answer(Ok(Computed { rows, stages, lap: &lap }));
            }
            Err(failure) => request.answer(Err(failure.into())),
        }
    }

    /// Nothing that the lock guards can be left half done by a panic.
    fn with<T>(&self, work: impl FnOnce(&mut Progress<R>) -> T) -> T {
        work(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn failed(reason: &str) -> Failure {
    Failure::Run(RunError::Failed(reason.to_owned()))
}
