//! What the queues do with requests that end early, and when threads end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{BAD, Numbered, Outcome, expected, feed, runner, runner_of};
use crate::batch::bodies::Undecoded;
use crate::batch::queue::Work;
use crate::batch::schedule::{Load, Next, Queues, Schedule, Task};
use crate::batch::{
    BatchLimits, BodySize, Computed, InferencePool, Job, Lane, PoolOptions, QueueLimits, Rejected,
    Request, Runner,
};
use crate::tensor::Tensor;
use crate::tune::Costs;

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

#[test]
fn a_queue_that_is_swept_empty_keeps_no_thread_from_ending() {
    let limits = QueueLimits { requests_max: 2, ..LIMITS };
    let schedule: Schedule<Numbered> = Schedule::new(limits, 1);
    let (swept, full) = (plain(8), plain(8));
    let (outcomes, _received) = flume::unbounded();
    let (gone, _) = flume::unbounded();
    schedule.push(&swept, job(0, 1, &gone)).unwrap();
    schedule.push(&full, job(1, 1, &outcomes)).unwrap();
    schedule.push(&full, job(2, 1, &outcomes)).unwrap();
    schedule.note_departed();
    assert_eq!(schedule.push(&full, job(3, 1, &outcomes)), Err(Rejected::Requests(2)));
    assert_eq!(schedule.requests_for(&swept), 0);
    schedule.close();
    let (ended, has_ended) = flume::bounded(1);
    std::thread::spawn(move || {
        while schedule.next(Load::default()).is_some() {}
        let _ = ended.send(());
    });
    assert!(has_ended.recv_timeout(Duration::from_secs(30)).is_ok(), "the thread never ends");
}

#[test]
fn all_threads_end_when_the_last_body_is_decoded_after_the_close() {
    let schedule: Arc<Schedule<Numbered>> = Arc::new(Schedule::new(LIMITS, 4));
    let (outcomes, received) = flume::unbounded();
    schedule.push_undecoded(&plain(8), body(0, 1, 10, &outcomes)).unwrap();
    let (runner, bodies) = match schedule.next(Load::default()) {
        Some(Task { runner, work: Work::Decode(bodies), .. }) => (runner, bodies),
        _ => panic!("no body"),
    };
    let (ended, have_ended) = flume::unbounded();
    for _ in 0..3 {
        let (schedule, ended) = (Arc::clone(&schedule), ended.clone());
        std::thread::spawn(move || {
            while let Some(Task { runner, work, .. }) = schedule.next(Load::default()) {
                let Work::Batch(jobs) = work else { panic!("one body, decoded already") };
                runner.run(jobs);
            }
            let _ = ended.send(());
        });
    }
    schedule.close();
    // The others wait now, or will: only the decoder can know that nothing more comes.
    while schedule.idle() < 3 {
        std::thread::yield_now();
    }
    schedule.put_decoded(&runner, false, decode(bodies));
    for _ in 0..3 {
        let end = have_ended.recv_timeout(Duration::from_secs(30));
        assert!(end.is_ok(), "a thread never ends");
    }
    assert_eq!(received.len(), 1);
}

#[test]
fn bodies_do_not_overtake_jobs_that_came_before() {
    let mut queues = Queues::new();
    let runner = plain(1);
    let (outcomes, _received) = flume::unbounded();
    let first = body(0, 1, 10, &outcomes);
    queues.of(&runner).push(job(1, 1, &outcomes));
    queues.of(&runner).push_undecoded(body(2, 1, 10, &outcomes));
    queues.of(&runner).push(job(3, 1, &outcomes));
    for job in decode(vec![first]) {
        queues.of(&runner).push_decoded(job);
    }
    let mut order = Vec::new();
    loop {
        match queues.next(Instant::now(), 1) {
            Next::Work(Task { work: Work::Decode(bodies), .. }) => {
                queues.decoding -= 1;
                for job in decode(bodies) {
                    queues.of(&runner).push_decoded(job);
                }
            }
            Next::Work(Task { work: Work::Batch(jobs), .. }) => {
                order.extend(jobs.iter().map(|job| job.request.number));
            }
            _ => break,
        }
    }
    assert_eq!(order, [0, 1, 2, 3]);
}

