//! The inference threads and the bounded queue before them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::ScoreError;
use super::job::Job;

/// Size of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Number of inference threads, at least 1.
    pub threads: usize,
    /// Requests that may wait; one more is rejected.
    pub queue_requests_max: usize,
}

/// OS threads `infer-0`, `infer-1`, ... that run jobs from one queue, first come first served.
/// Owned and joined here.
pub struct InferencePool {
    queue: flume::Sender<Message>,
    /// Ends when the last thread has: every thread holds a sender of it, nobody sends.
    ended: flume::Receiver<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    closed: AtomicBool,
    options: PoolOptions,
}

enum Message {
    Run(Box<Job>),
    /// One thread that takes it ends.
    Stop,
}

impl InferencePool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(options: PoolOptions) -> io::Result<Self> {
        let (queue, inbox) = flume::bounded(options.queue_requests_max);
        let (alive, ended) = flume::bounded(0);
        let threads = (0..options.threads)
            .map(|i| {
                let (inbox, alive) = (inbox.clone(), alive.clone());
                Builder::new().name(format!("infer-{i}")).spawn(move || {
                    work(&inbox);
                    drop(alive);
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        let threads = Mutex::new(threads);
        Ok(Self { queue, ended, threads, closed: AtomicBool::new(false), options })
    }

    /// Number of requests that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Admits a job.
    ///
    /// # Errors
    /// `Rejected` when the queue is full, `Closed` after [`close`](Self::close).
    pub(super) fn push(&self, job: Job) -> Result<(), ScoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ScoreError::Closed);
        }
        let queue_requests_max = self.options.queue_requests_max;
        self.queue.try_send(Message::Run(Box::new(job))).map_err(|refused| match refused {
            flume::TrySendError::Full(_) => ScoreError::Rejected { queue_requests_max },
            flume::TrySendError::Disconnected(_) => ScoreError::Closed,
        })
    }

    /// Refuses further jobs, runs those that wait, ends the threads and joins them. Returns how
    /// many requests were still waiting or running at `deadline`, when it gives up: a graph that
    /// computes cannot be interrupted.
    pub fn close(&self, deadline: Instant) -> usize {
        self.closed.store(true, Ordering::Release);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for _ in &threads {
            // A queue that stays full until the deadline shows below: the threads do not end.
            let _ = self.queue.send_deadline(Message::Stop, deadline);
        }
        match self.ended.recv_deadline(deadline) {
            Err(flume::RecvTimeoutError::Disconnected) => {
                for thread in threads {
                    // Jobs contain their panics; a thread that still died has nothing to lose.
                    let _ = thread.join();
                }
                0
            }
            Ok(()) | Err(flume::RecvTimeoutError::Timeout) => {
                // Each unfinished thread runs a request or still has its `Stop` in the queue.
                let unfinished = threads.iter().filter(|thread| !thread.is_finished()).count();
                self.queue.len().max(unfinished)
            }
        }
    }
}

/// Body of an inference thread.
fn work(inbox: &flume::Receiver<Message>) {
    while let Ok(Message::Run(job)) = inbox.recv() {
        job.run();
    }
}
