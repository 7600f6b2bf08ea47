//! The drift of a version, for a person who has to do something about it (`docs/drift.md`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drift::statistic::{scored_bins, scored_categories};
use crate::drift::{
    Basis, Categorical, FeatureReport, Monitor, Numeric, Scores, Values, WindowLength, WindowReport,
};
use crate::model::VersionId;

/// The window that is shown where none is asked for: the longest of up to an hour.
const USUAL: Duration = Duration::from_hours(1);

/// Why there is nothing to say, in a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The question makes no sense.
    Question(String),
    /// What it is about is not there.
    Absent(String),
}

impl Refused {
    fn absent(sentence: &str) -> Self {
        Self::Absent(sentence.to_owned())
    }
}

impl From<String> for Refused {
    fn from(sentence: String) -> Self {
        Self::Question(sentence)
    }
}

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) window: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// The query of an address, without its `?`.
    ///
    /// # Errors
    /// A sentence, when it holds anything else.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("window", window)) => query.window = Some(window),
                Some(("version", version)) => query.version = Some(version),
                _ => return Err("The query takes `window` and `version`.".to_owned()),
            }
        }
        Ok(query)
    }
}

/// What there is to say about one of these versions, all of one model: the one that is asked for,
/// else the one that serves.
///
/// # Errors
/// When there is no such version or window.
pub(super) fn report(
    monitors: &[Arc<Monitor>],
    serving: Option<VersionId>,
    query: &Query<'_>,
    now: Duration,
) -> Result<Value, Refused> {
    let version = match query.version {
        None => serving.ok_or_else(|| Refused::absent("The model has no version that serves."))?,
        Some(text) => {
            text.parse().map(VersionId).map_err(|_| "A version is a number.".to_owned())?
        }
    };
    let monitor = monitors.iter().find(|monitor| monitor.id().version == version);
    let monitor = monitor.ok_or_else(|| Refused::absent("That version is not in memory."))?;
    let window = window(&monitor.options().windows, query.window)?;
    let mut json = json!({
        "model": monitor.id().name.as_str(),
        "version": version.0,
        "reference": basis(&monitor.basis()),
        "rows_min": monitor.options().rows_min,
        "rows_counted": monitor.rows(),
        "rows_dropped": monitor.tap().map_or(0, |tap| tap.busy() + tap.shapeless()),
        "window": window.to_string(),
    });
    let reports = monitor.windows(now);
    if let Some(report) = reports.iter().find(|report| report.length == window) {
        tell(report, &mut json);
    }
    Ok(json)
}

fn window(windows: &[WindowLength], asked: Option<&str>) -> Result<WindowLength, String> {
    let Some(asked) = asked else {
        let usual = windows.iter().rev().find(|window| window.duration() <= USUAL);
        return usual.or(windows.first()).copied().ok_or("There are no windows.".to_owned());
    };
    windows.iter().find(|window| window.to_string() == asked).copied().ok_or_else(|| {
        let known: Vec<_> = windows.iter().map(WindowLength::to_string).collect();
        format!("The windows are {}.", known.join(", "))
    })
}

fn basis(basis: &Basis) -> Value {
    match basis {
        Basis::Reference { origin, digest, rows } => {
            json!({"source": origin.name(), "digest": digest, "rows": rows})
        }
        Basis::None(why) => json!({"source": "none", "reason": why.name()}),
    }
}

/// Features with the highest index first.
fn tell(report: &WindowReport, json: &mut Value) {
    json["rows"] = json!(report.rows);
    json["drifted_ratio"] = json!(report.drifted_ratio());
    let mut features: Vec<_> = report.features.iter().collect();
    let index = |one: &FeatureReport| one.scores.psi.unwrap_or(-1.0);
    features.sort_by(|a, b| index(b).total_cmp(&index(a)));
    json["features"] = features.into_iter().map(feature).collect();
}

fn feature(one: &FeatureReport) -> Value {
    let FeatureReport { kind, feature, seen, scores } = one;
    let Scores { psi, js, ks, wasserstein, chi2, chi2_p, linf, tvd, .. } = scores;
    let (is, reference) = match &feature.values {
        Values::Numeric(Numeric { mean, std, edges, .. }) => {
            let range = edges.first().zip(edges.last()).map(|(least, most)| [least, most]);
            ("numeric", json!({"mean": mean, "std": std, "range": range}))
        }
        Values::Categorical(_) => ("categorical", json!({})),
    };
    let mut json = json!({
        "name": feature.name,
        "kind": kind.name(),
        "type": is,
        "drifted": scores.is_drifted,
        "psi": psi,
        "noise_floor": scores.noise_floor,
        "js": js,
        "values": seen.values(),
        "null_ratio": scores.null_ratio,
        "reference": reference,
        "bins": bins(one),
    });
    let nulls = feature.nulls + feature.known();
    json["reference"]["null_ratio"] =
        json!((nulls > 0).then(|| feature.nulls as f64 / nulls as f64));
    let more = match &feature.values {
        Values::Numeric(_) => json!({
            "ks": ks,
            "wasserstein": wasserstein,
            "mean_shift": scores.mean_shift,
            "out_of_range_ratio": scores.out_of_range_ratio,
        }),
        Values::Categorical(_) => json!({
            "chi2": chi2,
            "chi2_p": chi2_p,
            "linf": linf,
            "tvd": tvd,
            "unseen_category_ratio": scores.unseen_ratio,
        }),
    };
    if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
        json.extend(more);
    }
    json
}

