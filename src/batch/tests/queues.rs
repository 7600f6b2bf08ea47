//! What the queues do with requests that end early, and when threads end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{BAD, Numbered, Outcome, feed, runner};
use crate::batch::queue::{Undecoded, Work};
use crate::batch::schedule::{Next, Queues, Schedule};
use crate::batch::{InferencePool, Job, Lane, PoolOptions, QueueLimits, Rejected, Runner};

const LIMITS: QueueLimits =
    QueueLimits { requests_max: 1000, rows_max: 100_000, wait_max: Duration::from_secs(1000) };

type Outcomes = flume::Sender<(usize, Outcome)>;

fn request(number: usize, rows: usize, outcomes: &Outcomes) -> Numbered {
    let feeds = feed(rows, 1, &vec![1.0; rows]);
    let deadline = Instant::now() + Duration::from_secs(1000);
    Numbered { number, feeds, deadline, outcomes: outcomes.clone() }
}

fn job(number: usize, rows: usize, outcomes: &Outcomes) -> Job<Numbered> {
    let mut request = request(number, rows, outcomes);
    let feeds = std::mem::take(&mut request.feeds);
    Job::new(request, feeds, Instant::now())
}

fn body(number: usize, rows: usize, bytes: usize, outcomes: &Outcomes) -> Undecoded<Numbered> {
    Undecoded { request: request(number, rows, outcomes), bytes, since: Instant::now() }
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
    schedule.note_left();
    assert_eq!(schedule.push(&full, job(3, 1, &outcomes)), Err(Rejected::Requests(2)));
    assert_eq!(schedule.requests_for(&swept), 0);
    schedule.close();
    let (ended, has_ended) = flume::bounded(1);
    std::thread::spawn(move || {
        while schedule.next().is_some() {}
        let _ = ended.send(());
    });
    assert!(has_ended.recv_timeout(Duration::from_secs(30)).is_ok(), "the thread never ends");
}

#[test]
fn all_threads_end_when_the_last_body_is_decoded_after_the_close() {
    let schedule: Arc<Schedule<Numbered>> = Arc::new(Schedule::new(LIMITS, 4));
    let (outcomes, received) = flume::unbounded();
    schedule.push_undecoded(&plain(8), body(0, 1, 10, &outcomes)).unwrap();
    let Some((runner, Work::Decode(bodies))) = schedule.next() else { panic!("no body") };
    let (ended, have_ended) = flume::unbounded();
    for _ in 0..3 {
        let (schedule, ended) = (Arc::clone(&schedule), ended.clone());
        std::thread::spawn(move || {
            while let Some((runner, Work::Batch(jobs))) = schedule.next() {
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
    schedule.put_decoded(&runner, decode(bodies));
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
            Next::Work(_, Work::Decode(bodies)) => {
                queues.decoding -= 1;
                for job in decode(bodies) {
                    queues.of(&runner).push_decoded(job);
                }
            }
            Next::Work(_, Work::Batch(jobs)) => {
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
    let Some((_, Work::Part(split, part))) = schedule.next() else { panic!("no part") };
    split.run(part, &runner);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [(0, Outcome::Refused)]);
    schedule.remove(&runner, &split);
    assert_eq!(schedule.requests_for(&runner), 1);
    assert!(matches!(schedule.next(), Some((_, Work::Batch(jobs))) if jobs.len() == 1));
    // The pool does the same by itself.
    let pool = InferencePool::start(PoolOptions { threads: 1, queue: LIMITS }).unwrap();
    let mut large = job(2, 8000, &outcomes);
    large.feeds = feed(8000, 1, &[BAD; 8000]);
    pool.push(&runner, large).unwrap();
    assert_eq!(received.recv().unwrap(), (2, Outcome::Refused));
    assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
}
