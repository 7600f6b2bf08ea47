//! Which thread runs what an event loop hands over.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::{LIMITS, feed, runner_with};
use crate::batch::{
    BatchLimits, Computed, Failure, Handover, InferencePool, Job, Lane, LaneChoice, PoolOptions,
    Request, Runner, RunnerOptions,
};
use crate::tensor::Tensor;
use crate::tune::Costs;

/// A request that tells where it was answered.
struct Located(flume::Sender<ThreadId>);

struct Failed;

impl From<Failure> for Failed {
    fn from(_: Failure) -> Self {
        Self
    }
}

impl Request for Located {
    type Error = Failed;

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn decode(&mut self) -> Result<Vec<Tensor>, Failed> {
        Err(Failed)
    }

    fn reserve(&mut self, _: usize) -> Result<(), Failed> {
        Ok(())
    }

    fn answer(self, result: Result<Computed<'_>, Failed>) {
        assert!(result.is_ok(), "nothing here fails");
        self.0.send(thread::current().id()).expect("the test waits");
    }
}

/// A model of which a row takes so long.
fn runner(row: Duration, lane: LaneChoice) -> Arc<Runner> {
    let options = RunnerOptions {
        limits: BatchLimits { rows_max: 8, delay_max: Duration::ZERO },
        is_tuned: true,
        merges: true,
        lane,
        costs: Costs::new(vec![(1, row), (8, 8 * row)]),
        row_elements: 1,
    };
    runner_with(2.0, options)
}

/// How many of so many requests, pushed in one turn, run on the event loop that pushed them.
fn here(runner: &Arc<Runner>, requests: usize) -> usize {
    let pool = InferencePool::start(PoolOptions { threads: 2, queue: LIMITS }).unwrap();
    while !pool.is_idle() {
        thread::yield_now();
    }
    let pool = Arc::new(pool);
    let (sender, located) = flume::unbounded();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let handover = Handover::new(Arc::clone(&pool));
        for _ in 0..requests {
            let feeds = feed(1, 1, &[1.0]);
            handover.push(runner, Job::new(Located(sender.clone()), feeds, Instant::now()));
        }
        tokio::task::yield_now().await;
    });
    let threads: Vec<_> = (0..requests).map(|_| located.recv().unwrap()).collect();
    assert_eq!(pool.close(Instant::now() + Duration::from_mins(1)), 0);
    threads.into_iter().filter(|id| *id == thread::current().id()).count()
}

const SHORT: Duration = Duration::from_micros(20);

#[test]
fn a_lone_request_that_is_short_runs_where_it_is() {
    assert_eq!(here(&runner(SHORT, LaneChoice::Auto), 1), 1);
}

#[test]
fn requests_run_on_threads_of_their_own_if_they_are_long_or_several_or_it_is_configured() {
    assert_eq!(here(&runner(2 * SHORT, LaneChoice::Auto), 1), 0);
    assert_eq!(here(&runner(SHORT, LaneChoice::Auto), 2), 0);
    assert_eq!(here(&runner(SHORT, LaneChoice::Always(Lane::Queue)), 1), 0);
}

#[test]
fn requests_do_not_run_where_they_are_once_the_pool_is_closed() {
    let pool = InferencePool::<Located>::start(PoolOptions { threads: 1, queue: LIMITS }).unwrap();
    assert_eq!(pool.close(Instant::now() + Duration::from_mins(1)), 0);
    assert!(!pool.is_idle());
}
