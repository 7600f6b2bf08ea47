//! The batcher alone, around a model that costs nothing: jobs of one row of 11 `f32`.
//!
//! Would catch: an allocation or a copy more for each job, a lock that is held longer, a thread
//! that is woken in vain, assembly that grows faster than its rows do, and a batch that is no
//! longer made of all that waits. Jobs are made beforehand and every one is answered; the figures
//! are per turn, or per burst, and as jobs a second.
//!
//! - `express`: so many jobs in one turn of an event loop.
//! - `queue`: so many jobs to one inference thread and their answers back, which is mostly the time
//!   of a sleeping thread to wake.
//! - `rows`: feeds of so many jobs laid end to end.
//! - `parts`: a request of 256 rows in parts of so many rows, cut and joined again.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowgate::backend::{LoadedModel, RunError};
use flowgate::batch::{
    BatchLimits, Computed, ExpressLane, Failure, InferencePool, Job, Lane, LaneChoice, PoolOptions,
    QueueLimits, Request, Runner, RunnerOptions,
};
use flowgate::model::{GraphIo, Output};
use flowgate::tensor::Tensor;
use flowgate::tune::Costs;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// The server's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Columns of the wine model.
const COLUMNS: usize = 11;
/// Rows of the request that is split.
const LARGE: usize = 256;
/// Longer than any run of this program.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// Gives its feeds back.
struct Free(GraphIo);

impl LoadedModel for Free {
    fn io(&self) -> &GraphIo {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "none"
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        Ok(feeds.into_iter().map(Output::Tensor).collect())
    }
}

/// Somebody who waits to be told how many rows came back.
struct Waiting {
    deadline: Instant,
    reply: oneshot::Sender<Option<usize>>,
}

impl Request for Waiting {
    type Error = Failure;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn decode(&mut self) -> Result<Vec<Tensor>, Failure> {
        Ok(Vec::new())
    }

    fn reserve(&mut self, _bytes: usize) -> Result<(), Self::Error> {
        Ok(())
    }

    fn answer(self, result: Result<Computed<'_>, Failure>) {
        let rows = result.ok().and_then(|computed| {
            let Computed { rows, .. } = black_box(computed);
            rows.rows.map_or_else(|| rows.outputs[0].rows(), |rows| Some(rows.len()))
        });
        // Whoever does not wait any more needs no answer.
        let _ = self.reply.send(rows);
    }
}

type Reply = oneshot::Receiver<Option<usize>>;

fn row(rows: usize) -> Tensor {
    Tensor::from_vec(&[rows, COLUMNS], vec![0.5_f32; rows * COLUMNS]).expect("as many as the shape")
}

/// `count` jobs of `rows` rows.
fn jobs(count: usize, rows: usize) -> (Vec<Job<Waiting>>, Vec<Reply>) {
    let now = Instant::now();
    let job = |_| {
        let (reply, answer) = oneshot::channel();
        (Job::new(Waiting { deadline: now + FOREVER, reply }, vec![row(rows)], now), answer)
    };
    (0..count).map(job).unzip()
}

fn runner(rows_max: usize, lane: Lane) -> Arc<Runner> {
    let options = RunnerOptions {
        limits: BatchLimits { rows_max, delay_max: Duration::ZERO },
        is_tuned: false,
        merges: true,
        lane: LaneChoice::Always(lane),
        // Slow on paper, so that a large request is split.
        costs: Costs::new(vec![(1, Duration::from_millis(1))]),
        row_elements: 11,
    };
    let model = Free(GraphIo { inputs: Vec::new(), outputs: Vec::new() });
    Arc::new(Runner::new("free".to_owned(), Arc::new(model), options))
}

fn pool() -> InferencePool<Waiting> {
    let queue = QueueLimits { requests_max: 1 << 20, rows_max: 1 << 20, wait_max: FOREVER };
    InferencePool::start(PoolOptions { threads: 1, queue }).expect("a thread")
}

fn express(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("express");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (lane, runner) = (ExpressLane::new(), runner(64, Lane::Express));
    for count in [1, 8, 64] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|turns| {
                LocalSet::new().block_on(&runtime, async {
                    let mut took = Duration::ZERO;
                    for _ in 0..turns {
                        let (jobs, replies) = jobs(count, 1);
                        let start = Instant::now();
                        for job in jobs {
                            lane.push(&runner, job);
                        }
                        for reply in replies {
                            assert_eq!(reply.await, Ok(Some(1)));
                        }
                        took += start.elapsed();
                    }
                    took
                })
            });
        });
    }
    group.finish();
}

/// The time of so many bursts through the pool.
fn bursts(
    pool: &InferencePool<Waiting>,
    runner: &Arc<Runner>,
    bursts: u64,
    (count, rows): (usize, usize),
) -> Duration {
    let burst = |_| {
        let (jobs, replies) = jobs(count, rows);
        let start = Instant::now();
        for job in jobs {
            pool.push(runner, job).expect("room for all");
        }
        for reply in replies {
            assert_eq!(reply.blocking_recv(), Ok(Some(rows)));
        }
        start.elapsed()
    };
    (0..bursts).map(burst).sum()
}

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    let (pool, runner) = (pool(), runner(64, Lane::Queue));
    for count in [1, 8, 64] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|turns| bursts(&pool, &runner, turns, (count, 1)));
        });
    }
    pool.close(Instant::now() + FOREVER);
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    for count in [8, 64, 256] {
        let feeds: Vec<_> = (0..count).map(|_| row(1)).collect();
        let feeds: Vec<_> = feeds.iter().collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| Tensor::concat(black_box(&feeds)).expect("rows of one shape"));
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts");
    let pool = pool();
    for rows_max in [8, 64, LARGE] {
        let runner = runner(rows_max, Lane::Queue);
        group.throughput(Throughput::Elements(LARGE as u64));
        group.bench_function(BenchmarkId::from_parameter(rows_max), |bencher| {
            bencher.iter_custom(|turns| bursts(&pool, &runner, turns, (1, LARGE)));
        });
    }
    pool.close(Instant::now() + FOREVER);
    group.finish();
}

criterion_group!(benches, express, queue, rows, parts);
criterion_main!(benches);
