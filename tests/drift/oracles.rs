//! Every statistic beside the oracles' values, which `tests/fixtures/drift/record.py` recorded.

use std::fs;
use std::path::Path;

use flowgate::drift::statistic::{bins, grid, noise_floor, scored_bins};
use flowgate::drift::{Categorical, Feature, Numeric, Scores, Scoring, Seen, Values, score};
use serde_json::Value;

use crate::profile;

/// Where both sides compute the same from the same counts.
const EXACT: f64 = 1e-12;
/// Where sums of many values were rounded in another order.
const ROUNDED: f64 = 1e-9;

fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/drift/cases.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|item| item.as_f64().unwrap()).collect()
}

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|item| item.as_u64().unwrap()).collect()
}

fn feature(value: &Value) -> Feature {
    let values = if value["kind"] == "numeric" {
        Values::Numeric(Numeric {
            mean: value["mean"].as_f64(),
            std: value["std"].as_f64(),
            edges: floats(&value["edges"]),
            counts: counts(&value["counts"]),
            bins: counts(&value["bins"]).into_iter().map(|index| index as usize).collect(),
        })
    } else {
        let pair = |item: &Value| (item[0].as_str().unwrap().to_owned(), item[1].as_u64().unwrap());
        Values::Categorical(Categorical {
            categories: value["categories"].as_array().unwrap().iter().map(pair).collect(),
            other: value["other"].as_u64().unwrap(),
        })
    };
    profile::feature(value["name"].as_str().unwrap(), value["nulls"].as_u64().unwrap(), values)
}

fn seen(window: &Value) -> Seen {
    let count = |name: &str| window[name].as_u64().unwrap_or(0);
    let sum = |name: &str| window[name].as_f64().unwrap_or(0.0);
    Seen {
        cells: counts(&window["cells"]),
        below: count("below"),
        above: count("above"),
        nulls: count("nulls"),
        sum: sum("sum"),
        below_excess: sum("below_excess"),
        above_excess: sum("above_excess"),
    }
}

/// One window of the recording, and where it is.
struct Case {
    title: String,
    feature: Feature,
    seen: Seen,
    window: Value,
}

fn cases() -> Vec<Case> {
    let recorded = recorded();
    let features = recorded["features"].as_array().unwrap();
    let cases: Vec<Case> = features
        .iter()
        .flat_map(|item| item["windows"].as_object().unwrap().iter().map(move |one| (item, one)))
        .map(|(item, (title, window))| Case {
            title: format!("{}, {title}", item["feature"]["name"].as_str().unwrap()),
            feature: feature(&item["feature"]),
            seen: seen(window),
            window: window.clone(),
        })
        .collect();
    assert!(cases.len() > 100, "the recording is whole");
    cases
}

impl Case {
    fn oracle(&self, name: &str) -> Option<f64> {
        self.window["oracle"][name].as_f64()
    }

    fn scores(&self, features: usize) -> Scores {
        score(&self.feature, &self.seen, &Scoring { values_min: 1, ..Scoring::usual(features) })
    }

    /// How far what we found is from the oracle's; both or none are told.
    fn distance(&self, name: &str, found: Option<f64>) -> f64 {
        match (self.oracle(name), found) {
            (Some(wanted), Some(found)) => (wanted - found).abs() / wanted.abs().max(1.0),
            (None, None) => 0.0,
            other => panic!("{}: {name}: {other:?}", self.title),
        }
    }

    fn check(&self, name: &str, found: Option<f64>, tolerance: f64) {
        let distance = self.distance(name, found);
        let [title, wanted] = [&self.title, &format!("{:?}", self.oracle(name))];
        assert!(distance <= tolerance, "{title}: {name}: {wanted}, {found:?}: {distance:e}");
    }
}

#[test]
fn shares_of_bins_are_what_scipy_nannyml_and_evidently_say() {
    for case in cases() {
        let scores = case.scores(1);
        case.check("psi", scores.psi, EXACT);
        // Of equal counts scipy leaves the root of what was rounded.
        let js_tolerance = if scores.js == Some(0.0) { 3e-8 } else { EXACT };
        case.check("js", scores.js, js_tolerance);
        case.check("linf", scores.linf, EXACT);
        case.check("tvd", scores.tvd, EXACT);
        case.check("chi2", scores.chi2, EXACT);
        case.check("chi2_p", scores.chi2_p, ROUNDED);
        case.check("null_ratio", scores.null_ratio, EXACT);
        case.check("out_of_range_ratio", scores.out_of_range_ratio, EXACT);
        case.check("unseen_ratio", scores.unseen_ratio, EXACT);
        if let Some(wanted) = case.oracle("psi_evidently") {
            let bins = scored_bins(&case.feature, &case.seen);
            let found = bins::psi(&bins.reference, &bins.window, 0.0).unwrap();
            assert!((found - wanted).abs() <= EXACT, "{}: {found} {wanted}", case.title);
        }
    }
}

