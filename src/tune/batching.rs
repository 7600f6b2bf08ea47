//! Whether requests may run together.

use std::time::{Duration, Instant};

use ndarray::{ArrayD, Axis};

use crate::backend::LoadedModel;
use crate::model::{ClassMap, GraphIo, Output, OutputKind};
use crate::tensor::{DType, Dim, Element, Tensor};
use crate::with_array;

use super::Sampler;

/// Largest difference between a row's results alone and in a batch, as part of the largest number
/// of that output in the row. Other batch sizes run other kernels, which add in another order: a
/// sum of n numbers of 32 bits is then off by some √n · 6e-8 of their size, 3e-6 for n = 2048, and
/// a deep graph adds such errors up. What a graph does across rows shows with rows that differ by
/// half their values in the first digits. Numbers of 64 bits are held to the same: many graphs
/// compute with 32 and convert at the end.
const TOLERANCE: f64 = 1e-4;
/// The same for numbers of 16 bits, which have three digits.
const TOLERANCE_F16: f64 = 2e-2;

/// Rows that are still to be run after the first three.
const ROWS_LEFT: u32 = 13;
/// Longest time that those may be expected to take, at every start without a cache. A model that
/// takes so long for a row gains little from a batch.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(10);

/// Whether requests may run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batching {
    /// Rows of several requests may share a run.
    Merged,
    /// Each request needs a run of its own; the reason is for people.
    Alone(String),
}

/// Why a trial shows that requests may not run together.
enum Verdict {
    /// The model refuses so many rows: these values, or any.
    Refused { rows: usize },
    /// For this reason.
    Alone(String),
}

/// Finds out whether a row's results are the same whatever rows run beside it.
///
/// Declared shapes can only say no. Five different rows then run as one, two, three and five, in
/// two orders, and are compared row by row. A model that refuses the sample is taken to need runs
/// of its own, and so is one that would take more than some ten seconds. Costs 16 rows of the
/// model's time, more when it refuses the first ones.
#[must_use]
pub fn check_batching(model: &dyn LoadedModel, sampler: &Sampler) -> Batching {
    let io = model.io();
    if let Some(reason) = sampler.without_rows().map(str::to_owned).or_else(|| rows_fixed(io)) {
        return Batching::Alone(reason);
    }
    let mut sampler = sampler.clone();
    loop {
        match (try_rows(model, &sampler), sampler.tamer()) {
            (Ok(()), _) => return Batching::Merged,
            (Err(Verdict::Refused { .. }), Some(tamer)) => sampler = tamer,
            (Err(Verdict::Refused { rows }), None) => {
                let plural = if rows == 1 { "" } else { "s" };
                return Batching::Alone(format!("it refuses a sample of {rows} row{plural}"));
            }
            (Err(Verdict::Alone(reason)), _) => return Batching::Alone(reason),
        }
    }
}

/// The first output that declares a number of rows of its own.
fn rows_fixed(io: &GraphIo) -> Option<String> {
    io.outputs.iter().find_map(|output| match &output.kind {
        OutputKind::Tensor { dims, .. } => match dims.0.first() {
            Some(Dim::Fixed(1)) => Some(format!("output `{}` always has 1 row", output.name)),
            Some(Dim::Fixed(rows)) => {
                Some(format!("output `{}` always has {rows} rows", output.name))
            }
            // A scalar and an undeclared shape look the same: the sample tells.
            Some(Dim::Any) | None => None,
        },
        OutputKind::Maps => None,
    })
}

fn try_rows(model: &dyn LoadedModel, sampler: &Sampler) -> Result<(), Verdict> {
    if sampler.rows(5).is_none() {
        return Err(Verdict::Alone("its rows are too large to try several".to_owned()));
    }
    let run = |rows: &[usize]| {
        model.run(sampler.pick(rows)).map_err(|error| {
            tracing::debug!(%error, rows = rows.len(), "the model refuses its sample");
            Verdict::Refused { rows: rows.len() }
        })
    };
    let trials: [&[usize]; 5] = [&[0], &[0, 1], &[2, 3, 4], &[0, 1, 2, 3, 4], &[2, 3, 4, 0, 1]];
    let [one, left, right, both, turned] = trials;
    let outcome = |rows| Trial::new(model.io(), rows, run(rows)?);
    let one = outcome(one)?;
    // Not the first run, which may pay for what is made lazily.
    let start = Instant::now();
    let left = outcome(left)?;
    if let Some(reason) = too_slow(start.elapsed()) {
        return Err(Verdict::Alone(reason));
    }
    let right = outcome(right)?;
    for other in [outcome(both)?, outcome(turned)?] {
        for alone in [&one, &left, &right] {
            alone.compare(&other).map_err(Verdict::Alone)?;
        }
    }
    let first = sampler.pick(&[0]);
    if (1..5).all(|row| sampler.pick(&[row]) == first) {
        let reason = "its sample rows are all alike, so what it does across rows cannot be seen";
        return Err(Verdict::Alone(reason.to_owned()));
    }
    Ok(())
}

