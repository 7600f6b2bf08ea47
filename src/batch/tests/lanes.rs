//! What the lanes do beyond splitting rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{BAD, Numbered, Outcome, feed, job};
use crate::backend::{LoadedModel, RunError};
use crate::batch::split::Split;
use crate::batch::{
    BatchLimits, ExpressLane, InferencePool, Job, Lane, LaneChoice, PoolOptions, QueueLimits,
    Runner, RunnerOptions,
};
use crate::model::{GraphIo, Output};
use crate::tensor::Tensor;
use crate::tune::Costs;

/// The identity, which counts its runs and fails on [`BAD`]. `sums`: gives the mean of all rows
/// instead, so that its batches cannot be split.
struct Counting {
    runs: Arc<AtomicUsize>,
    sums: bool,
    /// Who waits for answers until the first run, and leaves then.
    audience: Mutex<Option<flume::Receiver<(usize, Outcome)>>>,
    io: GraphIo,
}

impl Counting {
    fn new(sums: bool, runs: &Arc<AtomicUsize>) -> Self {
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        Self { runs: Arc::clone(runs), sums, audience: Mutex::default(), io }
    }
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
        drop(self.audience.lock().expect("no run panics").take());
        let Some(Tensor::F32(x)) = feeds.into_iter().next() else {
            return Err(RunError::Failed("no feed".to_owned()));
        };
        if x.iter().any(|number| *number == BAD) {
            return Err(RunError::Failed("bad number".to_owned()));
        }
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
    counting_of(8, sums, choice, costs)
}

fn counting_of(
    rows_max: usize,
    sums: bool,
    choice: LaneChoice,
    costs: Costs,
) -> (Arc<Runner>, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let runner = runner_of(rows_max, choice, costs, Counting::new(sums, &runs));
    (runner, runs)
}

fn runner_of(rows_max: usize, choice: LaneChoice, costs: Costs, model: Counting) -> Arc<Runner> {
    let limits = BatchLimits { rows_max, delay_max: Duration::ZERO };
    let options = RunnerOptions {
        limits,
        is_tuned: true,
        merges: true,
        lane: choice,
        costs,
        row_elements: 1,
    };
    Arc::new(Runner::new("counting".to_owned(), Arc::new(model), options))
}

fn fast() -> Costs {
    Costs::new(vec![(1, Duration::from_micros(5))])
}

fn slow() -> Costs {
    Costs::new(vec![(1, Duration::from_millis(1))])
}

/// Pushes jobs of these rows in one turn of an event loop.
fn one_turn(runner: &Arc<Runner>, rows: &[usize]) -> Vec<(usize, Outcome)> {
    let (outcomes, received) = flume::unbounded();
    let jobs = rows.iter().enumerate().map(|(number, rows)| job(number, *rows, &outcomes));
    let waiting = rows.len();
    run_turn(runner, jobs.collect(), || received.len() == waiting);
    received.try_iter().collect()
}

/// Pushes jobs in one turn of an event loop, which goes on until they are done.
fn run_turn(runner: &Arc<Runner>, jobs: Vec<Job<Numbered>>, is_done: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let lane = ExpressLane::new();
        for job in jobs {
            lane.push(runner, job);
        }
        while !is_done() {
            tokio::task::yield_now().await;
        }
    });
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
    let (runner, _) = counting(false, LaneChoice::Auto, fast());
    for _ in 0..100 {
        runner.observe(1, Duration::from_micros(100));
    }
    assert_eq!(runner.lane(), Lane::Express, "slower, but the event loop does not suffer");
    for _ in 0..100 {
        runner.observe(1, Duration::from_micros(300));
    }
    assert_eq!(runner.lane(), Lane::Queue);
    for _ in 0..100 {
        runner.observe(1, Duration::from_micros(5));
    }
    assert_eq!(runner.lane(), Lane::Express);
    runner.observe(1, Duration::from_micros(900));
    assert_eq!(runner.lane(), Lane::Express, "one sample counts four times at most");
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

