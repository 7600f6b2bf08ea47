//! What there is to say about a window.

use std::sync::Arc;

use super::{Feature, Scores, Seen, WindowLength};

/// On which side of the model a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureKind {
    Input,
    Output,
}

impl FeatureKind {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A feature in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureReport {
    pub kind: FeatureKind,
    pub feature: Arc<Feature>,
    pub seen: Seen,
    pub scores: Scores,
}

/// A window at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowReport {
    pub length: WindowLength,
    pub rows: u64,
    /// Inputs first, in the order of the reference.
    pub features: Vec<FeatureReport>,
}

impl WindowReport {
    /// Share of the features that are drifted, of those that have scores; `None` where none has.
    #[must_use]
    pub fn drifted_ratio(&self) -> Option<f64> {
        let scored = self.features.iter().filter(|one| one.scores.psi.is_some());
        let (all, drifted) = scored.fold((0_u32, 0_u32), |(all, drifted), one| {
            (all + 1, drifted + u32::from(one.scores.is_drifted))
        });
        (all > 0).then(|| f64::from(drifted) / f64::from(all))
    }
}
