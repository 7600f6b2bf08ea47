//! What is known of the answers of one version: how many, how many failures, how long they took.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Each power of two of microseconds is split into this many buckets: a latency is known to 25 %.
const STEPS: usize = 4;
/// Up to 2^28 us, which is 4.5 minutes; what took longer is in the last.
const BUCKETS: usize = 28 * STEPS;

/// Requests are told apart by the rows of their runs: 1, 2 and 3, 4 to 7, and so on; the last class
/// is open.
const ROW_CLASSES: usize = 14;

/// What is known of one version's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Requests that it has answered, with or without success. Not those that were refused at the
    /// door or that were the client's fault.
    pub answered: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// How long those took that did not fail, by the class of their runs' rows:
    /// [`ROW_CLASSES`](Self::ROW_CLASSES) of them.
    pub latencies: Vec<Latencies>,
}

/// Counts of latencies, in buckets that grow with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies([u64; BUCKETS]);

impl Default for Observed {
    fn default() -> Self {
        let latencies = vec![Latencies::default(); ROW_CLASSES];
        Self { answered: 0, failed: 0, latencies }
    }
}

impl Observed {
    /// How many classes of rows there are.
    pub const ROW_CLASSES: usize = ROW_CLASSES;

    /// The class of a request that was run with so many rows.
    #[must_use]
    pub fn row_class(rows: usize) -> usize {
        (rows.max(1).ilog2() as usize).min(ROW_CLASSES - 1)
    }

    /// The rows of a class.
    #[must_use]
    pub fn rows_of(class: usize) -> RangeInclusive<usize> {
        let end = if class + 1 < ROW_CLASSES { (2 << class) - 1 } else { usize::MAX };
        1 << class..=end
    }

    /// What happened after an earlier look at the same version.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            answered: self.answered.saturating_sub(earlier.answered),
            failed: self.failed.saturating_sub(earlier.failed),
            latencies: self
                .latencies
                .iter()
                .zip(&earlier.latencies)
                .map(|(a, b)| a.since(b))
                .collect(),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Latencies {
    /// How many buckets there are, for who counts elsewhere.
    pub const BUCKETS: usize = BUCKETS;

    /// From counts by [`bucket`](Self::bucket).
    #[must_use]
    pub fn from_counts(counts: [u64; BUCKETS]) -> Self {
        Self(counts)
    }

    /// The bucket that a latency belongs to, less than [`BUCKETS`](Self::BUCKETS).
    #[must_use]
    pub fn bucket(latency: Duration) -> usize {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let power = us.ilog2() as usize;
        // The two bits below the highest one.
        let step = ((us << 2) >> power) as usize & (STEPS - 1);
        (power * STEPS + step).min(BUCKETS - 1)
    }

    /// Counts one more.
    pub fn add(&mut self, latency: Duration) {
        self.0[Self::bucket(latency)] += 1;
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The latency that this share of all was not longer than, up to a quarter too high; `None`
    /// where none was counted.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Self::end(bucket))
    }

    fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|bucket| self.0[bucket].saturating_sub(earlier.0[bucket])))
    }

    /// Where a bucket ends.
    fn end(bucket: usize) -> Duration {
        let next = bucket + 1;
        let us = (1_u64 << (next / STEPS)) * (STEPS + next % STEPS) as u64;
        Duration::from_nanos(us * 1000 / STEPS as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_end_where_the_next_begin() {
        for bucket in 2 * STEPS..BUCKETS - 1 {
            let end = Latencies::end(bucket);
            assert_eq!(Latencies::bucket(end), bucket + 1);
            assert_eq!(Latencies::bucket(end.saturating_sub(Duration::from_micros(1))), bucket);
        }
        assert_eq!(Latencies::bucket(Duration::ZERO), 0);
        assert_eq!(Latencies::bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_happened_since_is_the_difference() {
        let mut before = Observed { answered: 3, failed: 1, ..Observed::default() };
        before.latencies[0].add(Duration::from_micros(70));
        let mut after = Observed { answered: 5, failed: 2, ..before.clone() };
        after.latencies[3].add(Duration::from_millis(9));
        let since = after.since(&before);
        assert_eq!((since.answered, since.failed, since.latencies[0].count()), (2, 1, 0));
        assert!(since.latencies[3].percentile(0.0).unwrap() > Duration::from_millis(9));
        assert_eq!(before.since(&after), Observed::default(), "never below nothing");
    }

    #[test]
    fn every_number_of_rows_has_one_class() {
        for (rows, class) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (8191, 12), (8192, 13)] {
            assert_eq!(Observed::row_class(rows), class, "{rows} rows");
        }
        assert_eq!(Observed::row_class(usize::MAX), ROW_CLASSES - 1);
        for class in 0..ROW_CLASSES {
            let rows = Observed::rows_of(class);
            assert!([*rows.start(), *rows.end()].map(Observed::row_class) == [class; 2]);
        }
    }

    proptest! {
        #[test]
        fn a_percentile_is_at_most_a_quarter_too_high(us in 4_u64..200_000_000) {
            let latency = Duration::from_micros(us);
            let mut latencies = Latencies::default();
            latencies.add(latency);
            let found = latencies.percentile(0.95).unwrap();
            prop_assert!(found > latency && found <= latency.mul_f64(1.25));
        }
    }
}
