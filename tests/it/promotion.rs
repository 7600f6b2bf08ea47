//! Versions that are promoted in a directory while requests run.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use flowgate::model::{Selector, Stage, VersionId};
use flowgate::source::promote_directory;
use serde_json::Value;

use crate::cli::{MODEL, Serving};
use crate::support::Client;

/// Longest wait for a swap.
const SWAP_MAX: Duration = Duration::from_mins(1);

fn copy(from: &Path, to: &Path) {
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
    assert_eq!(model(&mut operator)["lifecycle"]["pinned"], true);
    promote(2).unwrap();
    asking.until("1", "2");
}