#[test]
fn a_large_request_that_failed_leaves_the_queue() {
    let schedule: Schedule<Numbered> = Schedule::new(LIMITS, 1);
    let runner = plain(8);
    let (outcomes, received) = flume::unbounded();
    let mut large = job(0, 8000, &outcomes);
    large.feeds = feed(8000, 1, &[BAD; 8000]);
    schedule.push(&runner, large).unwrap();
    schedule.push(&runner, job(1, 1, &outcomes)).unwrap();
    let split = match schedule.next(Load::default()) {
        Some(Task { work: Work::Part(split, part), .. }) => {
            split.run(part, &runner);
            split
        }
        _ => panic!("no part"),
    };
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [(0, Outcome::Refused)]);
    schedule.remove(&runner, &split);
    assert_eq!(schedule.requests_for(&runner), 1);
    let next = schedule.next(Load::default()).map(|task| task.work);
    assert!(matches!(next, Some(Work::Batch(jobs)) if jobs.len() == 1));
    // The pool does the same by itself.
    let pool = InferencePool::start(PoolOptions { threads: 1, queue: LIMITS }).unwrap();
    let mut large = job(2, 8000, &outcomes);
    large.feeds = feed(8000, 1, &[BAD; 8000]);
    pool.push(&runner, large).unwrap();
    assert_eq!(received.recv().unwrap(), (2, Outcome::Refused));
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
}

/// A schedule that is asked, and never works.
fn asked(limits: QueueLimits) -> Schedule<Numbered> {
    Schedule::new(QueueLimits { requests_max: 100_000, ..limits }, 1)
}

