//! The way from one event loop to the inference threads.

use std::sync::Arc;

use super::turn::{Jobs, Turn};
use super::{InferencePool, Job, Request, Runner};

/// Hands jobs to the inference threads, those that arrive in one turn of the event loop together:
/// one lock and one wake-up for all, and batches of as many. Belongs to one thread.
pub struct Handover<R> {
    pool: Arc<InferencePool<R>>,
    turn: Turn<R>,
}

impl<R: Request> Handover<R> {
    /// The way to `pool`.
    #[must_use]
    pub fn new(pool: Arc<InferencePool<R>>) -> Self {
        Self { pool, turn: Turn::new() }
    }

    /// Adds a job to this turn. One that finds its queue full is answered so. To be called on a
    /// tokio `LocalSet`.
    pub fn push(&self, runner: &Arc<Runner>, job: Job<R>) {
        if self.turn.add(runner, job) {
            let pool = Arc::clone(&self.pool);
            self.turn.at_end(|jobs| async move { hand_over(&pool, jobs) });
        }
    }
}

/// A turn's only job that runs sooner than a thread wakes up runs here, unless the threads are
/// awake: then others come, and gain from a core of their own.
fn hand_over<R: Request>(pool: &InferencePool<R>, mut jobs: Jobs<R>) {
    let is_lone = matches!(&jobs[..], [(runner, job)] if runner.is_sooner_here(job));
    if is_lone && pool.is_idle() {
        for (runner, job) in jobs.drain(..) {
            runner.run(vec![job]);
        }
    } else {
        pool.push_all(jobs);
    }
}
