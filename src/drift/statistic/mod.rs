//! Statistics of drift: pure functions over counts.
//!
//! [`score`] compares what was seen of a feature in a window with its reference. The functions it
//! is made of are in [`bins`] (shares of bins), [`grid`] (numbers on the fine grid),
//! [`noise_floor`] (what chance shows) and [`scored_bins`] (which bins are compared). All of it is
//! over values that are not null; how many are null is a ratio of its own.
//!
//! A feature is drifted when its population stability index is at least [`PSI_ALARM`] and at least
//! its noise floor. Probabilities are no basis for that: with as many rows as a server sees they
//! are always close to nothing.

pub mod bins;
pub mod grid;
mod noise;
mod scored;

pub use noise::{FALSE_ALARMS, noise_floor};
pub use scored::{CATEGORY_COUNT_MIN, CUT_DEVIATIONS, scored_bins, scored_categories};

use super::reference::{Feature, Numeric, Values};
use super::seen::Seen;

/// The least index that is called drift. The usual reading: below 0.1 stable, above 0.25 a large
/// change.
pub const PSI_ALARM: f64 = 0.1;

/// Values that a window needs to be scored, unless another number is set.
pub const VALUES_MIN: u64 = 500;

/// What is added to every bin of both sides before the index is taken (Jeffreys' prior).
pub const PSEUDO_COUNT: f64 = 0.5;

/// How a feature is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// A feature with fewer values (not null) in a window is not scored.
    pub values_min: u64,
    /// The least index that is called drift.
    pub psi_alarm: f64,
    /// Features that are watched together: the more, the higher each one's noise floor.
    pub features: usize,
}

impl Scoring {
    /// The usual rule, for so many features.
    pub fn usual(features: usize) -> Self {
        Self { values_min: VALUES_MIN, psi_alarm: PSI_ALARM, features }
    }
}

/// How far a feature's window is from its reference. What does not apply to its kind, or cannot be
/// told from what was seen, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Population stability index, in nats, from 0.
    pub psi: Option<f64>,
    /// Jensen-Shannon distance to base 2, from 0 to 1.
    pub js: Option<f64>,
    /// Kolmogorov-Smirnov statistic, from 0 to 1. Numbers only, as the next one and `mean_shift`.
    pub ks: Option<f64>,
    /// Wasserstein distance, in standard deviations of the reference.
    pub wasserstein: Option<f64>,
    /// Pearson's statistic. Texts only, as the next three.
    pub chi2: Option<f64>,
    /// The probability of it without drift.
    pub chi2_p: Option<f64>,
    /// The largest difference of a category's shares, from 0 to 1.
    pub linf: Option<f64>,
    /// Total variation distance, from 0 to 1.
    pub tvd: Option<f64>,
    /// The window's mean less the reference's, in standard deviations of the reference.
    pub mean_shift: Option<f64>,
    /// What `psi` stays below by chance, but for [`FALSE_ALARMS`] of the windows.
    pub noise_floor: Option<f64>,
    /// Nulls among all rows.
    pub null_ratio: Option<f64>,
    /// Numbers outside of the reference's ends, among the numbers.
    pub out_of_range_ratio: Option<f64>,
    /// Texts that the reference does not name, among the texts.
    pub unseen_ratio: Option<f64>,
    /// Whether `psi` is at least the alarm and the noise floor.
    pub is_drifted: bool,
}

/// Compares what was seen of a feature with its reference. Ratios are told of any number of rows.
pub fn score(feature: &Feature, seen: &Seen, scoring: &Scoring) -> Scores {
    let mut scores = ratios(feature, seen);
    let reference_values = feature.known();
    let values = seen.values();
    if reference_values == 0 || values < scoring.values_min.max(1) {
        return scores;
    }
    let bins = scored_bins(feature, seen);
    scores.psi = bins::psi(&bins.reference, &bins.window, PSEUDO_COUNT);
    scores.js = bins::jensen_shannon(&bins.reference, &bins.window);
    scores.noise_floor =
        noise_floor(reference_values, values, bins.reference.len(), scoring.features);
    match &feature.values {
        Values::Numeric(numeric) => {
            scores.ks = grid::kolmogorov_smirnov(numeric, seen);
            scores.wasserstein = in_deviations(numeric, grid::wasserstein(numeric, seen));
            scores.mean_shift = in_deviations(numeric, Some(seen.sum / values as f64));
        }
        Values::Categorical(_) => {
            let test = bins::chi_squared(&bins.reference, &bins.window);
            scores.chi2 = test.map(|test| test.statistic);
            scores.chi2_p = test.map(|test| test.p_value);
            scores.linf = bins::l_infinity(&bins.reference, &bins.window);
            scores.tvd = bins::total_variation(&bins.reference, &bins.window);
        }
    }
    scores.is_drifted = scores
        .psi
        .zip(scores.noise_floor)
        .is_some_and(|(psi, floor)| psi >= scoring.psi_alarm.max(floor));
    scores
}

fn ratios(feature: &Feature, seen: &Seen) -> Scores {
    let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let values = seen.values();
    let null_ratio = ratio(seen.nulls, seen.rows());
    match &feature.values {
        // Without any number in the reference there is no range.
        Values::Numeric(numeric) if numeric.edges.is_empty() => {
            Scores { null_ratio, ..Scores::default() }
        }
        Values::Numeric(_) => {
            let out_of_range_ratio = ratio(seen.below + seen.above, values);
            Scores { null_ratio, out_of_range_ratio, ..Scores::default() }
        }
        Values::Categorical(_) => {
            let unseen_ratio = ratio(seen.cells.last().copied().unwrap_or(0), values);
            Scores { null_ratio, unseen_ratio, ..Scores::default() }
        }
    }
}

/// A distance in the reference's standard deviations; `None` for a constant, and for what has left
/// the range of numbers.
fn in_deviations(reference: &Numeric, distance: Option<f64>) -> Option<f64> {
    let std = reference.std.filter(|std| *std > 0.0)?;
    distance.map(|distance| distance / std).filter(|distance| distance.is_finite())
}
