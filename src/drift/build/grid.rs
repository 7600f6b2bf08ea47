//! The grid of a numeric feature: edges at its quantiles, the cells between them, and the scoring
//! bins, which are unions of cells.

use std::collections::BTreeSet;

/// Quantiles at which an edge stands, the least value among them; [`super::EDGES_MAX`] less one.
const QUANTILES: usize = 250;

/// Parts of the values of which each begins a scoring bin.
const BINS: usize = super::SCORING_BINS_MAX;

/// A cell with at least one of so many of the values has no others in its bin.
const COMMON: u64 = 5;

// A bin that ends with a common cell costs no more bins than `BINS`. A common cell holds a fifth of
// the values, which are next to each other in their order, so at least two of the `BINS` quantiles
// lie in it. Each of them is one of the `QUANTILES` and so an edge, and a cell has only one edge:
// both begin the same bin. So for every start that a common cell adds one is lost.
const _: () = assert!(BINS as u64 >= 2 * COMMON && QUANTILES.is_multiple_of(BINS));

/// Distinct quantiles in order, then the greatest value. It stands twice where it is a quantile
/// itself: then it has a cell of its own, [greatest, greatest].
pub(super) fn edges(sorted: &[f64]) -> Vec<f64> {
    let Some(greatest) = sorted.last() else { return Vec::new() };
    let mut edges = quantiles(sorted, QUANTILES);
    edges.dedup();
    edges.push(*greatest);
    edges
}

/// Places of edges: the first, those at which a tenth of the values ends, those at which a common
/// cell does, the last. Without the third kind, a value that most rows have would be in one bin
/// with all that is greater, and could turn into that without being seen.
pub(super) fn bins(sorted: &[f64], edges: &[f64], counts: &[u64]) -> Vec<usize> {
    let Some(last) = edges.len().checked_sub(1) else { return Vec::new() };
    let starts = quantiles(sorted, BINS);
    let first_place = |value: f64| edges.partition_point(|edge| *edge < value);
    let is_common = |count: u64| count * COMMON >= sorted.len() as u64;
    let cells = counts.iter().enumerate();
    let ends = cells.filter(|(_, count)| is_common(**count)).map(|(cell, _)| cell + 1);
    let places = starts.into_iter().map(first_place).chain(ends).chain([last]);
    places.collect::<BTreeSet<_>>().into_iter().collect()
}

fn quantiles(sorted: &[f64], parts: usize) -> Vec<f64> {
    (0..parts).map(|part| sorted[part * sorted.len() / parts]).collect()
}

/// How many values each cell holds, as `numpy.histogram` counts. None lies outside the edges.
pub(super) fn counts(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let Some(inner) = edges.len().checked_sub(1) else { return Vec::new() };
    let starts = edges[..inner].iter().map(|edge| sorted.partition_point(|value| value < edge));
    let ends: Vec<usize> = starts.chain([sorted.len()]).collect();
    ends.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// The cell that holds a value; `None` outside of the edges.
pub(super) fn cell(edges: &[f64], value: f64) -> Option<usize> {
    let (last, starts) = edges.split_last()?;
    let after = starts.partition_point(|edge| *edge <= value);
    if value > *last { None } else { after.checked_sub(1) }
}