/// Why a model is not tried further that takes so long for two rows, if it is not.
fn too_slow(two_rows: Duration) -> Option<String> {
    let expected = two_rows.saturating_mul(ROWS_LEFT) / 2;
    (expected > TRIAL_TIME_MAX).then(|| {
        let seconds = two_rows.as_secs_f64();
        format!("two rows take {seconds:.1} s, too long to try more of them")
    })
}

/// What the model made of some rows: every output has as many.
struct Trial<'a> {
    io: &'a GraphIo,
    rows: &'a [usize],
    outputs: Vec<Output>,
}

impl<'a> Trial<'a> {
    fn new(io: &'a GraphIo, rows: &'a [usize], outputs: Vec<Output>) -> Result<Self, Verdict> {
        for (output, end) in outputs.iter().zip(&io.outputs) {
            let (name, fed) = (&end.name, rows.len());
            let got = match output {
                Output::Maps(maps) => maps.len(),
                Output::Tensor(tensor) => match tensor.shape().first() {
                    Some(rows) => *rows,
                    None => return Err(Verdict::Alone(format!("output `{name}` has no rows"))),
                },
            };
            if got != fed {
                let plural = |count: usize| if count == 1 { "" } else { "s" };
                return Err(Verdict::Alone(format!(
                    "output `{name}` has {got} row{} for {fed} row{} of input",
                    plural(got),
                    plural(fed)
                )));
            }
        }
        Ok(Self { io, rows, outputs })
    }

    /// Compares the rows that both ran.
    fn compare(&self, other: &Self) -> Result<(), String> {
        let ends = self.io.outputs.iter().zip(self.outputs.iter().zip(&other.outputs));
        for (end, (here, there)) in ends {
            for (at, row) in self.rows.iter().enumerate() {
                let Some(place) = other.rows.iter().position(|other| other == row) else {
                    continue;
                };
                if !same_row(here, at, there, place) {
                    let name = &end.name;
                    return Err(format!("output `{name}` of a row depends on the rows beside it"));
                }
            }
        }
        Ok(())
    }
}

/// Whether row `at` of one output equals row `place` of the other.
fn same_row(here: &Output, at: usize, there: &Output, place: usize) -> bool {
    match (here, there) {
        (Output::Maps(here), Output::Maps(there)) => same_map(here.row(at), there.row(place)),
        (Output::Tensor(here), Output::Tensor(there)) => same_cells(here, at, there, place),
        _ => false,
    }
}

fn same_map(here: ClassMap<'_>, there: ClassMap<'_>) -> bool {
    here.keys == there.keys && close(here.values, there.values, TOLERANCE)
}

fn same_cells(here: &Tensor, at: usize, there: &Tensor, place: usize) -> bool {
    let tolerance = if here.dtype() == DType::F16 { TOLERANCE_F16 } else { TOLERANCE };
    match (floats(here, at), floats(there, place)) {
        (Some(here), Some(there)) => close(&here, &there, tolerance),
        _ => with_array!(here, array => equal(array, at, there, place)),
    }
}

fn equal<T: Element + PartialEq>(
    here: &ArrayD<T>,
    at: usize,
    there: &Tensor,
    place: usize,
) -> bool {
    let row = here.index_axis(Axis(0), at);
    T::unwrap_ref(there).is_some_and(|there| there.index_axis(Axis(0), place) == row)
}

/// The row's cells, and nothing for what are no floats.
fn floats(tensor: &Tensor, row: usize) -> Option<Vec<f64>> {
    let cells = match tensor {
        Tensor::F16(array) => {
            array.index_axis(Axis(0), row).iter().map(|cell| cell.to_f64()).collect()
        }
        Tensor::F32(array) => {
            array.index_axis(Axis(0), row).iter().map(|cell| f64::from(*cell)).collect()
        }
        Tensor::F64(array) => array.index_axis(Axis(0), row).iter().copied().collect(),
        _ => return None,
    };
    Some(cells)
}

/// Whether the cells of two rows are the same but for rounding. NaN is NaN, an infinity itself.
fn close(here: &[f64], there: &[f64], tolerance: f64) -> bool {
    let largest = here
        .iter()
        .chain(there)
        .filter(|cell| cell.is_finite())
        .fold(0.0, |largest: f64, cell| largest.max(cell.abs()));
    let same = |(a, b): (&f64, &f64)| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * largest
    };
    here.len() == there.len() && here.iter().zip(there).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_takes_long_is_not_tried_further() {
        for (millis, reason) in [
            (0, None),
            (1500, None),
            (1600, Some("two rows take 1.6 s, too long to try more of them")),
        ] {
            assert_eq!(too_slow(Duration::from_millis(millis)).as_deref(), reason);
        }
        assert!(too_slow(Duration::MAX).is_some());
    }
}
