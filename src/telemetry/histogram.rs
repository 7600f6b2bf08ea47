//! Histograms of what requests take, filled by one thread each and added up when they are read.

use std::sync::Arc;
use std::time::Duration;

use super::slots::{Count, Writer};

/// Upper ends of buckets, ascending; what is above the last is counted beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds(Arc<[u64]>);

impl Bounds {
    /// Of whole numbers: nanoseconds, rows.
    ///
    /// # Panics
    /// When they do not ascend.
    #[must_use]
    pub fn new(ends: &[u64]) -> Self {
        assert!(ends.is_sorted_by(|a, b| a < b), "the ends of buckets ascend");
        Self(ends.into())
    }

    /// Of durations.
    ///
    /// # Panics
    /// When they do not ascend.
    #[must_use]
    pub fn of_seconds(ends: &[f64]) -> Self {
        let nanos = |seconds: &f64| (seconds * 1e9).round() as u64;
        Self::new(&ends.iter().map(nanos).collect::<Vec<_>>())
    }

    /// How many there are, with the one beyond all bounds.
    pub(super) fn buckets(&self) -> usize {
        self.0.len() + 1
    }

    /// The bucket of a value, the one beyond all bounds included.
    pub(super) fn bucket(&self, value: u64) -> usize {
        self.0.partition_point(|end| *end < value)
    }
}

/// What one thread has seen.
#[derive(Debug)]
pub struct Histogram {
    bounds: Bounds,
    /// One more than there are bounds.
    buckets: Box<[Count]>,
    sum: Count,
}

impl Histogram {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let buckets = std::iter::repeat_with(Count::default).take(bounds.0.len() + 1).collect();
        Self { bounds, buckets, sum: Count::default() }
    }

    /// Counts a value.
    pub fn add(&self, value: u64, writer: Writer) {
        self.buckets[self.bounds.bucket(value)].add(1, writer);
        self.sum.add(value, writer);
    }

    /// Counts a duration, in nanoseconds.
    pub fn add_time(&self, time: Duration, writer: Writer) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), writer);
    }

    /// Values seen.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Count::get).sum()
    }
}

/// The sum of several histograms with the same bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// The upper end of each bucket, and how many values are in it or in one below.
    pub buckets: Vec<(u64, u64)>,
    /// All values, those above the last bucket too.
    pub count: u64,
    pub sum: u64,
}

impl Totals {
    /// Adds up histograms that have these bounds.
    pub fn of<'a>(bounds: &Bounds, histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut counts = vec![0_u64; bounds.buckets()];
        let mut sum = 0_u64;
        for histogram in histograms {
            for (count, own) in counts.iter_mut().zip(&histogram.buckets) {
                *count += own.get();
            }
            sum = sum.wrapping_add(histogram.sum.get());
        }
        let mut below = 0;
        let buckets = bounds.0.iter().zip(&counts).map(|(end, count)| {
            below += count;
            (*end, below)
        });
        Self { buckets: buckets.collect(), count: counts.iter().sum(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_does_not_end_below_it() {
        let bounds = Bounds::new(&[10, 20, 40]);
        let (one, two) = (Histogram::new(bounds.clone()), Histogram::new(bounds.clone()));
        for value in [0, 10, 11, 20] {
            one.add(value, Writer::Sole);
        }
        for value in [41, 40] {
            two.add(value, Writer::Shared);
        }
        let totals = Totals::of(&bounds, [&one, &two].into_iter());
        assert_eq!(totals.buckets, [(10, 2), (20, 4), (40, 5)]);
        assert_eq!((totals.count, totals.sum), (6, 122));
        assert_eq!(one.count(), 4);
        let none = Totals::of(&bounds, std::iter::empty());
        assert_eq!((none.buckets, none.count, none.sum), (vec![(10, 0), (20, 0), (40, 0)], 0, 0));
    }

    #[test]
    fn times_are_counted_in_nanoseconds() {
        let bounds = Bounds::of_seconds(&[0.000_05, 60.0]);
        let histogram = Histogram::new(bounds.clone());
        histogram.add_time(Duration::from_micros(50), Writer::Sole);
        histogram.add_time(Duration::MAX, Writer::Sole);
        let totals = Totals::of(&bounds, std::iter::once(&histogram));
        assert_eq!(totals.buckets, [(50_000, 1), (60_000_000_000, 1)]);
        assert_eq!(totals.count, 2);
    }
}
