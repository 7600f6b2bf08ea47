//! The inference threads.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::bodies::Undecoded;
use super::queue::Work;
use super::schedule::Waiting;
use super::schedule::{Load, Schedule, Task};
use super::{Job, QueueLimits, Rejected, Request, Runner, contain};

/// Size of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Number of inference threads, at least 1.
    pub threads: usize,
    /// What may wait for each model version.
    pub queue: QueueLimits,
}

/// The size of a body as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodySize {
    pub bytes: usize,
    /// Whether it is compressed.
    pub is_packed: bool,
}

/// OS threads `infer-0`, `infer-1`, ... that serve the queues of all models. Owned and joined
/// here.
pub struct InferencePool<R> {
    schedule: Arc<Schedule<R>>,
    /// Ends when the last thread has: every thread holds a sender of it, nobody sends.
    ended: flume::Receiver<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<R: Request> InferencePool<R> {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(options: PoolOptions) -> io::Result<Self> {
        let schedule = Arc::new(Schedule::new(options.queue, options.threads));
        let (alive, ended) = flume::bounded(0);
        let threads = (0..options.threads)
            .map(|i| {
                let (schedule, alive) = (Arc::clone(&schedule), alive.clone());
                Builder::new().name(format!("infer-{i}")).spawn(move || {
                    work(&schedule);
                    drop(alive);
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { schedule, ended, threads: Mutex::new(threads) })
    }

    /// Number of requests that wait.
    pub fn queued(&self) -> usize {
        self.schedule.requests()
    }

    /// Number of requests that wait for `runner`.
    pub fn queued_for(&self, runner: &Arc<Runner>) -> usize {
        self.schedule.requests_for(runner)
    }

    /// What waits at this moment, by runner; of one for which nothing waits there is nothing.
    pub fn waiting(&self) -> Vec<Waiting> {
        self.schedule.waiting()
    }

    /// Whether nothing waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        self.schedule.is_idle()
    }

    /// Whether a request for `runner` would be admitted now: to refuse it before it is decoded.
    ///
    /// # Errors
    /// Why it would not.
    pub fn check(&self, runner: &Arc<Runner>) -> Result<(), Rejected> {
        self.schedule.check(runner, 1)
    }

    /// Admits a job.
    ///
    /// # Errors
    /// When the queue is full, or the pool closed.
    pub fn push(&self, runner: &Arc<Runner>, job: Job<R>) -> Result<(), Rejected> {
        self.schedule.push(runner, job)
    }

    /// Admits jobs; those that find their queue full, or the pool closed, are answered so.
    pub fn push_all(&self, jobs: Vec<(Arc<Runner>, Job<R>)>) {
        self.schedule.push_all(jobs);
    }

    /// Admits a request whose body is decoded by an inference thread. That it has more rows than
    /// may wait is found out there.
    ///
    /// # Errors
    /// When the queue is full, or the pool closed.
    pub fn push_undecoded(
        &self,
        runner: &Arc<Runner>,
        request: R,
        body: BodySize,
        now: Instant,
    ) -> Result<(), Rejected> {
        let BodySize { bytes, is_packed } = body;
        self.schedule.push_undecoded(runner, Undecoded { request, bytes, is_packed, since: now })
    }

    /// Notes that a request's client went away before its answer, which may free a place.
    pub fn note_departed(&self) {
        self.schedule.note_departed();
    }

    /// Attempts something that may fail for want of room, and again if it fails and requests of
    /// clients that went away could be dropped, with all that they hold.
    ///
    /// # Errors
    /// The attempt's.
    pub fn or_sweep<T, E>(&self, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        attempt().or_else(|error| if self.schedule.sweep() { attempt() } else { Err(error) })
    }

    /// Refuses further jobs, runs those that wait, ends the threads and joins them. Returns how
    /// many requests were still waiting or running at `deadline`, when it gives up: a graph that
    /// computes cannot be interrupted.
    pub fn close(&self, deadline: Instant) -> usize {
        self.schedule.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        match self.ended.recv_deadline(deadline) {
            Err(flume::RecvTimeoutError::Disconnected) => {
                for thread in threads {
                    // Nothing panics beyond the fence of `work`.
                    let _ = thread.join();
                }
                0
            }
            Ok(()) | Err(flume::RecvTimeoutError::Timeout) => self.schedule.unfinished(),
        }
    }
}

/// Body of an inference thread. Models and decoders are fenced where they are called; the fence
/// around everything keeps the thread, and with it the count of decoders, should anything else
/// panic.
fn work<R: Request>(schedule: &Schedule<R>) {
    let mut done = Load::default();
    while let Some(Task { runner, work, load }) = schedule.next(done) {
        match work {
            Work::Batch(jobs) => {
                let _logged = contain(runner.name(), || runner.run(jobs));
            }
            Work::Part(split, part) => {
                let _logged = contain(runner.name(), || split.run(part, &runner));
                if split.is_over() {
                    schedule.remove(&runner, &split);
                }
            }
            Work::Decode(bodies) => {
                let was_large = bodies.iter().any(Undecoded::is_large);
                let mut jobs = Vec::with_capacity(bodies.len());
                for body in bodies {
                    jobs.extend(contain(runner.name(), || decode(body, &runner)).ok().flatten());
                }
                schedule.put_decoded(&runner, was_large, jobs);
            }
        }
        done = load;
    }
}

/// Body to job; a request that fails is answered.
fn decode<R: Request>(undecoded: Undecoded<R>, runner: &Runner) -> Option<Job<R>> {
    let Undecoded { mut request, since, .. } = undecoded;
    if request.is_abandoned() {
        return None;
    }
    let result = if Instant::now() >= request.deadline() {
        Err(super::Failure::Expired.into())
    } else {
        contain(runner.name(), || request.decode()).unwrap_or_else(|panic| Err(panic.into()))
    };
    match result {
        Ok(feeds) => Some(Job::new(request, feeds, since)),
        Err(error) => {
            request.answer(Err(error));
            None
        }
    }
}
