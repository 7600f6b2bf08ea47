//! What the lanes do beyond splitting rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Numbered, Outcome, feed};
use crate::backend::{LoadedModel, RunError};
use crate::batch::{
    BatchLimits, ExpressLane, InferencePool, Job, Lane, LaneChoice, PoolOptions, QueueLimits,
    Runner, RunnerOptions,
};
use crate::model::{GraphIo, Output};
use crate::tensor::Tensor;
use crate::tune::Costs;

/// The identity, which counts its runs. `sums`: gives the mean of all rows instead, so that its
/// batches cannot be split.
struct Counting {
    runs: Arc<AtomicUsize>,
    sums: bool,
    io: GraphIo,
}

impl LoadedModel for Counting {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &'static str {
        "test"
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let Some(Tensor::F32(x)) = feeds.into_iter().next() else {
            return Err(RunError::Failed("no feed".to_owned()));
        };
        let maps = |rows: usize| {
            Output::Maps((0..rows).map(|_| [(crate::model::ClassKey::Int(0), 0.0)]).collect())
        };
        if !self.sums {
            let maps = maps(x.nrows());
            return Ok(vec![Output::Tensor(Tensor::F32(x)), maps]);
        }
        let sum = Tensor::from_vec(&[1, 1], vec![x.sum()]).expect("one number");
        Ok(vec![Output::Tensor(sum), maps(1)])
    }
}

trait Rows {
    fn nrows(&self) -> usize;
}

impl Rows for ndarray::ArrayD<f32> {
    fn nrows(&self) -> usize {
        self.shape()[0]
    }
}

fn counting(sums: bool, choice: LaneChoice, costs: Costs) -> (Arc<Runner>, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
    let model = Arc::new(Counting { runs: Arc::clone(&runs), sums, io });
    let limits = BatchLimits { rows_max: 8, delay_max: Duration::ZERO };
    let options = RunnerOptions { limits, merges: true, lane: choice, costs };
    (Arc::new(Runner::new("counting".to_owned(), model, options)), runs)
}

fn slow() -> Costs {
    Costs::new(vec![(1, Duration::from_millis(1))])
}

fn job(number: usize, rows: usize, outcomes: &flume::Sender<(usize, Outcome)>) -> Job<Numbered> {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(1000);
    let request = Numbered { number, feeds: Vec::new(), deadline, outcomes: outcomes.clone() };
    Job::new(request, feed(rows, 1, &vec![1.0; rows]), now)
}

/// Pushes jobs of these rows in one turn of an event loop.
fn one_turn(runner: &Arc<Runner>, rows: &[usize]) -> Vec<(usize, Outcome)> {
    let (outcomes, received) = flume::unbounded();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let lane = ExpressLane::new();
        for (number, rows) in rows.iter().enumerate() {
            lane.push(runner, job(number, *rows, &outcomes));
        }
        tokio::task::yield_now().await;
    });
    received.try_iter().collect()
}

#[test]
fn requests_of_one_turn_run_in_one_batch() {
    let (runner, runs) = counting(false, LaneChoice::Always(Lane::Express), slow());
    assert_eq!(one_turn(&runner, &[1, 2, 3]).len(), 3);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // Eight rows at most.
    assert_eq!(one_turn(&runner, &[5, 5, 3, 1, 2]).len(), 5);
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[test]
fn a_graph_whose_batches_cannot_be_split_runs_requests_alone_from_then_on() {
    let (runner, runs) = counting(true, LaneChoice::Always(Lane::Express), slow());
    let sums = |ended: Vec<(usize, Outcome)>| {
        ended
            .into_iter()
            .map(|(_, outcome)| match outcome {
                Outcome::Rows(sum, _) => sum[0],
                other => panic!("{other:?}"),
            })
            .collect::<Vec<f32>>()
    };
    assert_eq!(sums(one_turn(&runner, &[1, 2])), [1.0, 2.0]);
    assert!(!runner.merges());
    assert_eq!(runs.load(Ordering::Relaxed), 3, "together, then each alone");
    assert_eq!(sums(one_turn(&runner, &[1, 2])), [1.0, 2.0]);
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[test]
fn a_large_request_for_such_a_graph_is_run_whole() {
    let (runner, _) = counting(true, LaneChoice::Always(Lane::Queue), slow());
    let limits =
        QueueLimits { requests_max: 9, rows_max: 1000, wait_max: Duration::from_secs(1000) };
    let pool = InferencePool::start(PoolOptions { threads: 3, queue: limits }).unwrap();
    let (outcomes, received) = flume::unbounded();
    pool.push(&runner, job(0, 100, &outcomes)).unwrap();
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
    assert_eq!(
        received.try_iter().collect::<Vec<_>>(),
        [(0, Outcome::Rows(vec![100.0], vec![0.0]))]
    );
}

#[test]
fn the_lane_follows_what_runs_take() {
    let fast = Costs::new(vec![(1, Duration::from_micros(5))]);
    let (runner, _) = counting(false, LaneChoice::Auto, fast);
    assert_eq!(runner.lane(), Lane::Express);
    for _ in 0..100 {
        runner.observe(1, Duration::from_secs(1));
    }
    assert_eq!(runner.lane(), Lane::Express, "one sample counts four times at most");
    let (runner, _) =
        counting(false, LaneChoice::Auto, Costs::new(vec![(1, Duration::from_micros(10))]));
    for _ in 0..100 {
        runner.observe(1, Duration::from_micros(40));
    }
    assert_eq!(runner.lane(), Lane::Queue);
    for _ in 0..100 {
        runner.observe(1, Duration::from_micros(10));
    }
    assert_eq!(runner.lane(), Lane::Express);
    let (pinned, _) = counting(false, LaneChoice::Always(Lane::Queue), slow());
    pinned.observe(1, Duration::from_micros(1));
    assert_eq!(pinned.lane(), Lane::Queue);
}

#[test]
fn expired_and_abandoned_requests_are_never_run() {
    let (runner, runs) = counting(false, LaneChoice::Always(Lane::Queue), slow());
    let (outcomes, received) = flume::unbounded();
    let mut expired = job(0, 1, &outcomes);
    expired.request.deadline = Instant::now();
    let (gone, _) = flume::unbounded();
    runner.run(vec![expired, job(1, 1, &gone)]);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [(0, Outcome::Expired)]);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}
