//! What may wait, and how long that is expected to take.

use std::sync::Arc;
use std::time::Duration;

use super::{LIMITS, Numbered, Outcome, Outcomes, body, decode, job, plain, runner_of};
use crate::batch::queue::Work;
use crate::batch::schedule::{Load, Schedule, Task};
use crate::batch::{BatchLimits, QueueLimits, Rejected, Runner};
use crate::tune::Costs;

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
