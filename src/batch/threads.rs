//! The inference threads.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::queue::{Undecoded, Work};
use super::schedule::Schedule;
use super::{Job, QueueLimits, Rejected, Request, Runner, contain};

/// Size of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Number of inference threads, at least 1.
    pub threads: usize,
    /// What may wait for each model version.
    pub queue: QueueLimits,
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

    /// Whether a request for `runner` would be admitted now: to refuse it before it costs anything.
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

    /// Admits a request whose body, of `bytes` bytes, is decoded by an inference thread.
    ///
    /// # Errors
    /// When the queue is full, or the pool closed.
    pub fn push_undecoded(
        &self,
        runner: &Arc<Runner>,
        request: R,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Rejected> {
        self.schedule.push_undecoded(runner, Undecoded { request, bytes, since: now })
    }

    /// Notes that a request's client left before its answer, which may free a place.
    pub fn note_left(&self) {
        self.schedule.note_left();
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
                    // Jobs contain their panics; a thread that still died has nothing to lose.
                    let _ = thread.join();
                }
                0
            }
            Ok(()) | Err(flume::RecvTimeoutError::Timeout) => {
                let running = threads.iter().filter(|thread| !thread.is_finished()).count();
                self.queued() + running
            }
        }
    }
}

/// Body of an inference thread.
fn work<R: Request>(schedule: &Schedule<R>) {
    while let Some((runner, work)) = schedule.next() {
        match work {
            Work::Batch(jobs) => runner.run(jobs),
            Work::Part(split, part) => {
                split.run(part, &runner);
                if split.is_over() {
                    schedule.remove(&runner, &split);
                }
            }
            Work::Decode(undecoded) => {
                let jobs = undecoded.into_iter().filter_map(|one| decode(one, &runner)).collect();
                schedule.put_decoded(&runner, jobs);
            }
        }
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
