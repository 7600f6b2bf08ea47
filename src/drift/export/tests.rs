use std::sync::Arc;

use super::*;
use crate::drift::{
    Categorical, DriftOptions, NoReference, Numeric, Origin, Part, Reference, WindowLength,
};
use crate::model::{GraphInput, GraphIo, ModelId, ModelName, VersionId};
use crate::telemetry::Exposition;
use crate::tensor::{DType, Dims, Tensor};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn id() -> ModelId {
    ModelId { name: ModelName::new("m").unwrap(), version: VersionId(1) }
}

fn options() -> DriftOptions {
    DriftOptions {
        is_on: true,
        windows: WindowLength::usual().into(),
        rows_min: 6,
        features_max: 64,
        features_exported_max: usize::MAX,
        has_bins: true,
        live_rows: None,
    }
}

fn feature(name: &str, width: usize, index: usize, values: Values) -> Feature {
    let (name, tensor) = (name.to_owned(), if width > 1 { "x" } else { name }.to_owned());
    Feature { name, tensor, width, part: Part::Element(index), nulls: 0, values }
}

/// Of 800 rows: 600 in [0, 1), 200 in [1, 2].
fn numeric() -> Values {
    Values::Numeric(Numeric {
        mean: Some(0.75),
        std: Some(0.5),
        edges: vec![0.0, 1.0, 2.0],
        counts: vec![600, 200],
        bins: vec![0, 1, 2],
    })
}

fn watching(inputs: Vec<Feature>, options: DriftOptions) -> Arc<Monitor> {
    let mut names: Vec<_> = inputs.iter().map(|one| one.tensor.clone()).collect();
    names.dedup();
    let input = |name| GraphInput { name, dtype: DType::F32, dims: Dims(Vec::new()) };
    let io = GraphIo { inputs: names.into_iter().map(input).collect(), outputs: Vec::new() };
    let reference = Reference { signature: None, rows: 800, inputs, outputs: Vec::new() };
    Arc::new(Monitor::watching(id(), options, &io, reference, (Origin::Model, DIGEST.to_owned())))
}

/// A number and a text of each row.
fn two_features() -> Arc<Monitor> {
    let categories = [("a", 796), ("b", 4)].map(|(text, count)| (text.to_owned(), count));
    let plan = Values::Categorical(Categorical { categories: categories.into(), other: 0 });
    let inputs = vec![feature("age", 1, 0, numeric()), feature("plan", 1, 0, plan)];
    watching(inputs, options())
}

fn numbers(values: &[f32]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec()).unwrap()
}

fn serve(monitor: &Monitor, feeds: &[Tensor], now: Duration) {
    monitor.tap().unwrap().sample(feeds).unwrap().add(&[]);
    monitor.count(now);
}

/// The lines of a metric, without its name, in the order of their labels.
fn lines(monitors: &[Arc<Monitor>], now: Duration, metric: &Metric) -> Vec<String> {
    let exposition = Exposition::default();
    let monitors = monitors.to_vec();
    exposition.add_reading(&METRICS, move || families(monitors.iter().map(|one| &**one), now));
    let text = exposition.text();
    let own = text.lines().filter_map(|line| line.strip_prefix(metric.name));
    own.filter(|line| line.starts_with('{')).map(str::to_owned).collect()
}

fn line(labels: &str, value: f64) -> String {
    format!("{{{labels}}} {value}")
}

