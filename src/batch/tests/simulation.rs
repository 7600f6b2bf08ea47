//! The queues in virtual time: random arrivals, threads that take random times, and what must hold
//! after every step. A failure names its seed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Numbered, feed, runner};
use crate::batch::queue::{Queue, Undecoded, Work};
use crate::batch::schedule::{Next, Queues};
use crate::batch::{Admission, Job, Lane, QueueLimits, Rejected, Runner};

const SEEDS: u64 = 60;
const STEPS: usize = 1500;
const US: Duration = Duration::from_micros(1);

/// What a thread decodes, and for whom.
type Bodies = (Arc<Runner>, Vec<Undecoded<Numbered>>);

struct Simulation {
    random: fastrand::Rng,
    now: Instant,
    queues: Queues<Numbered>,
    runners: Vec<Arc<Runner>>,
    limits: QueueLimits,
    /// When each busy thread will be done, and with which bodies.
    busy: Vec<(Instant, Option<Bodies>)>,
    threads: usize,
    rows_max: usize,
    delay: Duration,
    /// Rows of each request that are still to run.
    left: HashMap<usize, usize>,
    admitted: usize,
    outcomes: flume::Sender<(usize, super::Outcome)>,
    _received: flume::Receiver<(usize, super::Outcome)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let rows_max = random.usize(1..20);
        let delay = US * [0, 0, 50, 500][random.usize(0..4)];
        let models = random.usize(1..4);
        let runners = (0..models).map(|_| runner(rows_max, delay, Lane::Queue)).collect();
        let (outcomes, received) = flume::unbounded();
        Self {
            now: Instant::now(),
            queues: Queues::new(),
            runners,
            limits: QueueLimits {
                requests_max: random.usize(1..50),
                rows_max: random.usize(1..400),
                wait_max: US * random.u32(1..1_000_000),
            },
            busy: Vec::new(),
            threads: random.usize(1..5),
            rows_max,
            delay,
            left: HashMap::new(),
            admitted: 0,
            outcomes,
            _received: received,
            random,
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..10) {
            0..6 => self.arrive(),
            6..9 => self.pass_time(),
            _ => {
                for _ in 0..self.random.usize(0..20) {
                    self.arrive();
                }
            }
        }
        self.dispatch();
        self.check_bounds();
    }

    fn arrive(&mut self) {
        let runner = Arc::clone(&self.runners[self.random.usize(0..self.runners.len())]);
        let rows = if self.random.u8(0..20) == 0 { self.random.usize(1..200) } else { 1 };
        let width = self.random.usize(1..3);
        let number = self.admitted;
        let admission =
            self.queues.find(&runner).map_or(Admission::default(), |q| q.admission(self.threads));
        let undecoded = self.random.u8(0..4) == 0;
        match admission.check(if undecoded { 1 } else { rows }, &self.limits) {
            Err(Rejected::Requests(_)) => assert!(admission.requests >= self.limits.requests_max),
            Err(Rejected::Rows(_)) => assert!(admission.rows + rows > self.limits.rows_max),
            Err(Rejected::Wait(_)) => assert!(admission.wait > self.limits.wait_max),
            Err(Rejected::Closed) => panic!("nobody closed the queues"),
            Ok(()) => {
                let feeds = feed(rows, width, &vec![1.0; rows * width]);
                let deadline = self.now + Duration::from_secs(1000);
                let outcomes = self.outcomes.clone();
                self.left.insert(number, rows);
                self.admitted += 1;
                let mut request = Numbered { number, feeds: Vec::new(), deadline, outcomes };
                if undecoded {
                    request.feeds = feeds;
                    let bytes = rows * 4000;
                    let since = self.now;
                    self.queues.of(&runner).push_undecoded(Undecoded { request, bytes, since });
                } else {
                    self.queues.of(&runner).push(Job::new(request, feeds, self.now));
                }
            }
        }
    }

    fn pass_time(&mut self) {
        self.now += US * self.random.u32(1..400);
        let (done, busy) = std::mem::take(&mut self.busy)
            .into_iter()
            .partition::<Vec<_>, _>(|(until, _)| *until <= self.now);
        self.busy = busy;
        for (runner, bodies) in done.into_iter().filter_map(|(_, bodies)| bodies) {
            self.queues.decoding -= 1;
            for body in bodies {
                let Undecoded { mut request, since, .. } = body;
                let feeds = std::mem::take(&mut request.feeds);
                self.queues.of(&runner).push_decoded(Job::new(request, feeds, since));
            }
        }
    }

    /// Idle threads take what there is.
    fn dispatch(&mut self) {
        while self.busy.len() < self.threads {
            let until = self.now + US * self.random.u32(1..2000);
            match self.queues.next(self.now, self.threads) {
                Next::Work(runner, Work::Decode(bodies)) => {
                    assert!(!bodies.is_empty());
                    self.busy.push((until, Some((runner, bodies))));
                }
                Next::Work(_, Work::Batch(jobs)) => {
                    self.check_batch(&jobs);
                    for job in jobs {
                        self.run(job.request.number, job.weight());
                    }
                    self.busy.push((until, None));
                }
                Next::Work(_, Work::Part(split, part)) => {
                    let rows = split.part_rows(part);
                    assert!(rows <= self.rows_max.max(1));
                    let number = split.look(|request| request.number);
                    self.run(number.expect("it is not answered"), rows);
                    self.busy.push((until, None));
                }
                Next::WaitUntil(at) => {
                    assert!(self.delay > Duration::ZERO && at > self.now, "no wait without delay");
                    break;
                }
                Next::Wait => {
                    // Bodies alone may wait, for the threads that decode already.
                    let decoders = self.threads.saturating_sub(1).max(1);
                    let ready = self.queues.filled.iter().any(Queue::has_entries);
                    let bodies = !self.queues.filled.is_empty();
                    assert!(!ready, "a thread is idle while jobs wait");
                    assert!(!bodies || self.queues.decoding >= decoders);
                    break;
                }
                Next::End => panic!("nobody closed the queues"),
            }
        }
    }

    fn check_batch(&self, jobs: &[Job<Numbered>]) {
        let rows: usize = jobs.iter().map(Job::weight).sum();
        assert!(rows <= self.rows_max || jobs.len() == 1, "{rows} rows in a batch");
        assert!(jobs.iter().all(|job| job.joins(&jobs[0])), "rows of different shapes");
        let numbers: Vec<_> = jobs.iter().map(|job| job.request.number).collect();
        let decoded = self.queues.decoding > 0;
        assert!(decoded || !numbers.is_empty(), "an empty batch");
    }

    fn run(&mut self, number: usize, rows: usize) {
        let left = self.left.get_mut(&number).expect("a request runs once");
        *left = left.checked_sub(rows).expect("no more rows than it has");
        if *left == 0 {
            self.left.remove(&number);
        }
    }

    fn check_bounds(&self) {
        for queue in &self.queues.filled {
            let admission = queue.admission(self.threads);
            assert!(admission.requests > 0, "an empty queue is kept");
            assert!(admission.wait < Duration::from_hours(1));
        }
    }

    /// Without arrivals everything that was admitted runs.
    fn drain(&mut self) {
        for _ in 0..200_000 {
            if self.left.is_empty() {
                return;
            }
            self.pass_time();
            self.dispatch();
        }
        panic!("{} requests never ran", self.left.len());
    }
}

#[test]
fn whatever_arrives_runs_once_in_batches_that_are_allowed() {
    for seed in 0..SEEDS {
        let run = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            for _ in 0..STEPS {
                simulation.step();
            }
            simulation.drain();
            assert!(simulation.queues.filled.is_empty(), "what is left: nothing");
            simulation.admitted
        });
        let admitted = run.unwrap_or_else(|_| panic!("the simulation failed with seed {seed}"));
        assert!(admitted > 0, "seed {seed} tests nothing");
    }
}