#[test]
fn a_model_whose_runs_stall_leaves_the_express_lane_at_once_and_comes_back_when_they_do_not() {
    let (runner, _) = counting(false, LaneChoice::Auto, fast());
    assert_eq!(runner.lane(), Lane::Express);
    runner.observe(1, Duration::from_millis(100));
    assert_eq!(runner.lane(), Lane::Queue);
    runner.observe(1, Duration::from_micros(5));
    assert_eq!(runner.lane(), Lane::Express);
    for _ in 0..1000 {
        runner.observe(1, Duration::from_millis(100));
        assert_eq!(runner.lane(), Lane::Queue);
    }
    let estimate = runner.estimate(1).unwrap().as_secs_f64();
    assert!((estimate - 0.1).abs() < 1e-3, "{estimate}");
    // What was expected to take long says nothing about single rows.
    let (runner, _) = counting(false, LaneChoice::Auto, fast());
    runner.observe(1000, Duration::from_millis(5));
    assert_eq!(runner.lane(), Lane::Express);
}

#[test]
fn what_keeps_an_event_loop_too_long_does_not_take_the_express_lane() {
    let (runner, _) = counting(false, LaneChoice::Always(Lane::Express), fast());
    let (outcomes, _received) = flume::unbounded();
    let of_shapes = |shapes: &[[usize; 2]]| {
        let feeds =
            shapes.iter().map(|[rows, width]| feed(*rows, *width, &vec![1.0; rows * width]));
        Job::new(job(0, 1, &outcomes).request, feeds.flatten().collect(), Instant::now())
    };
    // The measured row has one number and takes 5 us: 50 rows are 250 us.
    for (shapes, weight, want) in [
        (&[[1, 1]][..], 1, true),
        (&[[50, 1]], 50, true),
        (&[[51, 1]], 51, false),
        (&[[1, 50]], 1, true),
        (&[[1, 51]], 1, false),
        (&[[1, 1], [1000, 1]], 1000, false),
    ] {
        let job = of_shapes(shapes);
        assert_eq!((job.weight(), runner.is_express(&job)), (weight, want), "{shapes:?}");
    }
}

#[test]
fn jobs_that_do_not_agree_on_their_rows_teach_nothing() {
    let (runner, _) = counting(false, LaneChoice::Auto, slow());
    let (outcomes, received) = flume::unbounded();
    let request = job(0, 1, &outcomes).request;
    let feeds = [feed(1, 1, &[1.0]), feed(2, 1, &[1.0; 2])].concat();
    runner.run(vec![Job::new(request, feeds, Instant::now())]);
    assert_eq!(received.len(), 1);
    assert_eq!(runner.estimate(1), Some(Duration::from_millis(1)));
}

