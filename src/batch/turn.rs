//! What arrives in one turn of an event loop.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Job, Request, Runner};

/// Jobs by runner.
pub(super) type Jobs<R> = Vec<(Arc<Runner>, Job<R>)>;

/// Collects the jobs of a turn until its end. Belongs to one thread.
pub(super) struct Turn<R> {
    waiting: Rc<RefCell<Jobs<R>>>,
}

impl<R: Request> Turn<R> {
    pub(super) fn new() -> Self {
        Self { waiting: Rc::default() }
    }

    /// Adds a job. Whether it is the turn's first, so that its end is to be arranged.
    pub(super) fn add(&self, runner: &Arc<Runner>, job: Job<R>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((Arc::clone(runner), job));
        waiting.len() == 1
    }

    /// Does `work` with all jobs at the end of the turn. To be called on a tokio `LocalSet`.
    pub(super) fn at_end<F>(&self, work: impl FnOnce(Jobs<R>) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        // A task that is spawned now runs after all that are ready already: the connections whose
        // requests have arrived.
        let waiting = Rc::clone(&self.waiting);
        tokio::task::spawn_local(async move {
            // The next turn is likely to bring as many.
            let room = Vec::with_capacity(waiting.borrow().len());
            let jobs = waiting.replace(room);
            work(jobs).await;
        });
    }
}