/// The scoring bins, as shares of both sides.
fn bins(FeatureReport { feature, seen, .. }: &FeatureReport) -> Vec<Value> {
    let bins = scored_bins(feature, seen);
    let all = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
    let (reference, window) = (all(&bins.reference), all(&bins.window));
    let pairs = bins.reference.iter().zip(&bins.window).enumerate();
    pairs
        .map(|(at, (of_reference, of_window))| {
            let mut bin = json!({
                "reference": *of_reference as f64 / reference,
                "window": *of_window as f64 / window,
            });
            match &feature.values {
                Values::Numeric(numeric) => place(&mut bin, numeric, at),
                Values::Categorical(categorical) => bin["category"] = category(categorical, at),
            }
            bin
        })
        .collect()
}

/// Both ends of a bin; the greatest one is in the bin. The bin after those is what lies outside.
fn place(bin: &mut Value, Numeric { edges, bins, .. }: &Numeric, at: usize) {
    match bins.get(at..=at + 1) {
        Some([from, below]) => {
            bin["from"] = json!(edges[*from]);
            bin["below"] = json!(edges[*below]);
        }
        _ => bin["outside"] = json!(true),
    }
}

/// The text of a category of the reference; `null` for all others.
fn category(categorical: &Categorical, at: usize) -> Value {
    let is_own = at < scored_categories(categorical);
    let own = categorical.categories.get(at).filter(|_| is_own);
    json!(own.map(|(text, _)| text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Feature, FeatureKind, Part, Seen};

    #[test]
    fn a_query_asks_for_a_window_and_a_version_or_is_refused() {
        assert_eq!(Query::parse(""), Ok(Query::default()));
        let both = Query { window: Some("1h"), version: Some("2") };
        assert_eq!(Query::parse("window=1h&version=2"), Ok(both));
        for bad in ["windows=1h", "window", "x=1&window=1h"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_bin_is_that_of_all_other_values() {
        let report = |values, cells: &[u64], above| {
            let [name, tensor] = ["f", "x"].map(str::to_owned);
            let part = Part::Element(0);
            let feature = Arc::new(Feature { name, tensor, width: 1, part, nulls: 0, values });
            let seen = Seen { cells: cells.to_vec(), above, ..Seen::default() };
            let (kind, scores) = (FeatureKind::Input, Scores::default());
            bins(&FeatureReport { kind, feature, seen, scores })
        };
        let (edges, counts) = (vec![0.0, 0.5, 1.0, 1.0], vec![4, 2, 2]);
        let numeric = Numeric { mean: None, std: None, edges, counts, bins: vec![0, 2, 3] };
        assert_eq!(
            report(Values::Numeric(numeric), &[1, 0, 1], 2),
            [
                json!({"reference": 0.75, "window": 0.25, "from": 0.0, "below": 1.0}),
                json!({"reference": 0.25, "window": 0.25, "from": 1.0, "below": 1.0}),
                json!({"reference": 0.0, "window": 0.5, "outside": true}),
            ]
        );
        let categories = vec![("a".to_owned(), 6), ("b".to_owned(), 2)];
        let categorical = Categorical { categories, other: 0 };
        assert_eq!(
            report(Values::Categorical(categorical), &[3, 1, 0], 0),
            [
                json!({"reference": 0.75, "window": 0.75, "category": "a"}),
                json!({"reference": 0.25, "window": 0.25, "category": null}),
            ]
        );
    }

    #[test]
    fn the_usual_window_is_the_longest_of_up_to_an_hour() {
        let windows = WindowLength::usual();
        assert_eq!(window(&windows, None).unwrap().to_string(), "1h");
        assert_eq!(window(&windows[2..], None).unwrap().to_string(), "24h");
        assert_eq!(window(&windows, Some("5m")).unwrap(), windows[0]);
        assert_eq!(window(&windows, Some("2h")).unwrap_err(), "The windows are 5m, 1h, 24h.");
    }
}