fn bin(feature: &str, bin: &str, value: f64) -> String {
    let labels = format!(r#"bin="{bin}",feature="{feature}",kind="input",model="m",version="1""#);
    line(&labels, value)
}

fn in_window(feature: &str, window: &str, value: f64) -> String {
    let labels =
        format!(r#"feature="{feature}",kind="input",model="m",version="1",window="{window}""#);
    line(&labels, value)
}

#[test]
fn every_bin_is_there_from_the_first_scrape_on() {
    let monitor = two_features();
    let text = |texts: &[&str]| {
        Tensor::from_vec(&[texts.len()], texts.iter().map(ToString::to_string).collect()).unwrap()
    };
    let names = [("age", "b00"), ("age", "b01"), ("age", "null"), ("age", "outside")]
        .into_iter()
        .chain([("plan", "c00"), ("plan", "null"), ("plan", "other")]);
    let bins = |counts: [f64; 7]| -> Vec<String> {
        let mut lines: Vec<_> =
            names.clone().zip(counts).map(|((feature, name), n)| bin(feature, name, n)).collect();
        lines.sort();
        lines
    };
    let found = |metric| lines(&[Arc::clone(&monitor)], Duration::ZERO, metric);
    assert_eq!(found(&names::DRIFT_BINS), bins([0.0; 7]));
    serve(
        &monitor,
        &[
            numbers(&[0.0, 0.5, 1.5, 2.0, 2.5, -1.0, f32::NAN]),
            text(&["a", "a", "a", "b", "c", "", "a"]),
        ],
        Duration::ZERO,
    );
    assert_eq!(found(&names::DRIFT_BINS), bins([2.0, 2.0, 1.0, 2.0, 4.0, 0.0, 3.0]));
    // Four rows are too few for a bin of their own.
    let shares = [
        bin("age", "b00", 600.5 / 801.5),
        bin("age", "b01", 200.5 / 801.5),
        bin("plan", "c00", 796.5 / 801.0),
        bin("plan", "other", 4.5 / 801.0),
        bin("age", "outside", 0.5 / 801.5),
    ];
    assert_eq!(found(&names::DRIFT_REFERENCE_BINS), shares);
}

#[test]
fn windows_are_told_as_they_are_and_scored_from_enough_values_on() {
    let monitor = two_features();
    let found = |now, metric| lines(&[Arc::clone(&monitor)], now, metric);
    let texts = vec!["a".to_owned(), "a".to_owned(), "c".to_owned()];
    let feeds = [numbers(&[0.5, 3.0, f32::NAN]), Tensor::from_vec(&[3], texts).unwrap()];
    serve(&monitor, &feeds, Duration::ZERO);
    let now = Duration::ZERO;
    let rows = |window, rows| line(&format!(r#"model="m",version="1",window="{window}""#), rows);
    let each = |row: fn(&str, f64) -> String, value| ["1h", "24h", "5m"].map(|w| row(w, value));
    assert_eq!(found(now, &names::DRIFT_WINDOW_ROWS), ["1h", "24h", "5m"].map(|w| rows(w, 3.0)));
    assert_eq!(
        found(now, &names::DRIFT_OUT_OF_RANGE_RATIO),
        each(|window, value| in_window("age", window, value), 0.5)
    );
    assert_eq!(
        found(now, &names::DRIFT_UNSEEN_RATIO),
        each(|window, value| in_window("plan", window, value), 1.0 / 3.0)
    );
    let nulls = found(now, &names::DRIFT_NULL_RATIO);
    assert_eq!(nulls[..3], each(|window, value| in_window("age", window, value), 1.0 / 3.0));
    assert_eq!(nulls[3..], each(|window, value| in_window("plan", window, value), 0.0));
    for metric in [&names::DRIFT_SCORE, &names::DRIFT_NOISE_FLOOR, &names::DRIFT_DRIFTED_RATIO] {
        assert_eq!(found(now, metric), Vec::<String>::new(), "3 rows are fewer than 6");
    }

    // An hour later the last five minutes have other rows than the day.
    let now = Duration::from_hours(1);
    serve(&monitor, &feeds, now);
    assert_eq!(
        found(now, &names::DRIFT_WINDOW_ROWS),
        [rows("1h", 3.0), rows("24h", 6.0), rows("5m", 3.0)]
    );
    let scores = found(now, &names::DRIFT_SCORE);
    let stat = |line: &String| line.split('"').nth(7).unwrap().to_owned();
    // Of the number 4 values are not null, so only the text has enough.
    assert_eq!(scores.iter().map(stat).collect::<Vec<_>>(), ["chi2", "js", "linf", "psi"]);
    let term = |p: f64, q: f64| (p - q) * (p / q).ln();
    let psi = term(796.5 / 801.0, 4.5 / 7.0) + term(4.5 / 801.0, 2.5 / 7.0);
    let labels = r#"feature="plan",kind="input",model="m",stat="psi",version="1",window="24h""#;
    assert_eq!(scores[3], line(labels, psi));
    let drifted = line(r#"model="m",version="1",window="24h""#, 0.0);
    assert_eq!(found(now, &names::DRIFT_DRIFTED_RATIO), [drifted]);
    assert_eq!(found(now, &names::DRIFT_ROWS), [line(r#"model="m",version="1""#, 6.0)]);
    monitor.tap().unwrap().note_shapeless(2);
    let dropped = |reason, rows| line(&format!(r#"model="m",reason="{reason}",version="1""#), rows);
    let wanted = [dropped("busy", 0.0), dropped("shape", 2.0)];
    assert_eq!(found(now, &names::DRIFT_ROWS_DROPPED), wanted);
}

#[test]
fn where_a_reference_is_from_or_why_there_is_none_is_told() {
    let info = |monitor| lines(&[Arc::new(monitor)], Duration::ZERO, &names::DRIFT_REFERENCE_INFO);
    let told = |digest: &str, reason: &str, rows: u64, source: &str| {
        let reference = format!(r#"digest="{digest}",model="m",reason="{reason}",rows="{rows}""#);
        [line(&format!(r#"{reference},source="{source}",version="1""#), 1.0)]
    };
    for (why, reason) in [
        (NoReference::Absent, "absent"),
        (NoReference::Unreadable, "unreadable"),
        (NoReference::Malformed, "malformed"),
        (NoReference::TooLarge, "too_large"),
        (NoReference::Mismatch, "mismatch"),
        (NoReference::Learning, "learning"),
        (NoReference::Off, "off"),
    ] {
        assert_eq!(info(Monitor::idle(id(), options(), why)), told("", reason, 0, "none"));
    }
    for (origin, source) in [(Origin::Model, "model"), (Origin::Run, "run"), (Origin::Live, "live")]
    {
        let reference =
            Reference { signature: None, rows: 8, inputs: Vec::new(), outputs: Vec::new() };
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        let digest = if origin == Origin::Live { "" } else { DIGEST };
        let monitor =
            Monitor::watching(id(), options(), &io, reference, (origin, digest.to_owned()));
        let digest = if origin == Origin::Live { "" } else { "0123456789ab" };
        assert_eq!(info(monitor), told(digest, "", 8, source));
    }
}

#[test]
fn where_not_all_features_may_be_told_it_is_the_worst() {
    let columns = ["near", "far", "nearer"];
    let inputs = columns.iter().enumerate().map(|(at, name)| feature(name, 3, at, numeric()));
    let windows = WindowLength::usual()[..1].to_vec();
    let monitor = |features_exported_max| {
        let options = DriftOptions { windows: windows.clone(), features_exported_max, ..options() };
        let monitor = watching(inputs.clone().collect(), options);
        let rows: Vec<f32> = (0..8).flat_map(|i| [(i % 4) as f32 * 0.5, 9.0, 0.5]).collect();
        let feeds = [Tensor::from_vec(&[8, 3], rows).unwrap()];
        serve(&monitor, &feeds, Duration::ZERO);
        monitor
    };
    let names = |features_max| -> Vec<String> {
        let found = lines(&[monitor(features_max)], Duration::ZERO, &names::DRIFT_NOISE_FLOOR);
        found.iter().map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(names(usize::MAX), ["far", "near", "nearer"]);
    assert_eq!(names(1), ["far"]);
    // What is told of the whole is about all of them, and so are the bins.
    let found = |metric| lines(&[monitor(1)], Duration::ZERO, metric);
    let ratio = line(r#"model="m",version="1",window="5m""#, 1.0 / 3.0);
    assert_eq!(found(&names::DRIFT_DRIFTED_RATIO), [ratio]);
    assert_eq!(found(&names::DRIFT_BINS).len(), 3 * 4);
}

/// A column of numbers with as many cells and bins as there may be.
fn whole_grid(index: usize, width: usize) -> Feature {
    let edges: Vec<f64> = (0..=250).map(f64::from).collect();
    let bins = (0..=10).map(|bin| bin * 25).collect();
    let counts = vec![8; 250];
    let values =
        Values::Numeric(Numeric { mean: Some(125.0), std: Some(72.0), edges, counts, bins });
    feature(&format!("f{index}"), width, index, values)
}

/// 50 columns, watched with the default windows while rows came for a day and an hour.
fn fifty(has_bins: bool) -> (Arc<Monitor>, Duration) {
    let inputs = (0..50).map(|index| whole_grid(index, 50)).collect();
    let monitor = watching(inputs, DriftOptions { has_bins, ..options() });
    let rows: Vec<f32> = (0..10 * 50).map(|i| (i % 251) as f32).collect();
    let feeds = [Tensor::from_vec(&[10, 50], rows).unwrap()];
    let hours = (0..25).map(|hour| 60 * hour);
    let minutes = hours.chain(24 * 60 + 1..25 * 60);
    let mut now = Duration::ZERO;
    for minute in minutes {
        now = Duration::from_mins(minute);
        serve(&monitor, &feeds, now);
    }
    (monitor, now)
}

#[test]
fn how_many_series_fifty_numbers_take() {
    const FEATURES: usize = 50;
    const WINDOWS: usize = 3;
    const STATS: usize = 4;
    const BINS: usize = 10;
    let count = |has_bins| {
        let (monitor, now) = fifty(has_bins);
        METRICS.map(|metric| lines(&[Arc::clone(&monitor)], now, metric).len())
    };
    let each = FEATURES * WINDOWS;
    let windows = [each * STATS, each, WINDOWS, each, each, 0, WINDOWS];
    let version = [1, 1, 2];
    let without: Vec<usize> = windows.into_iter().chain(version).chain([0, 0]).collect();
    assert_eq!(count(false)[..], without);
    assert_eq!(without.iter().sum::<usize>(), 1_060);
    // The bins within, the one outside, and nulls, which are in no bin.
    let bins = [FEATURES * (BINS + 2), FEATURES * (BINS + 1)];
    let with: Vec<usize> = windows.into_iter().chain(version).chain(bins).collect();
    assert_eq!(count(true)[..], with);
    assert_eq!(with.iter().sum::<usize>(), 2_210);
}

#[test]
fn how_many_bytes_the_panes_of_a_number_take() {
    // 60 minutes for 5m and 1h, 24 hours for 24h; 250 cells, below, above and nulls, three sums.
    const PANES: usize = 60 + 24;
    const FEATURE: usize = 4 * (250 + 3) + 8 * 3;
    let (monitor, _) = fifty(false);
    assert_eq!(monitor.bytes(), PANES * (48 + 50 * FEATURE));
    assert_eq!((PANES * FEATURE, monitor.bytes()), (87_024, 4_355_232));
}
