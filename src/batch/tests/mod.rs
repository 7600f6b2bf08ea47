//! A model and a request for the tests, and what they show.

mod ends;
mod handover;
mod lanes;
mod queues;
mod rows;
mod simulation;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{LoadedModel, RunError};
use crate::batch::bodies::Undecoded;
use crate::batch::{
    BatchLimits, Computed, Failure, Job, Lane, LaneChoice, QueueLimits, Request, Runner,
    RunnerOptions,
};
use crate::model::{ClassKey, GraphIo, Output, OutputRows};
use crate::tensor::Tensor;
use crate::tune::Costs;

/// The model fails on a run with this number in it.
const BAD: f32 = -1.0;
/// The model panics on a run with this number in it.
const UGLY: f32 = -2.0;

/// Gives a multiple of each number, and a map from the row's first number's sign to that number.
struct Multiplying {
    factor: f32,
    io: GraphIo,
}

impl LoadedModel for Multiplying {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &'static str {
        "test"
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        let Some(Tensor::F32(x)) = feeds.into_iter().next() else {
            return Err(RunError::Failed("no feed".to_owned()));
        };
        assert!(!x.iter().any(|number| *number == UGLY), "the model does not like this");
        if x.iter().any(|number| *number == BAD) {
            return Err(RunError::Failed("bad number".to_owned()));
        }
        let maps = x.rows().into_iter().map(|row| {
            let number = f64::from(row[0]);
            [(ClassKey::Int(number.signum() as i64), number)]
        });
        let maps = Output::Maps(maps.collect());
        Ok(vec![Output::Tensor(Tensor::F32(x.mapv(|number| self.factor * number))), maps])
    }
}

fn runner(rows_max: usize, delay_max: Duration, lane: Lane) -> Arc<Runner> {
    multiplying(2.0, rows_max, delay_max, lane)
}

fn multiplying(factor: f32, rows_max: usize, delay_max: Duration, lane: Lane) -> Arc<Runner> {
    // Slow enough for large requests to be split.
    let costs = Costs::new(vec![(1, Duration::from_millis(1))]);
    let options = RunnerOptions {
        limits: BatchLimits { rows_max, delay_max },
        is_tuned: false,
        merges: true,
        lane: LaneChoice::Always(lane),
        costs,
        row_elements: 1,
    };
    runner_with(factor, options)
}

fn runner_of(limits: BatchLimits, merges: bool, costs: Costs) -> Arc<Runner> {
    let lane = LaneChoice::Always(Lane::Queue);
    let options = RunnerOptions { limits, is_tuned: false, merges, lane, costs, row_elements: 1 };
    runner_with(2.0, options)
}

fn runner_with(factor: f32, options: RunnerOptions) -> Arc<Runner> {
    let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
    let model = Arc::new(Multiplying { factor, io });
    Arc::new(Runner::new(format!("times {factor}"), model, options))
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// All numbers of the first output, and of the second.
    Rows(Vec<f32>, Vec<f64>),
    Refused,
    Panicked,
    Expired,
    Rejected,
    NoMemory,
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Run(_) => Self::Refused,
            Failure::Panicked { .. } => Self::Panicked,
            Failure::Expired => Self::Expired,
            Failure::Rejected(_) => Self::Rejected,
        }
    }
}

/// A request that sends its outcome with its number.
struct Numbered {
    number: usize,
    /// What an undecoded one decodes to.
    feeds: Vec<Tensor>,
    deadline: Instant,
    /// Bytes that it may reserve.
    room: usize,
    outcomes: flume::Sender<(usize, Outcome)>,
}

impl Request for Numbered {
    type Error = Outcome;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.outcomes.is_disconnected()
    }

    fn decode(&mut self) -> Result<Vec<Tensor>, Outcome> {
        Ok(std::mem::take(&mut self.feeds))
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Outcome> {
        self.room = self.room.checked_sub(bytes).ok_or(Outcome::NoMemory)?;
        Ok(())
    }

    fn answer(self, result: Result<Computed<'_>, Outcome>) {
        let outcome = result.map_or_else(|error| error, |computed| numbers(&computed.rows));
        let _ = self.outcomes.send((self.number, outcome));
    }
}

fn numbers(rows: &OutputRows<'_>) -> Outcome {
    let [Output::Tensor(Tensor::F32(scaled)), Output::Maps(maps)] = rows.outputs else {
        panic!("two outputs");
    };
    let range = rows.rows.clone().unwrap_or(0..maps.len());
    let scaled = scaled.rows().into_iter().skip(range.start).take(range.len());
    let scaled = scaled.flat_map(|row| row.to_vec()).collect();
    Outcome::Rows(scaled, maps.rows(range).map(|map| map.values[0]).collect())
}

/// One feed: `rows` rows of `width` numbers.
fn feed(rows: usize, width: usize, numbers: &[f32]) -> Vec<Tensor> {
    vec![Tensor::from_vec(&[rows, width], numbers.to_vec()).expect("as many numbers")]
}

/// What the model makes of a request that runs on its own.
fn expected(factor: f32, width: usize, numbers: &[f32]) -> Outcome {
    if numbers.contains(&UGLY) {
        return Outcome::Panicked;
    }
    if numbers.contains(&BAD) {
        return Outcome::Refused;
    }
    let firsts = numbers.chunks(width).map(|row| f64::from(row[0])).collect();
    Outcome::Rows(numbers.iter().map(|number| factor * number).collect(), firsts)
}

/// Limits that no test reaches.
const LIMITS: QueueLimits =
    QueueLimits { requests_max: 1000, rows_max: 100_000, wait_max: Duration::from_secs(1000) };

type Outcomes = flume::Sender<(usize, Outcome)>;

fn request(number: usize, rows: usize, outcomes: &Outcomes) -> Numbered {
    let feeds = feed(rows, 1, &vec![1.0; rows]);
    let deadline = Instant::now() + Duration::from_secs(1000);
    Numbered { number, feeds, deadline, room: usize::MAX, outcomes: outcomes.clone() }
}

fn job(number: usize, rows: usize, outcomes: &Outcomes) -> Job<Numbered> {
    let mut request = request(number, rows, outcomes);
    let feeds = std::mem::take(&mut request.feeds);
    Job::new(request, feeds, Instant::now())
}

fn body(number: usize, rows: usize, bytes: usize, outcomes: &Outcomes) -> Undecoded<Numbered> {
    let request = request(number, rows, outcomes);
    Undecoded { request, bytes, is_packed: false, since: Instant::now() }
}

/// As a thread does.
fn decode(bodies: Vec<Undecoded<Numbered>>) -> Vec<Job<Numbered>> {
    let decode = |body: Undecoded<Numbered>| {
        let Undecoded { mut request, since, .. } = body;
        let feeds = std::mem::take(&mut request.feeds);
        Job::new(request, feeds, since)
    };
    bodies.into_iter().map(decode).collect()
}

fn plain(rows_max: usize) -> Arc<Runner> {
    runner(rows_max, Duration::ZERO, Lane::Queue)
}
