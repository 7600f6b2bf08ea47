//! The queues in virtual time: random arrivals, threads that take random times, and what must hold
//! after every step. A failure names its seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Numbered, Outcome, feed, runner};
use crate::batch::bodies::Undecoded;
use crate::batch::queue::{Queue, Work};
use crate::batch::schedule::{Load, Next, Queues, Task};
use crate::batch::split::Split;
use crate::batch::{Job, Lane, QueueLimits, Rejected, Runner};

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
    /// When each busy thread will be done, with what, and with which bodies.
    busy: Vec<(Instant, Load, Option<Bodies>)>,
    threads: usize,
    rows_max: usize,
    delay: Duration,
    /// The requests that wait in a queue, by number.
    waiting: BTreeMap<usize, Waiting>,
    /// The clients that wait for an answer, by number of their request.
    clients: BTreeMap<usize, Client>,
    admitted: usize,
    is_closed: bool,
}

type Client = flume::Receiver<(usize, Outcome)>;

/// A request in a queue, as it has to be.
struct Waiting {
    runner: Arc<Runner>,
    since: Instant,
    is_decoded: bool,
    is_split: bool,
    /// Rows that are still to run.
    rows: usize,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let rows_max = random.usize(1..20);
        let delay = US * [0, 0, 50, 500][random.usize(0..4)];
        let models = random.usize(1..4);
        let runners = (0..models).map(|_| runner(rows_max, delay, Lane::Queue)).collect();
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
            waiting: BTreeMap::new(),
            clients: BTreeMap::new(),
            admitted: 0,
            is_closed: false,
            random,
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..13) {
            0..6 => self.arrive(),
            6..9 => self.pass_time(),
            9..11 => self.leave(),
            11 => self.sweep(),
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
        let backlog = self.queues.backlog(&runner, self.threads);
        let undecoded = self.random.u8(0..4) == 0;
        match backlog.check(if undecoded { 1 } else { rows }, &self.limits) {
            Err(Rejected::Requests(_)) => assert!(backlog.requests >= self.limits.requests_max),
            Err(Rejected::Rows(_)) => assert!(backlog.rows + rows > self.limits.rows_max),
            Err(Rejected::Wait(_)) => assert!(backlog.wait > self.limits.wait_max),
            Err(Rejected::Closed) => panic!("nobody closed the queues"),
            Ok(()) => {
                let feeds = feed(rows, width, &vec![1.0; rows * width]);
                let deadline = self.now + US * self.random.u32(100..1_000_000);
                let (outcomes, client) = flume::bounded(1);
                self.clients.insert(number, client);
                self.admitted += 1;
                self.wait(number, &runner, self.now, (!undecoded).then_some(rows));
                let mut request =
                    Numbered { number, feeds: Vec::new(), deadline, room: usize::MAX, outcomes };
                if undecoded {
                    request.feeds = feeds;
                    let (bytes, is_packed) = (rows * 4000, number.is_multiple_of(5));
                    let body = Undecoded { request, bytes, is_packed, since: self.now };
                    self.queues.of(&runner).push_undecoded(body);
                } else {
                    self.queues.of(&runner).push(Job::new(request, feeds, self.now));
                }
            }
        }
    }

    /// A request waits from now on: with so many rows, or as a body.
    fn wait(&mut self, number: usize, runner: &Arc<Runner>, since: Instant, rows: Option<usize>) {
        let waiting = Waiting {
            runner: Arc::clone(runner),
            since,
            is_decoded: rows.is_some(),
            is_split: rows.is_some_and(|rows| rows > self.rows_max),
            rows: rows.unwrap_or(0),
        };
        assert!(self.waiting.insert(number, waiting).is_none(), "a request waits once");
    }

    /// Some client goes away.
    fn leave(&mut self) {
        let numbers: Vec<_> = self.waiting.keys().copied().collect();
        if let Some(number) = self.random.choice(numbers) {
            self.clients.remove(&number);
        }
    }

    fn sweep(&mut self) {
        drop(self.queues.sweep());
        self.waiting.retain(|number, _| self.clients.contains_key(number));
    }

    fn pass_time(&mut self) {
        self.now += US * self.random.u32(1..400);
        let (done, busy) = std::mem::take(&mut self.busy)
            .into_iter()
            .partition::<Vec<_>, _>(|(until, ..)| *until <= self.now);
        self.busy = busy;
        for (_, load, bodies) in done {
            self.queues.end(load);
            let Some((runner, bodies)) = bodies else { continue };
            self.queues.decoding -= 1;
            self.queues.decoding_large -= usize::from(bodies.iter().any(Undecoded::is_large));
            for body in bodies {
                let Undecoded { mut request, since, .. } = body;
                let feeds = std::mem::take(&mut request.feeds);
                let job = Job::new(request, feeds, since);
                self.wait(job.request.number, &runner, since, Some(job.weight()));
                self.queues.of(&runner).push_decoded(job);
            }
        }
    }

    /// Idle threads take what there is.
    fn dispatch(&mut self) {
        while self.busy.len() < self.threads {
            let Some(Task { runner, work, load }) = self.next() else { return };
            let until = self.now + US * self.random.u32(1..2000);
            let bodies = match work {
                Work::Decode(bodies) => {
                    assert!(!bodies.is_empty());
                    for body in &bodies {
                        self.waiting.remove(&body.request.number).expect("it waited");
                    }
                    Some((runner, bodies))
                }
                Work::Batch(jobs) => {
                    self.run_batch(&runner, jobs);
                    None
                }
                Work::Part(split, part) => {
                    self.run_part(&runner, &split, part);
                    None
                }
            };
            self.busy.push((until, load, bodies));
        }
    }

    /// What a thread would do now, if anything.
    fn next(&mut self) -> Option<Task<Numbered>> {
        match self.queues.next(self.now, self.threads) {
            Next::Work(task) => return Some(task),
            Next::WaitUntil(at) => {
                assert!(self.delay > Duration::ZERO && at > self.now, "no wait without delay");
            }
            Next::Wait => {
                // Large bodies alone may wait, for the threads that decode already.
                let decoders = self.threads.saturating_sub(1).max(1);
                let ready = self.queues.filled.iter().any(Queue::has_entries);
                let bodies = !self.queues.filled.is_empty();
                assert!(!ready, "a thread is idle while jobs wait");
                assert!(!bodies || self.queues.decoding_large >= decoders);
                assert!(!self.is_closed || !self.waiting.is_empty() || self.queues.decoding > 0);
            }
            Next::End => assert!(self.is_closed && self.waiting.is_empty(), "nothing is left"),
        }
        None
    }

    fn run_batch(&mut self, runner: &Arc<Runner>, jobs: Vec<Job<Numbered>>) {
        let rows: usize = jobs.iter().map(Job::weight).sum();
        assert!(rows <= self.rows_max || jobs.len() == 1, "{rows} rows in a batch");
        assert!(jobs.iter().all(|job| job.joins(&jobs[0])), "rows of different shapes");
        let oldest = self
            .waiting
            .values()
            .filter(|one| Arc::ptr_eq(&one.runner, runner) && one.is_decoded && !one.is_split)
            .map(|one| one.since)
            .min();
        assert_eq!(Some(jobs[0].since), oldest, "a batch begins with who came first");
        for job in jobs {
            let waited = self.waiting.remove(&job.request.number).expect("a request runs once");
            assert!(Arc::ptr_eq(&waited.runner, runner), "a batch is of one model");
            assert_eq!(waited.rows, job.weight());
            let number = job.request.number;
            let is_wanted = self.clients.contains_key(&number);
            let expires = self.now >= job.request.deadline;
            match job.unless_over(self.now) {
                Some(_) => assert!(is_wanted && !expires, "it is run in vain"),
                None => self.check_end(number, expires),
            }
        }
    }

    fn run_part(&mut self, runner: &Arc<Runner>, split: &Arc<Split<Numbered>>, part: usize) {
        let (number, deadline) =
            split.look(|request| (request.number, request.deadline)).expect("it is not over");
        let rows = split.part_rows(part);
        assert!(0 < rows && rows <= self.rows_max, "{rows} rows in a part");
        let waiting = self.waiting.get_mut(&number).expect("a part runs once");
        waiting.rows = waiting.rows.checked_sub(rows).expect("no more rows than it has");
        let is_wanted = self.clients.contains_key(&number);
        split.end_if_over(self.now);
        if split.is_over() {
            self.queues.remove(runner, split);
            self.waiting.remove(&number);
            self.check_end(number, self.now >= deadline);
        } else {
            assert!(is_wanted && self.now < deadline, "it is run in vain");
            if self.waiting[&number].rows == 0 {
                self.waiting.remove(&number);
            }
        }
    }

    /// A request that was not run: its client is gone, or knows that it expired.
    fn check_end(&self, number: usize, expires: bool) {
        if let Some(client) = self.clients.get(&number) {
            assert!(expires);
            assert_eq!(client.try_recv(), Ok((number, Outcome::Expired)));
        }
    }

    fn check_bounds(&self) {
        let mut requests = 0;
        for queue in &self.queues.filled {
            let backlog = self.queues.backlog(&queue.runner, self.threads);
            let own = |one: &&Waiting| Arc::ptr_eq(&one.runner, &queue.runner);
            let rows: usize = self.waiting.values().filter(own).map(|one| one.rows).sum();
            assert_eq!(backlog.requests, self.waiting.values().filter(own).count());
            assert_eq!(backlog.rows, rows, "rows are counted as they come and go");
            assert!(backlog.requests > 0, "an empty queue is kept");
            assert!(backlog.wait < Duration::from_hours(1));
            requests += backlog.requests;
        }
        assert_eq!(requests, self.waiting.len(), "nothing is lost");
    }

    /// Without arrivals everything that was admitted runs, and the threads end.
    fn drain(&mut self) {
        self.queues.closed = true;
        self.is_closed = true;
        for _ in 0..200_000 {
            self.dispatch();
            self.check_bounds();
            if self.busy.is_empty() {
                assert!(matches!(self.queues.next(self.now, self.threads), Next::End));
                return;
            }
            self.pass_time();
        }
        panic!("{} requests never ran", self.waiting.len());
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
