//! A start with models of which some cannot serve, or not yet.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::{MODEL, Serving};
use crate::promotion::{SWAP_MAX, copy};
use crate::support::Client;

#[test]
fn a_model_that_cannot_serve_yet_keeps_no_other_from_it_if_so_configured() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("late");
    copy(Path::new(MODEL), &late);
    for version in ["1", "2"] {
        fs::write(late.join(version).join("model.onnx"), b"no graph at all").unwrap();
    }
    let arguments =
        [MODEL, late.to_str().unwrap(), "--exit-on-error", "false", "--poll-interval", "100ms"];
    let mut serving = Serving::start(&arguments);
    let mut operator = Client::connect(serving.admin());
    let address = serving.address;
    let reply = operator.request("GET", "/ready", &[], b"");
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, body), (503, json!({"status": "waiting", "models": ["late"]})));
    let model = operator.request("GET", "/v1/models/late", &[], b"");
    let model: Value = serde_json::from_slice(&model.body).unwrap();
    assert_eq!(model["version"], Value::Null);
    assert_eq!(model["lifecycle"]["refused"][0]["at"], "Verifying");

    let example = fs::read(Path::new(MODEL).join("1/serving_input_example.json")).unwrap();
    // An answer before the body has been read ends its connection.
    let ask = |path: &str| {
        let json = [("Content-Type", "application/json")];
        Client::connect(address).request("POST", path, &json, &example)
    };
    assert_eq!(ask("/invocations").status, 200);
    let refused = ask("/invocations/late");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(refused.text().contains("TEMPORARILY_UNAVAILABLE"), "{}", refused.text());

    // What is put right serves, without a restart.
    copy(&Path::new(MODEL).join("2"), &late.join("3"));
    fs::write(late.join("registry.yaml"), "stages: {Production: 3}\n").unwrap();
    let start = Instant::now();
    while operator.request("GET", "/ready", &[], b"").status != 200 {
        assert!(start.elapsed() < SWAP_MAX, "version 3 does not come to serve");
    }
    assert_eq!(ask("/invocations/late").status, 200);
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0));
}

#[test]
fn probes_answer_and_signals_are_heeded_while_the_first_version_is_waited_for() {
    // Connections wait in its backlog: it never answers.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = port.local_addr().unwrap();
    drop(port);
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowgate"))
        .args(["serve", "models:/churn@champion", "--port", "0", "--cache-dir", "off"])
        .args(["--admin-port", &admin.port().to_string()])
        .env("MLFLOW_TRACKING_URI", format!("http://{}", registry.local_addr().unwrap()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The registry has been asked: the process is on its way.
    let asked = registry.accept().unwrap();
    let mut operator = Client::connect(admin);
    let ready = operator.request("GET", "/ready", &[], b"");
    assert_eq!((ready.status, ready.text()), (503, r#"{"status":"starting"}"#));
    assert_eq!(operator.request("GET", "/live", &[], b"").status, 200);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "", "nothing was served");
    drop(asked);
}
