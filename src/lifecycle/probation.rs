//! Whether a version does worse than the one it replaced, from numbers alone.
//!
//! To go back by mistake is worse than to see a slightly bad version stay: it would take a good
//! version out, and again with every promotion. So the comparison speaks up only when chance is no
//! explanation and the difference matters:
//!
//! - *Failures*: both versions have answered at least 20 requests, the share of failures has grown
//!   by at least one percentage point, and the two-proportion z-test is beyond 4 (by chance once in
//!   30,000 comparisons).
//! - *Latency*: both have answered at least 100 requests in runs of like size without failure, and
//!   the 95th percentile is above three times that of the predecessor and above 5 ms. A percentile,
//!   since a single stall of the machine moves a mean; of like size, since clients may begin to
//!   send more, or larger, requests just then, and batches grow.
//!
//! The predecessor's numbers are from its own time, under its own load. What load alone does to a
//! latency is why three times are asked for, and not a tenth more.

use std::time::Duration;

use crate::telemetry::{Latencies, Observed};

const ANSWERED_MIN: u64 = 20;
const SHARE_MORE_MIN: f64 = 0.01;
const Z_MIN: f64 = 4.0;
const MEASURED_MIN: u64 = 100;
const PERCENTILE: f64 = 0.95;
const SLOWER_MIN: f64 = 3.0;
const SLOW: Duration = Duration::from_millis(5);

/// How a version does beside its predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    Fine,
    /// It should not go on serving, for the reason in the text.
    Worse(String),
    /// Too few answers to tell.
    TooEarly,
}

/// Compares a version with the one that served before it. `is_settled`: some of the probation is
/// over, so that a passing stall, or what is slow only in the beginning, does not decide; before
/// that only failures count.
#[must_use]
pub fn compare(new: &Observed, old: &Observed, is_settled: bool) -> Health {
    let too_few = |min, count: fn(&Observed) -> u64| count(new).min(count(old)) < min;
    if too_few(ANSWERED_MIN, |one| one.answered) {
        return Health::TooEarly;
    }
    if let Some(cause) = more_failures(new, old) {
        return Health::Worse(cause);
    }
    let mut health = Health::TooEarly;
    if !is_settled {
        return health;
    }
    for (class, (new, old)) in new.latencies.iter().zip(&old.latencies).enumerate() {
        if new.count().min(old.count()) < MEASURED_MIN {
            continue;
        }
        if let Some(cause) = slower(class, new, old) {
            return Health::Worse(cause);
        }
        health = Health::Fine;
    }
    health
}

/// Whether enough is known of a version to compare its latencies with another's.
pub(super) fn is_measured(observed: &Observed) -> bool {
    observed.latencies.iter().any(|latencies| latencies.count() >= MEASURED_MIN)
}

fn more_failures(new: &Observed, old: &Observed) -> Option<String> {
    let count = |one: &Observed| (one.failed.min(one.answered) as f64, one.answered as f64);
    let ((new_failed, new_all), (old_failed, old_all)) = (count(new), count(old));
    let (new_share, old_share) = (new_failed / new_all, old_failed / old_all);
    let pooled = (new_failed + old_failed) / (new_all + old_all);
    let error = (pooled * (1.0 - pooled) * (1.0 / new_all + 1.0 / old_all)).sqrt();
    let more = new_share - old_share;
    // No error means that all failed or none did, with both versions: then there is no difference.
    (more >= SHARE_MORE_MIN && more > Z_MIN * error).then(|| {
        format!(
            "{:.1} % of {} requests failed, with the version before {:.1} % of {}",
            new_share * 100.0,
            new.answered,
            old_share * 100.0,
            old.answered
        )
    })
}

