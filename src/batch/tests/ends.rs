//! Requests that end early, panics, and when threads end.

use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::{BAD, LIMITS, Numbered, Outcome, body, decode, expected, feed, job, plain, request};
use crate::batch::queue::Work;
use crate::batch::schedule::{Load, Schedule, Task};
use crate::batch::{
    BodySize, Computed, InferencePool, PoolOptions, QueueLimits, Rejected, Request,
};
use crate::tensor::Tensor;

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
    let thread = Builder::new().name("takes".to_owned()).spawn(move || {
        while schedule.next(Load::default()).is_some() {}
        let _ = ended.send(());
    });
    assert!(has_ended.recv_timeout(Duration::from_secs(30)).is_ok(), "the thread never ends");
    thread.unwrap().join().unwrap();
}

#[test]
fn all_threads_end_when_the_last_body_is_decoded_after_the_close() {
    let schedule: Arc<Schedule<Numbered>> = Arc::new(Schedule::new(LIMITS, 4));
    let (outcomes, received) = flume::unbounded();
    schedule.push_undecoded(&plain(8), body(0, 1, 10, &outcomes)).unwrap();
    let task = schedule.next(Load::default());
    let Some(Task { runner, work: Work::Decode(bodies), .. }) = task else { panic!("no body") };
    let (ended, have_ended) = flume::unbounded();
    let mut threads = Vec::new();
    for i in 0..3 {
        let (schedule, ended) = (Arc::clone(&schedule), ended.clone());
        let thread = Builder::new().name(format!("takes-{i}")).spawn(move || {
            while let Some(Task { runner, work, .. }) = schedule.next(Load::default()) {
                let Work::Batch(jobs) = work else { panic!("one body, decoded already") };
                runner.run(jobs);
            }
            let _ = ended.send(());
        });
        threads.push(thread.unwrap());
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
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(received.len(), 1);
}

#[test]
fn a_large_request_that_failed_leaves_the_queue() {
    let schedule: Schedule<Numbered> = Schedule::new(LIMITS, 1);
    let runner = plain(8);
    let (outcomes, received) = flume::unbounded();
    let mut large = job(0, 8000, &outcomes);
    large.feeds = feed(8000, 1, &vec![BAD; 8000]);
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
    large.feeds = feed(8000, 1, &vec![BAD; 8000]);
    pool.push(&runner, large).unwrap();
    assert_eq!(received.recv().unwrap(), (2, Outcome::Refused));
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
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