#[test]
fn evidently_takes_the_reference_for_certain() {
    for case in cases().iter().filter(|case| case.oracle("chi2_p_evidently").is_some()) {
        let bins = scored_bins(&case.feature, &case.seen);
        let certain: Vec<u64> = bins.reference.iter().map(|count| count << 40).collect();
        let found = bins::chi_squared(&certain, &bins.window).map(|test| test.p_value);
        case.check("chi2_p_evidently", found, ROUNDED);
    }
}

#[test]
fn the_noise_floor_is_a_quantile_of_chi_squared() {
    for case in cases() {
        let wanted = floats(&case.window["oracle"]["noise_floor"]);
        for (features, wanted) in [1, 11].into_iter().zip(wanted) {
            let found = case.scores(features).noise_floor.unwrap();
            let distance = (found - wanted).abs();
            assert!(distance <= 1e-9 * wanted.max(1.0), "{}: {found} {wanted}", case.title);
        }
    }
    // 1/N is nothing, and 1/M is 1.
    for quantile in recorded()["chi2_quantiles"].as_array().unwrap() {
        let [probability, degrees, wanted] = floats(quantile)[..] else { panic!("three numbers") };
        let features = (1e-4 / (1.0 - probability)).round() as usize;
        if features > 0 {
            let found = noise_floor(u64::MAX, 1, degrees as usize + 1, features).unwrap();
            assert!((found / wanted - 1.0).abs() <= 1e-9, "{quantile}: {found}");
        }
    }
}

#[test]
fn distances_on_the_grid_are_near_those_of_the_raw_values() {
    let mut worst = [0.0_f64; 2];
    for case in cases() {
        let Values::Numeric(numeric) = &case.feature.values else { continue };
        let scores = case.scores(1);
        let [ks, wanted] = [scores.ks.unwrap(), case.oracle("ks").unwrap()];
        let total: u64 = numeric.counts.iter().sum();
        let fullest = *numeric.counts.iter().max().unwrap() as f64 / total as f64;
        assert!(ks <= wanted + EXACT && wanted - ks <= fullest + EXACT, "{}", case.title);
        case.check("mean_shift", scores.mean_shift, ROUNDED);
        let std = numeric.std.unwrap();
        let bound = grid::wasserstein_error(numeric, &case.seen) / std;
        let apart = case.distance("wasserstein", scores.wasserstein);
        assert!(apart <= bound + ROUNDED || std == 0.0, "{}: {apart} > {bound}", case.title);
        worst[0] = worst[0].max(wanted - ks);
        worst[1] = worst[1].max(apart);
        println!("{}: ks {:.5} of {wanted:.5}, wasserstein off by {apart:.5}", case.title, ks);
    }
    println!(
        "largest error: ks {:.5}, wasserstein {:.5} (std, relative above 1)",
        worst[0], worst[1]
    );
}

#[test]
fn raw_values_are_counted_as_numpy_counts_them() {
    let mut counted = 0;
    for case in cases() {
        let Some(values) = case.window["values"].as_array() else { continue };
        let values: Vec<f64> = values.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect();
        let found = profile::numbers(&case.feature, &values);
        assert_eq!((&found.cells, found.nulls), (&case.seen.cells, case.seen.nulls));
        assert_eq!((found.below, found.above), (case.seen.below, case.seen.above));
        let near = |a: f64, b: f64| (a - b).abs() <= ROUNDED * b.abs().max(1.0);
        assert!(near(found.sum, case.seen.sum), "{}", case.title);
        assert!(near(found.below_excess, case.seen.below_excess), "{}", case.title);
        assert!(near(found.above_excess, case.seen.above_excess), "{}", case.title);
        counted += 1;
    }
    assert!(counted >= 10, "the recording has raw values");
}

#[test]
fn figures_that_evidently_publishes_are_ours() {
    let published = &recorded()["published"];
    let [reference, window] = [counts(&published["reference"]), counts(&published["window"])];
    let near = |found: Option<f64>, wanted: f64| {
        let found = found.unwrap();
        assert!((found - wanted).abs() < 5e-11, "{found} is not {wanted}");
    };
    near(bins::psi(&reference, &window, 0.0), 0.037_218_381_6);
    near(bins::jensen_shannon(&reference, &window), 0.081_734_213_3);
    near(bins::l_infinity(&reference, &window), 0.045_454_545_5);
    near(bins::total_variation(&reference, &window), 0.068_181_818_2);
    let certain: Vec<u64> = reference.iter().map(|count| count << 40).collect();
    let test = bins::chi_squared(&certain, &window).unwrap();
    assert!((test.statistic - 3.174_603).abs() < 1e-6 && (test.p_value - 0.673_088).abs() < 1e-6);
    let sample = bins::chi_squared(&reference, &window).unwrap();
    near(Some(sample.p_value), published["chi2_p"].as_f64().unwrap());
}
