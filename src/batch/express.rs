//! The express lane of one event loop.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Job, Request, Runner};

/// Runs cheap models where their requests were decoded: all jobs that arrive in one turn of the
/// event loop run at its end, those of one model in one batch. Belongs to one thread.
pub struct ExpressLane<R> {
    waiting: Rc<RefCell<Waiting<R>>>,
}

/// Jobs of this turn, by runner.
type Waiting<R> = Vec<(Arc<Runner>, Job<R>)>;

impl<R: Request> ExpressLane<R> {
    /// An empty lane.
    #[must_use]
    pub fn new() -> Self {
        Self { waiting: Rc::default() }
    }

    /// Adds a job to this turn. To be called on a tokio `LocalSet`.
    pub fn push(&self, runner: &Arc<Runner>, job: Job<R>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((Arc::clone(runner), job));
        if waiting.len() > 1 {
            return;
        }
        drop(waiting);
        // A task that is spawned now runs after all that are ready already: the connections whose
        // requests have arrived.
        let waiting = Rc::clone(&self.waiting);
        tokio::task::spawn_local(async move {
            let turn = waiting.take();
            run(turn);
        });
    }
}

impl<R: Request> Default for ExpressLane<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the jobs in batches of those that belong together.
fn run<R: Request>(mut turn: Waiting<R>) {
    while !turn.is_empty() {
        let (runner, batch, rest) = first_batch(turn);
        runner.run(batch);
        turn = rest;
    }
}

/// The first job with all that join it, and what is left.
fn first_batch<R: Request>(turn: Waiting<R>) -> (Arc<Runner>, Vec<Job<R>>, Waiting<R>) {
    let mut jobs = turn.into_iter();
    let (runner, first) = jobs.next().expect("a turn has a job");
    let rows_max = if runner.merges() { runner.limits().rows_max } else { 1 };
    let mut rows = first.weight();
    let mut batch = Vec::with_capacity(1 + jobs.len());
    batch.push(first);
    let mut rest = Vec::new();
    for (of, job) in jobs {
        let fits = rows + job.weight() <= rows_max;
        if fits && Arc::ptr_eq(&of, &runner) && job.joins(&batch[0]) {
            rows += job.weight();
            batch.push(job);
        } else {
            rest.push((of, job));
        }
    }
    (runner, batch, rest)
}
