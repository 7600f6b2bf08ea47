//! The way from one event loop to the inference threads.

use std::sync::Arc;

use super::turn::Turn;
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
            self.turn.at_end(|jobs| async move { pool.push_all(jobs) });
        }
    }
}