fn slower(class: usize, new: &Latencies, old: &Latencies) -> Option<String> {
    let (slow, before) = (new.percentile(PERCENTILE)?, old.percentile(PERCENTILE)?);
    (slow > SLOW && slow.as_secs_f64() > SLOWER_MIN * before.as_secs_f64()).then(|| {
        let rows = Observed::rows_of(class);
        let rows = match (*rows.start(), *rows.end()) {
            (1, 1) => "1 row".to_owned(),
            (first, usize::MAX) => format!("{first} rows and more"),
            (first, last) => format!("{first} to {last} rows"),
        };
        format!(
            "95 % of requests in runs of {rows} took up to {:.1} ms, \
             with the version before {:.1} ms",
            slow.as_secs_f64() * 1e3,
            before.as_secs_f64() * 1e3
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare_settled(new: &Observed, old: &Observed) -> Health {
        compare(new, old, true)
    }

    const MS: Duration = Duration::from_millis(1);

    /// So many answers, so many of them failures, the others this long.
    fn observed(answered: u64, failed: u64, latency: Duration) -> Observed {
        of_rows(1, answered, failed, &[(latency, answered - failed)])
    }

    fn of_rows(rows: usize, answered: u64, failed: u64, counts: &[(Duration, u64)]) -> Observed {
        let mut observed = Observed { answered, failed, ..Observed::default() };
        observed.latencies[Observed::row_class(rows)] = latencies(counts);
        observed
    }

    fn latencies(counts: &[(Duration, u64)]) -> Latencies {
        let mut buckets = [0; Latencies::BUCKETS];
        for (latency, count) in counts {
            buckets[Latencies::bucket(*latency)] = *count;
        }
        Latencies::from_counts(buckets)
    }

    #[test]
    fn a_version_that_fails_clearly_more_is_worse() {
        let old = observed(10_000, 10, MS);
        assert_eq!(
            compare_settled(&observed(200, 24, MS), &old),
            Health::Worse(
                "12.0 % of 200 requests failed, with the version before 0.1 % of 10000".to_owned()
            )
        );
        assert!(matches!(compare_settled(&observed(20, 20, MS), &old), Health::Worse(_)));
        assert_eq!(
            compare_settled(&observed(200, 1, MS), &old),
            Health::Fine,
            "one of 200 is chance"
        );
        assert_eq!(
            compare_settled(&observed(100_000, 600, MS), &old),
            Health::Fine,
            "half a point more"
        );
        let failing = observed(1000, 300, MS);
        assert_eq!(compare_settled(&observed(1000, 330, MS), &failing), Health::Fine, "chance");
        assert!(matches!(compare_settled(&observed(1000, 500, MS), &failing), Health::Worse(_)));
        assert_eq!(compare_settled(&observed(1000, 0, MS), &failing), Health::Fine, "better");
    }

    #[test]
    fn a_version_that_is_clearly_slower_is_worse() {
        let old = observed(1000, 0, MS * 4);
        assert_eq!(
            compare_settled(&observed(1000, 0, MS * 40), &old),
            Health::Worse(
                "95 % of requests in runs of 1 row took up to 41.0 ms, \
                 with the version before 4.1 ms"
                    .to_owned()
            )
        );
        assert_eq!(
            compare_settled(&observed(1000, 0, MS * 8), &old),
            Health::Fine,
            "twice is not much"
        );
        let quick = observed(1000, 0, MS / 20);
        assert_eq!(
            compare_settled(&observed(1000, 0, MS * 3), &quick),
            Health::Fine,
            "fast enough"
        );
    }

    #[test]
    fn in_the_beginning_only_failures_count() {
        let old = observed(1000, 0, MS * 4);
        assert_eq!(compare(&observed(1000, 0, MS * 400), &old, false), Health::TooEarly);
        assert!(matches!(compare(&observed(1000, 900, MS), &old, false), Health::Worse(_)));
    }

    #[test]
    fn a_few_stalls_are_not_held_against_a_version() {
        let mut new = observed(1000, 0, MS);
        new.latencies[0] = latencies(&[(MS, 1000), (MS * 10_000, 40)]);
        assert_eq!(compare_settled(&new, &observed(1000, 0, MS)), Health::Fine);
        new.latencies[0] = latencies(&[(MS, 1000), (MS * 10_000, 100)]);
        assert!(matches!(compare_settled(&new, &observed(1000, 0, MS)), Health::Worse(_)));
    }

    #[test]
    fn larger_requests_are_not_compared_with_smaller_ones() {
        let old = of_rows(1, 1000, 0, &[(MS, 1000)]);
        let large = of_rows(500, 1000, 0, &[(MS * 50, 1000)]);
        assert_eq!(compare_settled(&large, &old), Health::TooEarly);
        let slow = of_rows(300, 1000, 0, &[(MS * 200, 1000)]);
        let Health::Worse(cause) = compare_settled(&slow, &large) else {
            panic!("four times as slow")
        };
        assert!(cause.contains("requests in runs of 256 to 511 rows took up to"), "{cause}");
    }

    #[test]
    fn few_answers_tell_nothing() {
        let old = observed(1000, 0, MS);
        assert_eq!(compare_settled(&observed(19, 19, MS), &old), Health::TooEarly);
        assert_eq!(compare_settled(&observed(99, 0, MS * 1000), &old), Health::TooEarly);
        assert_eq!(compare_settled(&old, &observed(19, 0, MS)), Health::TooEarly);
        assert_eq!(compare_settled(&Observed::default(), &Observed::default()), Health::TooEarly);
    }

    proptest! {
        #[test]
        fn any_numbers_can_be_compared(numbers: [u64; 4], count: u32) {
            let counts = [(Duration::from_micros(7), u64::from(count))];
            let [answered, failed, old_answered, old_failed] = numbers;
            let new = of_rows(1, answered, failed, &counts);
            let old = of_rows(1, old_answered, old_failed, &counts);
            let _ = compare_settled(&new, &old);
        }

        #[test]
        fn a_version_is_never_worse_than_itself(answered: u64, failed: u64, us: u64) {
            let answered = answered >> 2;
            let one = observed(answered, failed.min(answered), Duration::from_micros(us >> 20));
            prop_assert!(!matches!(compare_settled(&one, &one), Health::Worse(_)));
        }
    }
}
