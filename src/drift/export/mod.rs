//! Drift for whoever scrapes.

use std::time::Duration;

use crate::telemetry::{Family, Metric, names};

use super::statistic::{PSEUDO_COUNT, scored_bins, scored_categories};
use super::{
    Basis, Feature, FeatureKind, FeatureReport, Monitor, Scores, Seen, Values, WindowReport,
};

/// Which metrics [`families`] has.
pub const METRICS: [&Metric; 12] = [
    &names::DRIFT_SCORE,
    &names::DRIFT_NOISE_FLOOR,
    &names::DRIFT_WINDOW_ROWS,
    &names::DRIFT_NULL_RATIO,
    &names::DRIFT_OUT_OF_RANGE_RATIO,
    &names::DRIFT_UNSEEN_RATIO,
    &names::DRIFT_DRIFTED_RATIO,
    &names::DRIFT_REFERENCE_INFO,
    &names::DRIFT_ROWS,
    &names::DRIFT_ROWS_DROPPED,
    &names::DRIFT_BINS,
    &names::DRIFT_REFERENCE_BINS,
];

/// The families of [`METRICS`], in that order.
struct Families([Family; METRICS.len()]);

/// Hex digits of a digest that tell references apart.
const DIGEST_DIGITS: usize = 12;

/// What all monitors have to say at this moment.
#[must_use]
pub fn families<'a>(monitors: impl Iterator<Item = &'a Monitor>, now: Duration) -> Vec<Family> {
    let mut families = Families(METRICS.map(Family::new));
    for monitor in monitors {
        families.push(monitor, now);
    }
    families.0.into()
}

impl Families {
    fn push(&mut self, monitor: &Monitor, now: Duration) {
        let (model, version) = (monitor.id().name.as_str(), monitor.id().version.to_string());
        let id = [model, &version];
        self.push_basis(id, &monitor.basis());
        let Some(tap) = monitor.tap() else { return };
        let [.., rows, dropped, _, _] = &mut self.0;
        rows.push(&id, monitor.rows() as f64);
        for (reason, count) in [("busy", tap.busy()), ("shape", tap.shapeless())] {
            dropped.push(&[model, &version, reason], count as f64);
        }
        for window in monitor.windows(now) {
            self.push_window(id, &window, monitor.options().features_exported_max);
        }
        monitor.bins(|kind, feature, seen| self.push_bins(id, kind, feature, seen));
    }

    fn push_basis(&mut self, [model, version]: [&str; 2], basis: &Basis) {
        let (source, digest, rows, reason) = match basis {
            Basis::Reference { origin, digest, rows } => {
                let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
                let short = hex.get(..DIGEST_DIGITS).unwrap_or(hex);
                (origin.name(), short, *rows, "")
            }
            Basis::None(why) => ("none", "", 0, why.name()),
        };
        let [_, _, _, _, _, _, _, info, ..] = &mut self.0;
        info.push(&[model, version, source, digest, &rows.to_string(), reason], 1.0);
    }

    fn push_window(&mut self, id: [&str; 2], window: &WindowReport, features_max: usize) {
        let length = window.length.to_string();
        let [model, version] = id;
        let [_, _, rows, _, _, _, drifted, ..] = &mut self.0;
        rows.push(&[model, version, &length], window.rows as f64);
        if let Some(ratio) = window.drifted_ratio() {
            drifted.push(&[model, version, &length], ratio);
        }
        for one in worst(&window.features, features_max) {
            self.push_feature(id, one, &length);
        }
    }

    fn push_feature(
        &mut self,
        [model, version]: [&str; 2],
        FeatureReport { kind, feature, scores, .. }: &FeatureReport,
        window: &str,
    ) {
        let (name, kind) = (feature.name.as_str(), kind.name());
        let Scores { psi, js, ks, wasserstein, chi2, linf, .. } = scores;
        let [score, floor, _, nulls, out_of_range, unseen, ..] = &mut self.0;
        for (stat, value) in [
            ("psi", psi),
            ("js", js),
            ("ks", ks),
            ("wasserstein", wasserstein),
            ("chi2", chi2),
            ("linf", linf),
        ] {
            if let Some(value) = value {
                score.push(&[model, version, name, kind, stat, window], *value);
            }
        }
        for (family, value) in [
            (floor, scores.noise_floor),
            (nulls, scores.null_ratio),
            (out_of_range, scores.out_of_range_ratio),
            (unseen, scores.unseen_ratio),
        ] {
            if let Some(value) = value {
                family.push(&[model, version, name, kind, window], value);
            }
        }
    }

    fn push_bins(
        &mut self,
        [model, version]: [&str; 2],
        kind: FeatureKind,
        feature: &Feature,
        seen: &Seen,
    ) {
        let [.., counts, shares] = &mut self.0;
        let bins = scored_bins(feature, seen);
        let all = bins.reference.iter().sum::<u64>() as f64;
        let all = all + PSEUDO_COUNT * bins.reference.len() as f64;
        for (at, (reference, window)) in bins.reference.iter().zip(&bins.window).enumerate() {
            let bin = bin_name(feature, at);
            let labels = [model, version, feature.name.as_str(), kind.name(), &bin];
            counts.push(&labels, *window as f64);
            shares.push(&labels, (*reference as f64 + PSEUDO_COUNT) / all);
        }
        let labels = [model, version, feature.name.as_str(), kind.name(), "null"];
        counts.push(&labels, seen.nulls as f64);
    }
}

/// The features of the highest index, if not all may be told: those without one come last.
fn worst(features: &[FeatureReport], features_max: usize) -> Vec<&FeatureReport> {
    let mut kept: Vec<_> = features.iter().collect();
    if kept.len() > features_max {
        let index = |one: &FeatureReport| one.scores.psi.unwrap_or(-1.0);
        kept.sort_by(|a, b| index(b).total_cmp(&index(a)));
        kept.truncate(features_max);
    }
    kept
}

/// What the bin of that place is called: never by the text of a category. The last one is that of
/// all other values.
fn bin_name(feature: &Feature, at: usize) -> String {
    match &feature.values {
        Values::Numeric(numeric) if at + 1 < numeric.bins.len() => format!("b{at:02}"),
        Values::Numeric(_) => "outside".to_owned(),
        Values::Categorical(categorical) if at < scored_categories(categorical) => {
            format!("c{at:02}")
        }
        Values::Categorical(_) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests;
