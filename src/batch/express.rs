//! The express lane of one event loop.

use std::sync::Arc;

use super::turn::{Jobs, Turn};
use super::{Job, Request, Runner};

/// A job joins one of so many batches before it, at most: jobs that do not join each other must
/// not cost more the more there are.
const LOOK_BACK: usize = 16;

/// Runs cheap models where their requests were decoded: all jobs that arrive in one turn of the
/// event loop run at its end, those of one model in one batch. Belongs to one thread.
pub struct ExpressLane<R> {
    turn: Turn<R>,
}

impl<R: Request> ExpressLane<R> {
    /// An empty lane.
    #[must_use]
    pub fn new() -> Self {
        Self { turn: Turn::new() }
    }

    /// Adds a job to this turn. To be called on a tokio `LocalSet`.
    pub fn push(&self, runner: &Arc<Runner>, job: Job<R>) {
        if self.turn.add(runner, job) {
            self.turn.at_end(run);
        }
    }
}

impl<R: Request> Default for ExpressLane<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the jobs of a turn. Between two batches the event loop does what else there is to do.
async fn run<R: Request>(turn: Jobs<R>) {
    if turn.len() == 1 {
        for (runner, job) in turn {
            runner.run(vec![job]);
        }
        return;
    }
    let mut batches = batches(turn).into_iter();
    while let Some(Batch { runner, jobs, .. }) = batches.next() {
        runner.run(jobs);
        if batches.len() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Jobs of one runner that join each other.
struct Batch<R> {
    runner: Arc<Runner>,
    rows: usize,
    rows_max: usize,
    jobs: Vec<Job<R>>,
}

impl<R: Request> Batch<R> {
    fn new(runner: Arc<Runner>, job: Job<R>) -> Self {
        let rows_max = if runner.merges() { runner.express_rows_max() } else { 0 };
        Self { runner, rows: job.weight(), rows_max, jobs: vec![job] }
    }

    fn takes(&self, runner: &Arc<Runner>, job: &Job<R>) -> bool {
        self.rows + job.weight() <= self.rows_max
            && Arc::ptr_eq(&self.runner, runner)
            && job.joins(&self.jobs[0])
    }
}

/// A turn's jobs in batches of those that belong together.
fn batches<R: Request>(turn: Jobs<R>) -> Vec<Batch<R>> {
    let mut batches: Vec<Batch<R>> = Vec::new();
    for (runner, job) in turn {
        let mut open = batches.iter_mut().rev().take(LOOK_BACK);
        match open.find(|batch| batch.takes(&runner, &job)) {
            Some(batch) => {
                batch.rows += job.weight();
                batch.jobs.push(job);
            }
            None => batches.push(Batch::new(runner, job)),
        }
    }
    batches
}
