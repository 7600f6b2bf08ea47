//! How long runs take.

use std::time::{Duration, Instant};

use crate::backend::{LoadedModel, RunError};

use super::cost::rate;
use super::{Batching, Clock, Costs, Sampler};

/// Timed runs of one size: enough for a median that one disturbance does not move.
const RUNS_MIN: usize = 5;
/// More runs than this make no median better that is worth the start-up time.
const RUNS_MAX: usize = 63;
/// Timed runs of one size beyond the least end after this time.
const SIZE_TIME: Duration = Duration::from_millis(4);
/// Sizes up to this one are measured whether doubling pays or not, if there is time: trees gain a
/// few per cent with each doubling, which one that was measured badly can hide.
const ROWS_TRIED_MIN: usize = 64;
/// Least gain in rows a second for which a doubled batch counts as better.
const GAIN_MIN: f64 = 1.03;

/// So many times faster than they were is no chance any more.
const OUTDONE_MIN: u32 = 3;

/// How far apart two times may be that are of graphs of the same form.
const ALIKE_MAX: f64 = 1.5;

/// Bounds of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuneOptions {
    /// No run is started that is not expected to end within this time, the first one excepted.
    pub time_max: Duration,
    /// Most rows of a run.
    pub rows_max: usize,
    /// By which runs are timed.
    pub clock: Clock,
}

/// Measures runs of 1, 2, 4, ... rows, different ones, up to `rows_max` or until doubling beyond 64
/// has stopped to pay: the median of some runs, after one that is not counted. Where requests run
/// alone only one row is measured (or one request of the model's own shape).
///
/// The costs are empty if the model refuses its samples.
#[must_use]
pub fn measure(
    model: &dyn LoadedModel,
    sampler: &Sampler,
    batching: &Batching,
    options: TuneOptions,
) -> Costs {
    let started = Instant::now();
    let rows_max = if *batching == Batching::Merged { options.rows_max } else { 1 };
    let mut sampler = sampler.clone();
    let mut points: Vec<(usize, Duration)> = Vec::new();
    let mut rows = 1;
    loop {
        let left = || options.time_max.saturating_sub(started.elapsed());
        match time_runs(model, &sampler, rows, options.clock, left) {
            Ok(Some(time)) => points.push((rows, time)),
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, rows, "the model refuses its sample");
                match sampler.tamer() {
                    Some(tamer) => {
                        sampler = tamer;
                        continue;
                    }
                    None => break,
                }
            }
        }
        let next = rows.saturating_mul(2).min(rows_max);
        let pays = rows < ROWS_TRIED_MIN || still_pays(&points);
        if next <= rows || !pays || !fits(&points, next, left()) {
            break;
        }
        rows = next;
    }
    Costs::new(points)
}

/// Whether a run of one row takes far less than these costs say: then they were measured while the
/// machine was busy with other things, or held back. That it takes more says the same of now.
#[must_use]
pub fn is_outdone(costs: &Costs, model: &dyn LoadedModel, sampler: &Sampler, clock: Clock) -> bool {
    let started = Instant::now();
    let left = || SIZE_TIME.saturating_sub(started.elapsed());
    match time_runs(model, sampler, 1, clock, left) {
        Ok(Some(time)) => time * OUTDONE_MIN < costs.estimate(1),
        Ok(None) | Err(_) => false,
    }
}

/// Whether runs of one row and of `rows_max` rows, which are tried, take what these costs say:
/// those of another graph of the same form.
#[must_use]
pub fn is_alike(
    costs: &Costs,
    rows_max: usize,
    model: &dyn LoadedModel,
    sampler: &Sampler,
    options: TuneOptions,
) -> bool {
    let started = Instant::now();
    let left = || options.time_max.saturating_sub(started.elapsed());
    [1, rows_max].into_iter().all(|rows| {
        let Ok(Some(time)) = time_runs(model, sampler, rows, options.clock, left) else {
            return false;
        };
        let known = costs.estimate(rows);
        time.max(known).as_secs_f64() <= ALIKE_MAX * time.min(known).as_secs_f64()
    })
}

