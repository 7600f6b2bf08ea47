//! What is watched, and how much of it is told.

use super::WindowLength;

/// How drift is watched. There are no defaults here: `config` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftOptions {
    pub is_on: bool,
    /// Ascending.
    pub windows: Vec<WindowLength>,
    /// A window of fewer values has no scores.
    pub rows_min: u64,
    /// Features of the inputs that are watched, and of the outputs.
    pub features_max: usize,
    /// Features with series of their own, in each window.
    pub features_exported_max: usize,
    /// Whether values are told by scoring bin.
    pub has_bins: bool,
    /// A version without a reference learns one from so many of its first rows.
    pub live_rows: Option<usize>,
}
