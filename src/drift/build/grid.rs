//! The grid of a numeric feature: edges at its quantiles, the cells between them, and the scoring
//! bins, which are unions of cells.

/// Quantiles at which an edge stands, the least value among them; [`super::EDGES_MAX`] less one.
const QUANTILES: usize = 250;

/// Scoring bins, if no two of their edges are one.
const BINS: usize = super::SCORING_BINS_MAX;

/// Distinct quantiles in order, then the greatest value. It stands twice where it is a quantile
/// itself: then it has a cell of its own, [greatest, greatest].
pub(super) fn edges(sorted: &[f64]) -> Vec<f64> {
    let Some(greatest) = sorted.last() else { return Vec::new() };
    let mut edges = quantiles(sorted, QUANTILES);
    edges.dedup();
    edges.push(*greatest);
    edges
}

/// Places of edges: the first, those at which a tenth of the values ends, the last.
pub(super) fn bins(sorted: &[f64], edges: &[f64]) -> Vec<usize> {
    let Some(last) = edges.len().checked_sub(1) else { return Vec::new() };
    let starts = quantiles(sorted, BINS);
    let first_place = |value: f64| edges.partition_point(|edge| *edge < value);
    let mut bins: Vec<usize> = starts.into_iter().map(first_place).chain([last]).collect();
    bins.dedup();
    bins
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