/// Median time of runs of so many rows; `None` when there is no sample of them.
fn time_runs(
    model: &dyn LoadedModel,
    sampler: &Sampler,
    rows: usize,
    clock: Clock,
    left: impl Fn() -> Duration,
) -> Result<Option<Duration>, RunError> {
    let Some(whole) = (if rows == 1 { sampler.whole() } else { sampler.rows(rows) }) else {
        return Ok(None);
    };
    let mut runs = 0;
    let mut run = || {
        // Rows that no run has seen: a processor learns the way of a row through a tree, and of
        // a few rows that come again and again.
        let feeds = match sampler.without_rows() {
            Some(_) => whole.clone(),
            None => sampler.pick(&(runs * rows..(runs + 1) * rows).collect::<Vec<_>>()),
        };
        runs += 1;
        let start = clock.now();
        model.run(feeds).map(|outputs| {
            let time = clock.now().saturating_sub(start);
            drop(outputs);
            time
        })
    };
    let first = run()?;
    let (mut times, mut total) = (Vec::with_capacity(RUNS_MAX), Duration::ZERO);
    while times.len() < RUNS_MAX && (times.len() < RUNS_MIN || total < SIZE_TIME) {
        let expected = times.last().copied().unwrap_or(first);
        if expected > left() {
            break;
        }
        let time = run()?;
        times.push(time);
        total += time;
    }
    times.sort_unstable();
    Ok(Some(times.get(times.len() / 2).copied().unwrap_or(first)))
}

/// Whether the uncounted and one counted run of `rows` rows should end within the time that is
/// left, if a row goes on to cost what it did.
fn fits(points: &[(usize, Duration)], rows: usize, left: Duration) -> bool {
    points.last().is_none_or(|(last, time)| {
        let runs = rows.div_ceil(*last).saturating_mul(2);
        u32::try_from(runs).is_ok_and(|runs| time.saturating_mul(runs) <= left)
    })
}

/// Whether one of the last two doublings gave more rows a second than every size before them.
fn still_pays(points: &[(usize, Duration)]) -> bool {
    let best = |points: &[(usize, Duration)]| {
        points.iter().map(|&(rows, time)| rate(rows, time)).fold(0.0, f64::max)
    };
    match points.len().checked_sub(2) {
        None | Some(0) => true,
        Some(before) => best(&points[before..]) > best(&points[..before]) * GAIN_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(usize, u64)]) -> Vec<(usize, Duration)> {
        points.iter().map(|&(rows, micros)| (rows, Duration::from_micros(micros))).collect()
    }

    #[test]
    fn measuring_ends_when_doubling_has_not_paid_twice() {
        for (measured, pays) in [
            (vec![], true),
            (vec![(1, 10)], true),
            (vec![(1, 10), (2, 20)], true),
            (vec![(1, 10), (2, 20), (4, 40)], false),
            (vec![(1, 10), (2, 20), (4, 30)], true),
            (vec![(1, 10), (2, 12), (4, 24)], true),
            (vec![(1, 10), (2, 12), (4, 24), (8, 48)], false),
            (vec![(1, 10), (2, 12), (4, 24), (8, 40)], true),
        ] {
            assert_eq!(still_pays(&points(&measured)), pays, "{measured:?}");
        }
    }

    #[test]
    fn a_size_that_is_not_expected_to_end_in_time_is_not_begun() {
        let measured = points(&[(1, 10), (2, 16)]);
        assert!(fits(&measured, 4, Duration::from_micros(64)));
        assert!(!fits(&measured, 4, Duration::from_micros(63)));
        assert!(!fits(&measured, usize::MAX, Duration::from_secs(1)));
        assert!(fits(&[], 1, Duration::ZERO), "the first is always tried");
    }
}
