//! What the population stability index shows by chance alone.
//!
//! Where reference (N values) and window (M values) come from one distribution over B bins, their
//! index is distributed as (1/N + 1/M) times chi-squared with B - 1 degrees of freedom (Yurdakul
//! and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
//! Validation, 2020). That is a limit for many rows a bin. With about five to ten in a bin of the
//! window, as with many categories, the tail is heavier: 30 categories and windows of 500 rows
//! pass the quantile of 99.9 % in 0.11 to 0.14 % of the windows instead of 0.1 %, and further out
//! twice as often as they should. So the floor takes the quantile of a ten times smaller
//! probability than what is promised.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// At most this share of windows without drift has any feature above its noise floor.
pub const FALSE_ALARMS: f64 = 1e-3;

/// How much smaller the probability is that the quantile is taken at.
const MARGIN: f64 = 10.0;

/// What the index stays below without drift, but for [`FALSE_ALARMS`] of the windows, when so many
/// features are watched together (Bonferroni's bound). Zero for a single bin, whose index is always
/// zero; `None` where one side has no values.
pub fn noise_floor(
    reference_values: u64,
    window_values: u64,
    bins: usize,
    features: usize,
) -> Option<f64> {
    if reference_values == 0 || window_values == 0 || bins == 0 {
        return None;
    }
    let Ok(distribution) = ChiSquared::new(bins as f64 - 1.0) else { return Some(0.0) };
    let probability = FALSE_ALARMS / MARGIN / features.max(1) as f64;
    let scale = 1.0 / reference_values as f64 + 1.0 / window_values as f64;
    Some(scale * distribution.inverse_cdf(1.0 - probability))
}
