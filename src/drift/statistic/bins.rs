//! Distances between two rows of counts: the same bins, counted in the reference and in a window.
//!
//! `p` and `q` are the shares of a bin in the reference and in the window. Every function gives
//! `None` where one side has no counts at all.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Pearson's test that reference and window were drawn from one distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Independence {
    pub statistic: f64,
    /// The probability of such a statistic, or a larger one, without any drift.
    pub p_value: f64,
}

/// The population stability index, in nats: sum of `(p - q) ln(p / q)`.
///
/// `pseudo` is added to every count of both sides, so that a bin that is empty by chance does not
/// weigh more than the sample can tell; [`PSEUDO_COUNT`](super::PSEUDO_COUNT) is the usual one.
/// With 0 it is the textbook's formula, infinite where one side of a bin is empty.
pub fn psi(reference: &[u64], window: &[u64], pseudo: f64) -> Option<f64> {
    let bins = reference.len() as f64;
    let [n, m] = totals(reference, window)?.map(|total| total + pseudo * bins);
    let term = |p: f64, q: f64| if p == q { 0.0 } else { (p - q) * (p / q).ln() };
    Some(
        reference
            .iter()
            .zip(window)
            .map(|(r, w)| term((*r as f64 + pseudo) / n, (*w as f64 + pseudo) / m))
            .sum(),
    )
}

/// The Jensen-Shannon distance to base 2, from 0 to 1: the square root of the divergence.
///
/// `scipy.spatial.distance.jensenshannon(p, q, base=2)`, and what `NannyML` reports.
pub fn jensen_shannon(reference: &[u64], window: &[u64]) -> Option<f64> {
    let divergence: f64 = shares(reference, window)?.map(|(p, q)| divergence_of(p, q)).sum();
    Some((divergence / (2.0 * std::f64::consts::LN_2)).clamp(0.0, 1.0).sqrt())
}

/// `p ln(p / s) + q ln(q / s)` with `s` the mean of both, exact where they are close.
fn divergence_of(p: f64, q: f64) -> f64 {
    if p == q {
        return 0.0;
    }
    let mean = f64::midpoint(p, q);
    let apart = (p - q) / (p + q);
    let one = |side: f64, apart: f64| if side == 0.0 { 0.0 } else { side * apart.ln_1p() };
    // Rounding may leave less than nothing.
    (one(p, apart) + one(q, -apart)).clamp(0.0, 2.0 * mean * std::f64::consts::LN_2)
}

/// Pearson's chi-squared of the table with the two rows of counts, without a correction:
/// `scipy.stats.chi2_contingency(table, correction=False)`, and what `NannyML` reports.
///
/// Evidently takes the reference for the true distribution instead of a sample of it
/// (`scipy.stats.chisquare`), which is this function's limit for a very large reference. Bins that
/// are empty on both sides do not count. `None` where fewer than two bins are left.
pub fn chi_squared(reference: &[u64], window: &[u64]) -> Option<Independence> {
    let [n, m] = totals(reference, window)?;
    let all = n + m;
    let mut statistic = 0.0;
    let mut bins = 0_u32;
    for (r, w) in reference.iter().zip(window).filter(|(r, w)| **r + **w > 0) {
        let [r, w] = [*r as f64, *w as f64];
        let [expected_r, expected_w] = [(r + w) * n / all, (r + w) * m / all];
        statistic += (r - expected_r).powi(2) / expected_r + (w - expected_w).powi(2) / expected_w;
        bins += 1;
    }
    let distribution = ChiSquared::new(f64::from(bins) - 1.0).ok()?;
    Some(Independence { statistic, p_value: distribution.sf(statistic) })
}

/// The largest difference of any bin's shares, from 0 to 1 (Chebyshev distance).
pub fn l_infinity(reference: &[u64], window: &[u64]) -> Option<f64> {
    Some(shares(reference, window)?.map(|(p, q)| (p - q).abs()).fold(0.0, f64::max))
}

/// The share of the rows that would have to change their bin, from 0 to 1: half of the sum of
/// `|p - q|`.
pub fn total_variation(reference: &[u64], window: &[u64]) -> Option<f64> {
    Some(shares(reference, window)?.map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0)
}

fn shares<'a>(
    reference: &'a [u64],
    window: &'a [u64],
) -> Option<impl Iterator<Item = (f64, f64)> + 'a> {
    let [n, m] = totals(reference, window)?;
    Some(reference.iter().zip(window).map(move |(r, w)| (*r as f64 / n, *w as f64 / m)))
}

fn totals(reference: &[u64], window: &[u64]) -> Option<[f64; 2]> {
    debug_assert_eq!(reference.len(), window.len(), "both sides have the same bins");
    let totals = [reference, window].map(|side| side.iter().sum::<u64>());
    totals.iter().all(|total| *total > 0).then(|| totals.map(|total| total as f64))
}
