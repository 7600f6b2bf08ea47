//! Who is next.

use std::time::{Duration, Instant};

use super::{Numbered, body, decode, feed, job, plain, runner_of};
use crate::batch::BatchLimits;
use crate::batch::bodies::Undecoded;
use crate::batch::queue::Work;
use crate::batch::schedule::{Next, Queues, Task};
use crate::tune::Costs;

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
fn a_batch_leaves_shares_for_idle_threads_and_for_later_where_that_is_sooner() {
    let ms = Duration::from_millis;
    let by_row = Costs::new(vec![(1, ms(1)), (64, ms(64))]);
    let flat = Costs::new(vec![(1, ms(1)), (64, ms(1))]);
    let cheap = Costs::new(vec![(1, ms(1) / 125), (125, ms(1))]);
    for (costs, rows, idle, want) in [
        (&by_row, 10, 1, vec![5, 5]),
        (&by_row, 10, 0, vec![10]),
        (&flat, 10, 1, vec![10]),
        (&cheap, 40, 1, vec![14, 13, 13]),
        (&cheap, 40, 0, vec![20, 10, 10]),
    ] {
        let limits = BatchLimits { rows_max: 64, delay_max: Duration::ZERO };
        let runner = runner_of(limits, true, costs.clone());
        let mut queues = Queues::new();
        let (outcomes, _received) = flume::unbounded();
        for number in 0..rows {
            queues.of(&runner).push(job(number, 1, &outcomes));
        }
        queues.idle = idle;
        let mut sizes = Vec::new();
        while let Next::Work(Task { work: Work::Batch(jobs), .. }) = queues.next(Instant::now(), 2)
        {
            sizes.push(jobs.len());
            // It is the other thread's turn.
            queues.idle = 0;
        }
        assert_eq!(sizes, want, "{rows} rows, {idle} idle");
    }
}
