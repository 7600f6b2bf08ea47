//! Drift of the real server: with a reference, with one that is of no use, with one that it learns.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::Serving;
use crate::promotion::copy;
use crate::support::Client;

const WINE: &str = "models/wine-quality/1";
const REFERENCE: &str = "drift_reference.json";
/// Rows are counted within this time.
const COUNTED_MAX: Duration = Duration::from_secs(20);

/// A server of the wine model with this in place of its reference.
struct Watched {
    serving: Serving,
    admin: Client,
    _model: tempfile::TempDir,
}

impl Watched {
    fn start(reference: Option<&[u8]>, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("wine");
        copy(Path::new(WINE), &model);
        fs::remove_file(model.join(REFERENCE)).unwrap();
        if let Some(reference) = reference {
            fs::write(model.join(REFERENCE), reference).unwrap();
        }
        let mut arguments = vec![model.to_str().unwrap()];
        arguments.extend(flags);
        let mut serving = Serving::start(&arguments);
        let admin = Client::connect(serving.admin());
        Self { serving, admin, _model: folder }
    }

    fn metrics(&mut self) -> String {
        let reply = self.admin.request("GET", "/metrics", &[], b"");
        assert_eq!(reply.status, 200);
        reply.text().to_owned()
    }

    fn drift(&mut self, query: &str) -> (u16, Value) {
        let path = format!("/v1/models/wine/drift{query}");
        let reply = self.admin.request("GET", &path, &[], b"");
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    /// Sends rows around the reference's means, `shift` deviations away in the first column.
    fn ask(&self, rows: u64, shift: f64) {
        let features = reference()["inputs"].as_array().unwrap().clone();
        // Evenly spread over 1.7 deviations to both sides, as a normal distribution's bulk is.
        let cell = |row: u64, at: usize, feature: &Value| {
            let place = ((row * 7919 + at as u64 * 104_729) % rows) as f64 / rows as f64;
            let own = if at == 0 { shift } else { 0.0 };
            let [mean, std] = ["mean", "std"].map(|key| feature[key].as_f64().unwrap());
            mean + std * (place * 3.4 - 1.7 + own)
        };
        let data: Vec<Vec<f64>> = (0..rows)
            .map(|row| features.iter().enumerate().map(|(at, one)| cell(row, at, one)).collect())
            .collect();
        let columns: Vec<_> = features.iter().map(|feature| &feature["name"]).collect();
        let body = json!({"dataframe_split": {"columns": columns, "data": data}}).to_string();
        assert_eq!(Client::connect(self.serving.address).post(&body).status, 200);
    }

    /// Waits until so many rows have been counted.
    fn counted(&mut self, rows: u64) {
        let start = Instant::now();
        while self.drift("").1["rows_counted"] != rows {
            assert!(start.elapsed() < COUNTED_MAX, "{}", self.drift("").1);
            std::thread::yield_now();
        }
    }
}

fn reference() -> Value {
    serde_json::from_slice(&fs::read(Path::new(WINE).join(REFERENCE)).unwrap()).unwrap()
}

fn info(metrics: &str) -> &str {
    let name = "flowgate_drift_reference_info{";
    metrics.lines().find(|line| line.starts_with(name)).expect("it is always told")
}

#[test]
fn a_shifted_feature_is_told_with_all_that_one_needs_to_see_it() {
    let own = fs::read(Path::new(WINE).join(REFERENCE)).unwrap();
    let mut watched = Watched::start(Some(&own), &["--drift-windows", "5m,1h"]);
    assert!(info(&watched.metrics()).contains("source=\"model\""), "{}", watched.metrics());
    watched.ask(499, 2.0);
    watched.counted(499);
    let few = watched.metrics();
    assert!(!few.contains("flowgate_drift_score{"), "{few}");
    assert!(few.contains("window=\"5m\"} 499"), "{few}");

    watched.ask(600, 2.0);
    watched.counted(1099);
    let (status, report) = watched.drift("?window=5m");
    assert_eq!(status, 200);
    let first = &report["features"][0];
    assert_eq!(first["name"], "fixed acidity", "{report}");
    assert_eq!(first["drifted"], true);
    assert!(first["psi"].as_f64().unwrap() > 1.0, "{first}");
    assert!((first["mean_shift"].as_f64().unwrap() - 2.0).abs() < 0.1, "{first}");
    let shares = |side: &str| -> f64 {
        let bins = first["bins"].as_array().unwrap().iter();
        bins.map(|bin| bin[side].as_f64().unwrap()).sum()
    };
    assert!((shares("reference") - 1.0).abs() < 1e-9 && (shares("window") - 1.0).abs() < 1e-9);
    let all = report["features"].as_array().unwrap();
    assert_eq!(all.iter().filter(|one| one["kind"] == "output").count(), 1);
    assert_eq!(all.len(), 12);
    let metrics = watched.metrics();
    let score = metrics.lines().find(|line| {
        line.starts_with("flowgate_drift_score{feature=\"fixed acidity\"")
            && line.contains("stat=\"psi\"")
            && line.contains("window=\"1h\"")
    });
    let score: f64 = score.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((score - first["psi"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn questions_that_make_no_sense_are_refused_with_what_would() {
    let own = fs::read(Path::new(WINE).join(REFERENCE)).unwrap();
    let mut watched = Watched::start(Some(&own), &[]);
    let (status, body) = watched.drift("?window=2h");
    assert_eq!((status, &body["detail"]), (400, &json!("The windows are 5m, 1h, 24h.")));
    for query in ["?version=x", "?windows=1h"] {
        assert_eq!(watched.drift(query).0, 400, "{query}");
    }
    assert_eq!(watched.drift("?version=7").0, 404);
    assert_eq!(watched.admin.request("GET", "/v1/models/beer/drift", &[], b"").status, 404);
    assert_eq!(watched.admin.request("POST", "/v1/models/wine/drift", &[], b"").status, 405);
}

#[test]
fn a_reference_that_is_of_no_use_leaves_the_model_serving_and_says_why() {
    let mut other = reference();
    other["signature"] = json!(format!("sha256:{}", "0".repeat(64)));
    let mut wide = reference();
    wide["inputs"][0]["tensor"] = json!("another");
    let large = vec![b' '; (4 << 20) + 1];
    for (bytes, reason) in [
        (None, "absent"),
        (Some(&b"{\"schema\":1"[..]), "malformed"),
        (Some(&b"\xff\xfe"[..]), "malformed"),
        (
            Some(&br#"{"schema":2,"signature":null,"rows":1,"inputs":[],"outputs":[]}"#[..]),
            "malformed",
        ),
        (Some(&large[..]), "too_large"),
        (Some(other.to_string().as_bytes()), "mismatch"),
        (Some(wide.to_string().as_bytes()), "mismatch"),
    ] {
        let mut watched = Watched::start(bytes, &[]);
        watched.ask(3, 0.0);
        let metrics = watched.metrics();
        let line = info(&metrics);
        assert!(line.contains("source=\"none\""), "{line}");
        assert!(line.contains(&format!("reason=\"{reason}\"")), "{line}");
        let (status, report) = watched.drift("");
        let expected = json!({"source": "none", "reason": reason});
        assert_eq!((status, &report["reference"]), (200, &expected));
        assert!(metrics.contains("outcome=\"ok\""), "{metrics}");
    }
}

#[test]
fn drift_can_be_switched_off() {
    let own = fs::read(Path::new(WINE).join(REFERENCE)).unwrap();
    let mut watched = Watched::start(Some(&own), &["--drift", "off"]);
    watched.ask(3, 0.0);
    let metrics = watched.metrics();
    assert!(info(&metrics).contains("reason=\"off\""), "{metrics}");
    assert!(!metrics.contains("flowgate_drift_rows_total"), "{metrics}");
}

#[test]
fn a_reference_is_learned_from_the_first_rows_where_that_is_configured() {
    let mut watched = Watched::start(None, &["--drift-live-rows", "500"]);
    watched.ask(300, 0.0);
    assert!(info(&watched.metrics()).contains("reason=\"learning\""));
    watched.ask(300, 0.0);
    let start = Instant::now();
    while !info(&watched.metrics()).contains("source=\"live\"") {
        assert!(start.elapsed() < COUNTED_MAX, "{}", watched.metrics());
    }
    watched.ask(600, 2.0);
    watched.counted(600);
    let (_, report) = watched.drift("");
    assert_eq!(report["features"][0]["name"], "fixed acidity", "{report}");
    assert_eq!(report["features"][0]["drifted"], true);
    assert_eq!(report["reference"]["source"], "live");
}
