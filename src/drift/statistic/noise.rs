//! What the population stability index shows by chance alone.
//!
//! Where reference (N values) and window (M values) come from one distribution over B bins, their
//! index is distributed as (1/N + 1/M) times chi-squared with B - 1 degrees of freedom (Yurdakul
//! and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
//! Validation, 2020). That is a limit for many rows a bin, and there are fewer in two places.
//!
//! With about five to ten rows in a bin of the window, as with many categories, the tail is
//! heavier: 30 categories and windows of 500 rows pass the quantile of 99.9 % in 0.11 to 0.14 % of
//! the windows instead of 0.1 %, and further out twice as often as they should. So the floor takes
//! the quantile of a ten times smaller probability than what is promised.
//!
//! And the last bin is empty in the reference, though what is beyond the least and the greatest of
//! N values is not nothing: it is more than x/N of the distribution in (1 + x) exp(-x) of all
//! references. A large window shows that share, and its index is about x ln(2x) / N. That is little
//! for a thousand values, and with 100 of them up to 0.7 % of windows passed the quantile for 64
//! features. Adding [`OUTSIDE_WEIGHT`] times ln(features / [`FALSE_ALARMS`]) / N makes up for it:
//! integrated over x, with 1 to 63 other degrees of freedom and 1 to 1,024 features, 0.07 % are
//! left at most.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// At most this share of windows without drift has any feature above its noise floor.
pub const FALSE_ALARMS: f64 = 1e-3;

/// How much smaller the probability is that the quantile is taken at.
const MARGIN: f64 = 10.0;

/// How much is added for the bin that is empty in the reference.
const OUTSIDE_WEIGHT: f64 = 2.0;

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
    let features = features.max(1) as f64;
    let [n, m] = [reference_values as f64, window_values as f64];
    let chance =
        (1.0 / n + 1.0 / m) * distribution.inverse_cdf(1.0 - FALSE_ALARMS / MARGIN / features);
    Some(chance + OUTSIDE_WEIGHT * (features / FALSE_ALARMS).ln() / n)
}