#[test]
fn a_turn_of_the_express_lane_is_as_many_batches_as_it_needs() {
    // 5 us a row: 50 rows of the measured kind are one batch at most, whatever the limit of rows.
    let (runner, runs) = counting_of(1024, false, LaneChoice::Always(Lane::Express), fast());
    assert_eq!(one_turn(&runner, &[10; 20]).len(), 20);
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[test]
fn requests_whose_clients_left_while_their_batch_failed_are_not_run_again() {
    let (outcomes, received) = flume::unbounded();
    let mut jobs: Vec<_> = (0..8).map(|number| job(number, 1, &outcomes)).collect();
    jobs[0].feeds = feed(1, 1, &[BAD]);
    let runs = Arc::new(AtomicUsize::new(0));
    let model = Counting { audience: Mutex::new(Some(received)), ..Counting::new(false, &runs) };
    runner_of(8, LaneChoice::Always(Lane::Queue), slow(), model).run(jobs);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_configured_limit_of_rows_is_the_most_in_a_run_and_a_measured_one_is_not() {
    for (is_tuned, express, want) in [(false, false, 375), (true, true, 47)] {
        let runs = Arc::new(AtomicUsize::new(0));
        let limits = BatchLimits { rows_max: 8, delay_max: Duration::ZERO };
        let lane = LaneChoice::Always(Lane::Express);
        let options =
            RunnerOptions { limits, is_tuned, merges: true, lane, costs: fast(), row_elements: 1 };
        let model = Arc::new(Counting::new(false, &runs));
        let runner = Arc::new(Runner::new("counting".to_owned(), model, options));
        let (outcomes, received) = flume::unbounded();
        assert_eq!(runner.is_express(&job(0, 9, &outcomes)), express);
        assert!(runner.is_express(&job(0, 8, &outcomes)));
        let queue =
            QueueLimits { requests_max: 9, rows_max: 9999, wait_max: Duration::from_secs(9) };
        let pool = InferencePool::start(PoolOptions { threads: 1, queue }).unwrap();
        pool.push(&runner, job(0, 3000, &outcomes)).unwrap();
        assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
        assert_eq!((received.len(), runs.load(Ordering::Relaxed)), (1, want));
    }
}

#[test]
fn outputs_are_counted_as_memory_before_they_are_computed() {
    let queue =
        QueueLimits { requests_max: 9, rows_max: 999_999, wait_max: Duration::from_secs(999) };
    // The outputs of 8000 rows take more than 12 bytes a row; what they take is known after a part.
    for (room, fits, want) in [(90_000, false, 1), (900_000, true, 1000)] {
        let (runner, runs) = counting(false, LaneChoice::Always(Lane::Queue), slow());
        let pool = InferencePool::start(PoolOptions { threads: 1, queue }).unwrap();
        let (outcomes, received) = flume::unbounded();
        let mut large = job(0, 8000, &outcomes);
        large.request.room = room;
        pool.push(&runner, large).unwrap();
        assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
        let (_, ended) = received.recv().unwrap();
        assert_eq!(ended != Outcome::NoMemory, fits);
        assert_eq!(runs.load(Ordering::Relaxed), want);
        // One that runs whole is refused before its run.
        let mut whole = job(1, 8000, &outcomes);
        whole.request.room = 90_000;
        runner.run(vec![whole]);
        assert_eq!(received.recv().unwrap(), (1, Outcome::NoMemory));
        assert_eq!(runs.load(Ordering::Relaxed), want);
    }
}

#[test]
fn only_jobs_of_one_shape_share_a_run() {
    let (runner, runs) = counting(false, LaneChoice::Always(Lane::Express), fast());
    let (outcomes, received) = flume::unbounded();
    let mut jobs: Vec<_> = (0..4).map(|number| job(number, 1, &outcomes)).collect();
    jobs[1].feeds = feed(1, 2, &[1.0; 2]);
    jobs[3].feeds = feed(1, 2, &[1.0; 2]);
    run_turn(&runner, jobs, || received.len() == 4);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[test]
fn the_express_lane_runs_nothing_for_those_who_expired_or_went_away() {
    let (runner, runs) = counting(false, LaneChoice::Always(Lane::Express), fast());
    let (outcomes, received) = flume::unbounded();
    let (gone, _) = flume::unbounded();
    let mut expired = job(0, 1, &outcomes);
    expired.request.deadline = Instant::now();
    run_turn(&runner, vec![expired, job(1, 1, &gone)], || received.len() == 1);
    let mut expired = job(2, 1, &outcomes);
    expired.request.deadline = Instant::now();
    run_turn(&runner, vec![expired], || received.len() == 2);
    let ended: Vec<_> = received.try_iter().collect();
    assert_eq!(ended, [(0, Outcome::Expired), (2, Outcome::Expired)]);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[test]
fn parts_of_a_request_that_expired_are_not_run() {
    let (runner, runs) = counting(false, LaneChoice::Always(Lane::Queue), slow());
    let (outcomes, received) = flume::unbounded();
    let mut large = job(0, 100, &outcomes);
    large.request.deadline = Instant::now();
    let Ok(split) = Split::new(large, 8) else { panic!("it has 100 rows") };
    split.run(0, &runner);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [(0, Outcome::Expired)]);
    assert!(split.is_over());
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}
