//! Versions that are promoted in a directory while requests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use flowgate::model::{Selector, Stage, VersionId};
use flowgate::source::promote_directory;
use serde_json::Value;

use crate::cli::{MODEL, Serving};
use crate::support::Client;

/// Longest wait for a swap.
pub(crate) const SWAP_MAX: Duration = Duration::from_mins(1);

/// Waits for what the admin port tells: requests meet a version an instant before it is told.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SWAP_MAX, "not so in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A client that never stops to ask, and knows which version answered last.
struct Asking {
    client: Client,
    body: Vec<u8>,
}

impl Asking {
    fn version(&mut self) -> String {
        let json = [("Content-Type", "application/json")];
        let reply = self.client.request("POST", "/invocations", &json, &self.body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.headers["x-model-version"].clone()
    }

    /// Asks until that version answers, and nothing but the one before it until then.
    fn until(&mut self, before: &str, after: &str) {
        let start = Instant::now();
        loop {
            match self.version() {
                version if version == after => return,
                version => assert_eq!(version, before),
            }
            assert!(start.elapsed() < SWAP_MAX, "version {after} does not come to serve");
        }
    }
}

#[test]
fn promotions_swap_versions_without_a_failed_request_and_a_bad_one_never_serves() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("wine");
    copy(Path::new(MODEL), &folder);
    copy(&folder.join("2"), &folder.join("3"));
    fs::write(folder.join("3/model.onnx"), b"no graph at all").unwrap();
    let mut serving = Serving::start(&[folder.to_str().unwrap(), "--poll-interval", "100ms"]);
    let admin = serving.admin();
    let body = fs::read(folder.join("1/serving_input_example.json")).unwrap();
    let mut asking = Asking { client: Client::connect(serving.address), body };
    assert_eq!(asking.version(), "1");

    let production = Selector::Stage(Stage::Production);
    let promote =
        |version| promote_directory(folder.to_str().unwrap(), VersionId(version), &production);
    promote(2).unwrap();
    asking.until("1", "2");

    // Past our own promote, which looks first.
    let registry = folder.join("registry.yaml");
    let text = fs::read_to_string(&registry).unwrap();
    fs::write(&registry, text.replace("Production: 2", "Production: 3")).unwrap();
    let model = |client: &mut Client| -> Value {
        let reply = client.request("GET", "/v1/models/wine", &[], b"");
        serde_json::from_slice(&reply.body).unwrap()
    };
    let mut operator = Client::connect(admin);
    let start = Instant::now();
    while model(&mut operator)["lifecycle"]["refused"].as_array().unwrap().is_empty() {
        assert_eq!(asking.version(), "2");
        assert!(start.elapsed() < SWAP_MAX, "the damaged version is not refused");
    }
    let refused = &model(&mut operator)["lifecycle"]["refused"][0];
    assert_eq!((&refused["version"], &refused["at"]), (&3.into(), &"Verifying".into()));
    assert!(refused["cause"].as_str().unwrap().contains("model.onnx"), "{refused}");

    let reply = operator.request("POST", "/v1/models/wine/rollback", &[], b"");
    assert_eq!(reply.status, 202);
    asking.until("2", "1");
    eventually("a model gone back shows as pinned", || {
        model(&mut operator)["lifecycle"]["pinned"] == true
    });
    promote(2).unwrap();
    asking.until("1", "2");

    let mut text = String::new();
    for line in [
        r#"flowgate_promotions_total{model="wine",reason="registry",result="swapped"} 3"#,
        r#"flowgate_promotions_total{model="wine",reason="verify",result="rejected"} 1"#,
        r#"flowgate_promotions_total{model="wine",reason="operator",result="rolled_back"} 1"#,
        r#"flowgate_model_state{model="wine",state="Available",version="2"} 1"#,
        r#"flowgate_model_state{model="wine",state="Failed",version="3"} 1"#,
        r#"flowgate_model_fallback{model="wine"} 0"#,
        r#"flowgate_swap_duration_seconds_count{model="wine"} 2"#,
    ] {
        eventually(line, || {
            operator.request("GET", "/metrics", &[], b"").text().clone_into(&mut text);
            text.lines().any(|known| known == line)
        });
    }
}

/// The folder of two versions that look the same, of which the second refuses most requests.
fn folder_with_a_worse_version(root: &Path) -> PathBuf {
    let folder = root.join("lookup");
    for (version, graph) in [("1", "gather_wide"), ("2", "gather")] {
        let dir = folder.join(version);
        fs::create_dir_all(&dir).unwrap();
        let graph = format!("{}/tests/fixtures/onnx/{graph}.onnx", env!("CARGO_MANIFEST_DIR"));
        fs::copy(graph, dir.join("model.onnx")).unwrap();
        fs::write(
            dir.join("MLmodel"),
            r#"
flavors:
  onnx: {data: model.onnx, onnx_version: 1.23.2}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]'
saved_input_example_info:
  serving_input_path: serving_input_example.json
"#,
        )
        .unwrap();
        // Within what either can look up.
        fs::write(dir.join("serving_input_example.json"), r#"{"inputs": [0, 2]}"#).unwrap();
    }
    fs::write(folder.join("registry.yaml"), "stages: {Production: 1}\n").unwrap();
    folder
}

#[test]
fn a_version_that_fails_where_the_one_before_did_not_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder_with_a_worse_version(dir.path());
    let mut serving = Serving::start(&[folder.to_str().unwrap(), "--poll-interval", "100ms"]);
    let admin = serving.admin();
    let mut client = Client::connect(serving.address);
    let mut ask = || {
        let json = [("Content-Type", "application/json")];
        let reply = client.request("POST", "/invocations", &json, br#"{"inputs": [50]}"#);
        (reply.status, reply.headers.get("x-model-version").cloned())
    };
    let first = (200, Some("1".to_owned()));
    for _ in 0..50 {
        assert_eq!(ask(), first);
    }
    let production = Selector::Stage(Stage::Production);
    promote_directory(folder.to_str().unwrap(), VersionId(2), &production).unwrap();
    let start = Instant::now();
    while ask() == first {
        assert!(start.elapsed() < SWAP_MAX, "version 2 does not come to serve");
    }
    while ask().0 != 200 {
        assert!(start.elapsed() < SWAP_MAX, "version 2 goes on failing");
    }
    let mut operator = Client::connect(admin);
    let mut model = Value::Null;
    eventually("the status names the version that answers", || {
        let reply = operator.request("GET", "/v1/models/lookup", &[], b"");
        model = serde_json::from_slice(&reply.body).unwrap();
        model["version"] == 1
    });
    let refused = &model["lifecycle"]["refused"][0];
    assert_eq!((&refused["version"], &refused["at"]), (&2.into(), &"Available".into()));
    assert!(refused["cause"].as_str().unwrap().starts_with("100.0 % of "), "{refused}");
    assert_eq!(refused["retry_at"], Value::Null, "only the registry or an operator can");
    // The registry says the same as before, and is asked every 100 ms.
    for _ in 0..200 {
        assert_eq!(ask(), first);
    }
}
