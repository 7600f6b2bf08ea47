//! What runs cost by their number of rows, and the batch that is worth making. Pure.

use std::time::Duration;

/// The cost of any run of a model that could not be measured: unknown counts as slow.
const UNMEASURED: Duration = Duration::from_secs(1);

/// Least part of the best throughput that a batch must reach to be chosen. Timing is no more exact
/// than that, and half the batch is half the wait for the first row in it.
const GOOD_ENOUGH: f64 = 0.95;

/// Time of one run by its number of rows, as measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(Vec<(usize, Duration)>);

impl Costs {
    /// Costs of measured points: rows of a run and the time it took, in any order. A run of no
    /// row tells nothing and is left out; of two points with the same rows the shorter one stays.
    #[must_use]
    pub fn new(mut points: Vec<(usize, Duration)>) -> Self {
        points.retain(|(rows, _)| *rows > 0);
        points.sort_unstable();
        points.dedup_by_key(|(rows, _)| *rows);
        Self(points)
    }

    /// The measured points, rows ascending. Empty for a model that ran no sample.
    pub fn points(&self) -> &[(usize, Duration)] {
        &self.0
    }

    /// Time of a run of `rows` rows: on the line between the measured points around it; beyond the
    /// last, each row costs what a row cost there. Fewer rows than measured cost as much as the
    /// least measured. A second where nothing was measured.
    pub fn estimate(&self, rows: usize) -> Duration {
        let above = self.0.partition_point(|(measured, _)| *measured < rows);
        match (above.checked_sub(1).map(|below| self.0[below]), self.0.get(above)) {
            (None, None) => UNMEASURED,
            (None, Some((_, least))) => *least,
            (Some((last, time)), None) => scale(time, rows as f64 / last as f64),
            (Some((low, from)), Some(&(high, to))) => {
                let part = (rows - low) as f64 / (high - low) as f64;
                scale(from, 1.0 - part) + scale(to, part)
            }
        }
    }
}

/// The smallest measured batch that reaches 95 % of the best rows a second; 1 where nothing was
/// measured.
#[must_use]
pub fn choose_batch_rows_max(costs: &Costs) -> usize {
    let rates = || costs.points().iter().map(|&(rows, time)| (rows, rate(rows, time)));
    let best = rates().map(|(_, rate)| rate).fold(0.0, f64::max);
    rates().find(|(_, rate)| *rate >= best * GOOD_ENOUGH).map_or(1, |(rows, _)| rows)
}

/// Rows a second. A time too short to be measured counts as a nanosecond.
pub(super) fn rate(rows: usize, time: Duration) -> f64 {
    rows as f64 / time.max(Duration::from_nanos(1)).as_secs_f64()
}

/// A duration times a factor that is not negative; the longest there is where it does not fit.
fn scale(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    fn costs(points: &[(usize, u64)]) -> Costs {
        Costs::new(points.iter().map(|&(rows, micros)| (rows, us(micros))).collect())
    }

    #[test]
    fn an_estimate_lies_on_the_lines_between_the_points() {
        let measured = costs(&[(1, 10), (2, 12), (8, 60)]);
        for (rows, micros) in [(0, 10), (1, 10), (2, 12), (5, 36), (8, 60), (16, 120), (80, 600)] {
            assert_eq!(measured.estimate(rows), us(micros), "{rows}");
        }
    }

    #[test]
    fn a_model_that_was_not_measured_counts_as_slow() {
        assert_eq!(Costs::default().estimate(0), UNMEASURED);
        assert_eq!(Costs::default().estimate(1000), UNMEASURED);
        assert_eq!(choose_batch_rows_max(&Costs::default()), 1);
    }

    #[test]
    fn an_estimate_that_no_duration_can_hold_is_the_longest() {
        let endless = Costs::new(vec![(1, Duration::MAX)]);
        assert_eq!(endless.estimate(2), Duration::MAX);
    }

    #[test]
    fn points_are_put_in_order() {
        let measured = costs(&[(4, 9), (1, 5), (0, 1), (4, 8)]);
        assert_eq!(measured.points(), [(1, us(5)), (4, us(8))]);
    }

    #[test]
    fn the_smallest_batch_near_the_best_throughput_is_chosen() {
        for (points, chosen) in [
            // Every row costs the same: a batch gains nothing.
            (vec![(1, 100), (2, 200), (4, 400)], 1),
            // All cost is a run's, whatever its rows: the largest.
            (vec![(1, 100), (2, 100), (4, 100), (8, 100)], 8),
            // The gain ends at 4.
            (vec![(1, 100), (2, 110), (4, 130), (8, 260), (16, 510)], 4),
            // A batch beyond some size gets slower again.
            (vec![(1, 100), (2, 120), (4, 400), (8, 900)], 2),
            (vec![(1, 0), (2, 0)], 2),
            (vec![(3, 50)], 3),
        ] {
            assert_eq!(choose_batch_rows_max(&costs(&points)), chosen, "{points:?}");
        }
    }

    proptest! {
        #[test]
        fn an_estimate_lies_between_its_neighbours_and_the_choice_is_a_measured_one(
            points in prop::collection::vec((1_usize..2000, 0_u64..1_000_000), 1..12),
            rows in 0_usize..4000,
        ) {
            let measured = costs(&points);
            let points = measured.points();
            let (estimate, last) = (measured.estimate(rows), points[points.len() - 1]);
            let slack = Duration::from_nanos(2);
            if rows <= last.0 {
                let low = points.iter().map(|(_, time)| *time).min().unwrap();
                let high = points.iter().map(|(_, time)| *time).max().unwrap();
                prop_assert!(low <= estimate + slack && estimate <= high + slack);
            } else {
                prop_assert!(estimate + slack >= last.1);
            }
            let chosen = choose_batch_rows_max(&measured);
            prop_assert!(points.iter().any(|(rows, _)| *rows == chosen));
        }
    }
}
