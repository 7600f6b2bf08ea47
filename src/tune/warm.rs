//! Runs until they take no longer than they have to.

use std::time::{Duration, Instant};

use crate::backend::LoadedModel;
use crate::model::Output;

use super::Sampler;

/// Runs of one size, at most: what has not settled by then does not.
const RUNS_MAX: usize = 16;
/// So many runs in a row that take the same time are no accident.
const ALIKE_MIN: usize = 3;
/// Two times are the same up to this factor, and up to what a clock and its machine disturb.
const ALIKE: f64 = 1.25;
const NOISE: Duration = Duration::from_micros(50);

/// Which runs warm a model up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmOptions {
    /// Rows of the least and the most runs; in between the rows double.
    pub rows_min: usize,
    pub rows_max: usize,
    /// No run is begun that is not expected to end within this time, the first one excepted.
    pub time_max: Duration,
}

/// How warm a model is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmth {
    pub runs: usize,
    /// Rows of the largest of them.
    pub rows: usize,
    /// What they took together.
    pub time: Duration,
    /// Whether runs of every size took the same time in the end.
    pub is_settled: bool,
}

/// What comes after the runs of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Again,
    /// They take the same time now.
    Settled,
    /// They do not, and no more is spent on them.
    Enough,
}

/// Runs sample rows in sizes of `rows_min`, twice as many, and so on up to `rows_max`, each until
/// its runs take the same time: what an engine makes at the first run of a size (memory, plans,
/// threads) is there then. `look` sees what each run made. A model that refuses the samples is as
/// warm as it can be made.
pub fn warm(
    model: &dyn LoadedModel,
    sampler: &Sampler,
    options: WarmOptions,
    mut look: impl FnMut(&[Output]),
) -> Warmth {
    let started = Instant::now();
    let mut sampler = sampler.clone();
    let mut warmth = Warmth::default();
    let mut rows = options.rows_min.max(1);
    let mut times: Vec<Duration> = Vec::new();
    let mut all_settled = true;
    warmth.is_settled = loop {
        if rows > options.rows_max {
            break all_settled;
        }
        let left = options.time_max.saturating_sub(started.elapsed());
        let next = next(&times, left);
        if next != Next::Again {
            all_settled &= next == Next::Settled;
            if rows == options.rows_max {
                break all_settled;
            }
            // If a row goes on to cost what it did.
            if times.last().is_some_and(|time| time.saturating_mul(2) > left) {
                break false;
            }
            rows = rows.saturating_mul(2).min(options.rows_max);
            times.clear();
            continue;
        }
        let feeds = if rows == 1 { sampler.whole() } else { sampler.rows(rows) };
        let Some(feeds) = feeds else { break false };
        let start = Instant::now();
        match model.run(feeds) {
            Ok(outputs) => {
                times.push(start.elapsed());
                warmth.runs += 1;
                warmth.rows = rows;
                look(&outputs);
            }
            Err(error) => {
                tracing::debug!(%error, rows, "the model refuses its sample");
                let Some(tamer) = sampler.tamer() else { break false };
                sampler = tamer;
            }
        }
    };
    warmth.time = started.elapsed();
    warmth
}

/// What comes after runs of one size that took so long, with so much time left.
fn next(times: &[Duration], left: Duration) -> Next {
    let Some(last) = times.last() else { return Next::Again };
    let alike = times.last_chunk::<ALIKE_MIN>().is_some_and(|recent| {
        let slowest = recent.iter().max().copied().unwrap_or_default();
        let fastest = recent.iter().min().copied().unwrap_or_default();
        slowest <= fastest.mul_f64(ALIKE).saturating_add(NOISE)
    });
    if alike {
        Next::Settled
    } else if times.len() >= RUNS_MAX || *last > left {
        Next::Enough
    } else {
        Next::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn runs_of_a_size_end_when_they_are_alike_or_cost_too_much() {
        let cases: [(&[u64], Duration, Next); 9] = [
            (&[], Duration::ZERO, Next::Again),
            (&[9000], SECOND, Next::Again),
            (&[9000, 900, 900], SECOND, Next::Again),
            (&[9000, 900, 800, 900], SECOND, Next::Settled),
            (&[9000, 900, 700, 1200], SECOND, Next::Again),
            // Within what disturbs a clock.
            (&[10, 55, 12], SECOND, Next::Settled),
            (&[10, 90, 12], SECOND, Next::Again),
            (&[9000, 8000], Duration::from_millis(7), Next::Enough),
            (&[1000, 2000, 1000, 2000, 1000, 2000, 1000, 2000, 1000], SECOND, Next::Again),
        ];
        for (micros, left, want) in cases {
            let times: Vec<_> = micros.iter().copied().map(Duration::from_micros).collect();
            assert_eq!(next(&times, left), want, "{micros:?}");
        }
        let restless: Vec<_> = (0..RUNS_MAX as u32).map(|run| SECOND * (1 + run % 2)).collect();
        assert_eq!(next(&restless, SECOND * 9), Next::Enough);
    }
}
