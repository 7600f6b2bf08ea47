//! Distances between two distributions of numbers, on the reference's fine grid of about 250 cells.
//!
//! `F` is the reference's distribution function and `G` the window's. At an edge both are known
//! exactly, from the left. `None` where one side has no values.

use crate::drift::{Numeric, Seen};

/// A reference's edges are every 250th part of its values, in ascending order, so that between two
/// of them lie no more than that. What a cell holds beyond that are equal values at its start.
const CELLS: u64 = 250;

/// The two-sample Kolmogorov-Smirnov statistic, from 0 to 1: the largest `|F - G|` at any edge.
///
/// At most `scipy.stats.ks_2samp(...).statistic`, and less than that by at most the share of the
/// reference's fullest cell: 1/250 without ties.
pub fn kolmogorov_smirnov(reference: &Numeric, seen: &Seen) -> Option<f64> {
    Some(at_edges(reference, seen)?.map(|(f, g)| (f - g).abs()).fold(0.0, f64::max))
}

/// The Wasserstein distance, in the feature's own unit: the area between `F` and `G`.
///
/// Within a cell both step where the reference has many equal values, and are straight from there;
/// beyond the reference's ends the area is exact. The distance is never less than that of the
/// means, which is known exactly, so neither is this: a shift of everything to one side is exact
/// whatever the cells are. It differs from `scipy.stats.wasserstein_distance` by at most
/// [`wasserstein_error`].
pub fn wasserstein(reference: &Numeric, seen: &Seen) -> Option<f64> {
    let values = seen.values() as f64;
    let total: u64 = reference.counts.iter().sum();
    let gaps: Vec<f64> = at_edges(reference, seen)?.map(|(f, g)| f - g).collect();
    let cells = reference.counts.iter().zip(&seen.cells);
    let inner: f64 = reference
        .edges
        .windows(2)
        .zip(gaps.windows(2))
        .zip(cells)
        .map(|((edge, gap), (r, w))| {
            let equal = r.saturating_sub(total.div_ceil(CELLS));
            let part = if equal == 0 { 0.0 } else { equal as f64 / *r as f64 };
            let step = part * (*r as f64 / total as f64 - *w as f64 / values);
            (edge[1] - edge[0]) * mean_size(gap[0] + step, gap[1])
        })
        .sum();
    let outer = (seen.below_excess + seen.above_excess) / values;
    let means = (seen.sum / values).abs();
    Some((inner + outer).max(means))
}

/// How far [`wasserstein`] may be from the distance of the raw values: the sum over the cells of
/// their width times what both sides have in them.
pub fn wasserstein_error(reference: &Numeric, seen: &Seen) -> f64 {
    let [n, m] = [reference.counts.iter().sum::<u64>() as f64, seen.values() as f64];
    let cells = reference.edges.windows(2).zip(reference.counts.iter().zip(&seen.cells));
    cells.map(|(edge, (r, w))| (edge[1] - edge[0]) * (*r as f64 / n + *w as f64 / m)).sum()
}

/// The mean of `|x|` where `x` goes straight from one number to the other.
fn mean_size(from: f64, to: f64) -> f64 {
    let [a, b] = [from.abs(), to.abs()];
    if from * to >= 0.0 { f64::midpoint(a, b) } else { (a * a + b * b) / (2.0 * (a + b)) }
}

/// `F` and `G` at every edge: the shares of what is less; at the last edge also what equals it.
fn at_edges<'a>(
    reference: &'a Numeric,
    seen: &'a Seen,
) -> Option<impl Iterator<Item = (f64, f64)> + 'a> {
    let [n, m] = [reference.counts.iter().sum::<u64>(), seen.values()];
    if n == 0 || m == 0 {
        return None;
    }
    let share = move |r: u64, w: u64| (r as f64 / n as f64, w as f64 / m as f64);
    let mut less = (0, seen.below);
    let first = share(less.0, less.1);
    let rest = reference.counts.iter().zip(&seen.cells).map(move |(r, w)| {
        less = (less.0 + r, less.1 + w);
        share(less.0, less.1)
    });
    Some(std::iter::once(first).chain(rest))
}