/// How many requests of one row are admitted before one is refused for the wait.
fn fill(schedule: &Schedule<Numbered>, runner: &Arc<Runner>, outcomes: &Outcomes) -> usize {
    let mut admitted = 0;
    loop {
        match schedule.push(runner, job(admitted, 1, outcomes)) {
            Ok(()) => admitted += 1,
            Err(Rejected::Wait(_)) => return admitted,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_wait_is_that_for_the_runs_which_come_before() {
    let (outcomes, _received) = flume::unbounded();
    let schedule = asked(QueueLimits { wait_max: Duration::from_millis(500), ..LIMITS });
    // A run of 1 to 1024 rows takes a millisecond, but has two: 500 runs are 1000 rows.
    let flat = Costs::new(vec![(1, Duration::from_millis(1)), (1024, Duration::from_millis(1))]);
    let pairs = runner_of(BatchLimits { rows_max: 2, delay_max: Duration::ZERO }, true, flat);
    assert_eq!(fill(&schedule, &pairs, &outcomes), 1001);
    // Another model has its turns between them: what it may add is about half.
    let other = plain(1);
    let admitted = fill(&schedule, &other, &outcomes);
    assert!((240..260).contains(&admitted), "{admitted}");
    // What runs counts as well.
    let schedule = asked(QueueLimits { wait_max: Duration::from_millis(10), ..LIMITS });
    schedule.push(&other, job(0, 1, &outcomes)).unwrap();
    assert!(schedule.next(Load::default()).is_some());
    assert_eq!(fill(&schedule, &other, &outcomes), 10);
}

#[test]
fn nothing_is_refused_for_a_wait_that_nobody_knows() {
    let (outcomes, _received) = flume::unbounded();
    let schedule = asked(QueueLimits { wait_max: Duration::from_millis(1), ..LIMITS });
    let limits = BatchLimits { rows_max: 8, delay_max: Duration::ZERO };
    let unknown = runner_of(limits, false, Costs::default());
    for number in 0..1000 {
        schedule.push(&unknown, job(number, 1, &outcomes)).unwrap();
    }
    unknown.observe(1, Duration::from_micros(10));
    assert!(schedule.push(&unknown, job(1000, 1, &outcomes)).is_err());
    assert_eq!(unknown.estimate(1), Some(Duration::from_micros(10)));
}

#[test]
fn bodies_count_for_the_wait_and_with_their_rows_once_they_are_known() {
    let (outcomes, received) = flume::unbounded();
    let limits = QueueLimits { wait_max: Duration::from_millis(10), ..LIMITS };
    let schedule = asked(limits);
    let runner = plain(8);
    // 7 ns a byte.
    schedule.push_undecoded(&runner, body(0, 1, 1_500_000, &outcomes)).unwrap();
    assert_eq!(schedule.check(&runner, 1), Err(Rejected::Wait(limits.wait_max)));

    let schedule = asked(QueueLimits { rows_max: 1000, ..LIMITS });
    for number in 0..3 {
        schedule.push_undecoded(&runner, body(number, 600, 10, &outcomes)).unwrap();
    }
    let Some(Task { work: Work::Decode(bodies), .. }) = schedule.next(Load::default()) else {
        panic!("no bodies")
    };
    assert_eq!(bodies.len(), 3);
    schedule.put_decoded(&runner, false, decode(bodies));
    assert_eq!(schedule.requests(), 1);
    let refused: Vec<_> = received.try_iter().collect();
    assert_eq!(refused, [(1, Outcome::Rejected), (2, Outcome::Rejected)]);
}

#[test]
fn small_bodies_do_not_wait_for_large_ones_and_compressed_ones_are_decoded_alone() {
    let mut queues = Queues::new();
    let runner = plain(8);
    let (outcomes, _received) = flume::unbounded();
    let packed = |number| Undecoded { is_packed: true, ..body(number, 1, 10, &outcomes) };
    let bodies = [
        body(0, 1, 1 << 20, &outcomes),
        body(1, 1, 1 << 20, &outcomes),
        body(2, 1, 10, &outcomes),
        body(3, 1, 10, &outcomes),
        packed(4),
        body(5, 1, 10, &outcomes),
        Undecoded { bytes: 1 << 20, ..packed(6) },
    ];
    for body in bodies {
        queues.of(&runner).push_undecoded(body);
    }
    let mut order = Vec::new();
    // Two threads, of which one may have a large body. Nobody ever gives one back.
    while let Next::Work(Task { work: Work::Decode(bodies), .. }) = queues.next(Instant::now(), 2) {
        order.push(bodies.iter().map(|body| body.request.number).collect::<Vec<_>>());
    }
    assert_eq!(order, [vec![2, 3], vec![0], vec![4], vec![5]]);
    queues.decoding_large = 0;
    let Next::Work(Task { work: Work::Decode(bodies), .. }) = queues.next(Instant::now(), 2) else {
        panic!("a large body waits")
    };
    assert_eq!(bodies.len(), 1);
}

#[test]
fn a_delay_leaves_time_for_the_run() {
    let limits = BatchLimits { rows_max: 8, delay_max: Duration::from_secs(100) };
    let slow = Costs::new(vec![(1, Duration::from_secs(1))]);
    let runner = runner_of(limits, true, slow);
    let mut queues = Queues::new();
    let (outcomes, _received) = flume::unbounded();
    let now = Instant::now();
    for (number, seconds) in [(0, 1000), (1, 50), (2, 60)] {
        let mut job = job(number, 1, &outcomes);
        (job.since, job.request.deadline) = (now, now + Duration::from_secs(seconds));
        queues.of(&runner).push(job);
    }
    // Three rows take 3 s, and the most urgent has 50.
    let Next::WaitUntil(at) = queues.next(now, 1) else { panic!("there is a delay") };
    assert_eq!(at, now + Duration::from_secs(47));
    assert!(matches!(queues.next(at, 1), Next::Work(_)));
}

/// The order in which one idle thread takes what waits: numbers of jobs, minus those of bodies.
/// A body that it takes is never given back.
fn order(queues: &mut Queues<Numbered>, threads: usize) -> Vec<i64> {
    let mut order = Vec::new();
    while let Next::Work(Task { work, .. }) = queues.next(Instant::now(), threads) {
        match work {
            Work::Decode(bodies) => {
                queues.decoding_large = 0;
                order.extend(bodies.iter().map(|body| -(body.request.number as i64)));
            }
            Work::Batch(jobs) => order.extend(jobs.iter().map(|job| job.request.number as i64)),
            Work::Part(split, _) => {
                order.extend(split.look(|request| request.number as i64));
            }
        }
    }
    order
}

#[test]
fn models_take_turns() {
    let mut queues = Queues::new();
    let (outcomes, _received) = flume::unbounded();
    let models = [0, 10, 20].map(|first| (first, plain(1)));
    for (first, runner) in &models {
        for number in *first..first + 3 {
            queues.of(runner).push(job(number, 1, &outcomes));
        }
    }
    assert_eq!(order(&mut queues, 1), [0, 10, 20, 1, 11, 21, 2, 12, 22]);
}

#[test]
fn batches_and_bodies_take_turns() {
    let mut queues = Queues::new();
    let (outcomes, _received) = flume::unbounded();
    let runner = plain(1);
    for number in 1..4 {
        queues.of(&runner).push_undecoded(body(number, 1, 1 << 20, &outcomes));
    }
    for number in 4..6 {
        queues.of(&runner).push(job(number, 1, &outcomes));
    }
    assert_eq!(order(&mut queues, 1), [-1, 4, -2, 5, -3]);
}

#[test]
fn a_large_request_takes_turns_with_small_ones() {
    let mut queues = Queues::new();
    let (outcomes, _received) = flume::unbounded();
    let runner = plain(8);
    queues.of(&runner).push(job(1, 24, &outcomes));
    for number in 2..5 {
        let mut other = job(number, 1, &outcomes);
        // They do not fit together.
        other.feeds = feed(1, number, &vec![1.0; number]);
        queues.of(&runner).push(other);
    }
    assert_eq!(order(&mut queues, 1), [1, 2, 3, 4, 1, 1]);
}

#[test]
fn one_thread_is_kept_free_of_large_bodies() {
    let mut queues = Queues::new();
    let (outcomes, _received) = flume::unbounded();
    let runner = plain(8);
    for number in 0..4 {
        queues.of(&runner).push_undecoded(body(number, 1, 1 << 20, &outcomes));
    }
    for taken in 0..4 {
        assert_eq!(queues.decoding_large, taken.min(2));
        let next = queues.next(Instant::now(), 3);
        assert_eq!(matches!(next, Next::Work(_)), taken < 2, "{taken}");
    }
    queues.of(&runner).push(job(4, 1, &outcomes));
    let Next::Work(Task { work: Work::Batch(jobs), .. }) = queues.next(Instant::now(), 3) else {
        panic!("a job waits")
    };
    assert_eq!(jobs.len(), 1);
}

#[test]
fn the_end_comes_after_all_that_waits() {
    let pool = InferencePool::start(PoolOptions { threads: 3, queue: LIMITS }).unwrap();
    let (outcomes, received) = flume::unbounded();
    let runner = plain(8);
    let now = Instant::now();
    let mut number = 0;
    for _ in 0..20 {
        for rows in [1, 100] {
            pool.push(&runner, job(number, rows, &outcomes)).unwrap();
            let size = BodySize { bytes: rows << 10, is_packed: false };
            let undecoded = request(number + 1, rows, &outcomes);
            pool.push_undecoded(&runner, undecoded, size, now).unwrap();
            number += 2;
        }
    }
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
    assert_eq!(pool.push(&runner, job(number, 1, &outcomes)), Err(Rejected::Closed));
    let mut ended: Vec<_> = received.try_iter().map(|(number, _)| number).collect();
    ended.sort_unstable();
    assert_eq!(ended, (0..number).collect::<Vec<_>>());
}

/// A request whose body makes the decoder panic.
struct Cursed(Numbered);

impl Request for Cursed {
    type Error = Outcome;

    fn deadline(&self) -> Instant {
        self.0.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }

    fn decode(&mut self) -> Result<Vec<Tensor>, Outcome> {
        assert!(self.0.number > 0, "the decoder does not like this");
        self.0.decode()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Outcome> {
        self.0.reserve(bytes)
    }

    fn answer(self, result: Result<Computed<'_>, Outcome>) {
        assert!(self.0.number < 9, "nor the encoder this");
        self.0.answer(result);
    }
}

#[test]
fn a_panic_fails_its_request_and_no_thread() {
    let pool = InferencePool::start(PoolOptions { threads: 1, queue: LIMITS }).unwrap();
    let (outcomes, received) = flume::unbounded();
    let runner = plain(1);
    for number in [0, 9, 1] {
        let size = BodySize { bytes: 1 << 20, is_packed: false };
        let cursed = Cursed(request(number, 1, &outcomes));
        pool.push_undecoded(&runner, cursed, size, Instant::now()).unwrap();
    }
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
    let ended: Vec<_> = received.try_iter().collect();
    assert_eq!(ended, [(0, Outcome::Panicked), (1, expected(2.0, 1, &[1.0]))]);
}
