//! Replays recorded requests to MLflow's scoring server against the real binary and judges each
//! answer by the case's own rule. `fixtures/conformance/` holds the models and the cases;
//! `expected_differences.txt` the few answers that differ on purpose.
//!
//! - `FLOWGATE_CONFORMANCE_MODEL=NAME`: that model's cases only.
//! - `FLOWGATE_CONFORMANCE_DIR=DIR`: other recordings, laid out the same way: `DIR/models/`,
//!   `DIR/cases/*.jsonl` and, where there are any, `DIR/expected_differences.txt`.

#[path = "../support/mod.rs"]
mod support;

mod case;
mod differences;
mod echo;
mod json;
mod judge;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use case::Case;
use differences::Difference;
use support::http;
use support::process::{self, Server};

/// Most failing cases that a report spells out for one model.
const FAILURES_SHOWN_MAX: usize = 25;

/// Where the recordings lie, and which of them to replay.
struct Suite {
    models: Vec<(String, PathBuf)>,
    cases: BTreeMap<String, Vec<Case>>,
    differences: BTreeMap<String, Difference>,
}

impl Suite {
    fn read() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let (dir, list) = match std::env::var_os("FLOWGATE_CONFORMANCE_DIR") {
            Some(dir) => {
                let dir = PathBuf::from(dir);
                let list = dir.join("expected_differences.txt");
                (dir, list)
            }
            None => {
                (own.join("fixtures/conformance"), own.join("conformance/expected_differences.txt"))
            }
        };
        let only = std::env::var("FLOWGATE_CONFORMANCE_MODEL").ok();
        let chosen = |name: &str| only.as_deref().is_none_or(|only| only == name);
        let mut models = process::models_in(&dir.join("models"));
        models.retain(|(name, _)| chosen(name));
        let mut cases: BTreeMap<String, Vec<Case>> = BTreeMap::new();
        for entry in std::fs::read_dir(dir.join("cases")).expect("a directory of cases") {
            let path = entry.expect("a directory that lists").path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                for case in case::read(&path).into_iter().filter(|case| chosen(&case.model)) {
                    cases.entry(case.model.clone()).or_default().push(case);
                }
            }
        }
        let mut differences = differences::read(&list);
        differences.retain(|id, _| id.split('/').next().is_some_and(chosen));
        Self { models, cases, differences }
    }
}

/// Starts the server with every model; where that fails, with those that it takes alone, so that
/// one model that cannot be served does not hide the rest. The second value says which failed.
fn start(models: &[(String, PathBuf)]) -> (Option<Server>, BTreeMap<String, String>) {
    match Server::start(models) {
        Ok(server) => (Some(server), BTreeMap::new()),
        Err(first) => {
            let mut refused = BTreeMap::new();
            let mut taken = Vec::new();
            for model in models {
                match Server::start(std::slice::from_ref(model)) {
                    Ok(_) => taken.push(model.clone()),
                    Err(words) => drop(refused.insert(model.0.clone(), words)),
                }
            }
            let server = if taken.is_empty() { Err(first) } else { Server::start(&taken) };
            (server.ok(), refused)
        }
    }
}

/// Where a case is sent: the default model at the path as recorded, the others by name.
fn target(case: &Case, default: &str) -> String {
    let path = case.path.split('?').next().expect("a split has a first part");
    if case.method == "POST" && path == "/invocations" && case.model != default {
        format!("/invocations/{}{}", case.model, &case.path[path.len()..])
    } else {
        case.path.clone()
    }
}

#[test]
fn every_recorded_case_is_answered_as_mlflow_does() {
    let suite = Suite::read();
    assert!(!suite.cases.is_empty(), "no recorded case to replay");
    let (mut server, refused) = start(&suite.models);
    let mut listed_left: Vec<&String> = suite.differences.keys().collect();
    let (mut report, mut failures) = (String::new(), String::new());
    let (mut passed, mut total) = (0, 0);
    let default =
        suite.models.iter().map(|(name, _)| name).find(|name| !refused.contains_key(*name));
    for (model, cases) in &suite.cases {
        let faults = match (&server, suite.models.iter().find(|(name, _)| name == model)) {
            (Some(server), Some((_, dir))) if !refused.contains_key(model) => {
                let default = default.expect("the server serves one model at least");
                let declared = std::fs::read_to_string(dir.join("MLmodel")).unwrap_or_default();
                replay(server, cases, default, &suite.differences, &declared)
            }
            _ => {
                let words = refused.get(model).map_or("no such model", String::as_str).trim();
                vec![format!("{model}: not served: {words}"); cases.len()]
            }
        };
        for case in cases {
            listed_left.retain(|id| **id != case.id());
        }
        let good = cases.len() - faults.len();
        passed += good;
        total += cases.len();
        writeln!(report, "{good:>5}/{:<5} {model}", cases.len()).expect("a string takes all");
        for fault in faults.iter().take(FAILURES_SHOWN_MAX) {
            writeln!(failures, "{fault}").expect("a string takes all");
        }
        if faults.len() > FAILURES_SHOWN_MAX {
            writeln!(failures, "{model}: {} more", faults.len() - FAILURES_SHOWN_MAX)
                .expect("a string takes all");
        }
    }
    if let Some(server) = &mut server {
        assert!(server.is_running(), "the server ended while it was asked\n{report}{failures}");
        let peak =
            server.memory_peak_bytes().map_or("unknown".to_owned(), |b| (b >> 20).to_string());
        writeln!(report, "memory peak {peak} MiB").expect("a string takes all");
    }
    println!("{report}{passed:>5}/{total:<5} all, {} of them as listed", suite.differences.len());
    assert!(passed == total, "{passed} of {total} recorded cases pass\n{failures}");
    assert!(listed_left.is_empty(), "listed, but no such case: {listed_left:?}");
}

/// Sends a model's cases one after another; a line for each that fails.
fn replay(
    server: &Server,
    cases: &[Case],
    default: &str,
    differences: &BTreeMap<String, Difference>,
    declared: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    for case in cases {
        let target = target(case, default);
        let answer = http::send(server.address(), &case.method, &target, &case.headers, &case.body);
        let verdict = match answer {
            Ok(answer) => judge::judge(case, differences.get(&case.id()), &answer, declared),
            Err(error) => Err(format!("no answer: {error}")),
        };
        if let Err(what) = verdict {
            let body: String = String::from_utf8_lossy(&case.body).chars().take(120).collect();
            faults.push(format!(
                "{} [{}] {what}\n      {}",
                case.id(),
                case.kind,
                body.escape_debug()
            ));
        }
    }
    faults
}
