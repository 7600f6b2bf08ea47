//! The way from one event loop to the inference threads.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{InferencePool, Job, Request, Runner};

/// Hands jobs to the inference threads, those that arrive in one turn of the event loop together:
/// one lock and one wake-up for all, and batches of as many. Belongs to one thread.
pub struct Handover<R> {
    pool: Arc<InferencePool<R>>,
    waiting: Rc<RefCell<Turn<R>>>,
}

/// Jobs of one turn, by runner.
pub(super) type Turn<R> = Vec<(Arc<Runner>, Job<R>)>;

impl<R: Request> Handover<R> {
    /// The way to `pool`.
    #[must_use]
    pub fn new(pool: Arc<InferencePool<R>>) -> Self {
        Self { pool, waiting: Rc::default() }
    }

    /// Adds a job to this turn. One that finds its queue full is answered so. To be called on a
    /// tokio `LocalSet`.
    pub fn push(&self, runner: &Arc<Runner>, job: Job<R>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((Arc::clone(runner), job));
        if waiting.len() > 1 {
            return;
        }
        drop(waiting);
        // Runs after all connections whose requests have arrived, like the express lane.
        let (pool, waiting) = (Arc::clone(&self.pool), Rc::clone(&self.waiting));
        tokio::task::spawn_local(async move { pool.push_all(waiting.take()) });
    }
}
