//! What a rolling update does to those who send requests, without a cluster: servers come up, are
//! waited for, get requests, are told to end, and go on getting requests for a while, since whoever
//! sends them hears of it late.
#![cfg(all(feature = "ort", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

mod deployment;
mod load;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use deployment::Deployment;
use load::Load;

/// A model with versions 1 and 2.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/wine-quality");

/// The lame duck of the servers, longer than senders take to hear of the end.
const LAME_DUCK: &str = "4s";

fn version(version: u32) -> String {
    format!("{MODEL}/{version}")
}

#[test]
fn a_rolling_update_and_one_onto_a_broken_version_lose_no_request() {
    let mut deployment = Deployment::start(2, &version(1), LAME_DUCK);
    let load = Load::start(deployment.endpoints());
    load.wait_for_answers(200);
    assert_eq!(load.versions(), [1]);

    let restarted = deployment.roll_to(&version(1));
    assert_eq!(restarted, Ok(()));
    let updated = deployment.roll_to(&version(2));
    assert_eq!(updated, Ok(()));
    load.forget_versions();
    load.wait_for_answers(200);
    assert_eq!(load.versions(), [2]);

    let broken = tempfile::tempdir().unwrap();
    fs::copy(Path::new(MODEL).join("1/MLmodel"), broken.path().join("MLmodel")).unwrap();
    fs::write(broken.path().join("model.onnx"), b"no graph at all").unwrap();
    let stopped = deployment.roll_to(broken.path().to_str().unwrap());
    let (code, said) = stopped.unwrap_err();
    assert_eq!(code, Some(1));
    // What the end of the log says is what a pod's last state says.
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("flowgate: cannot serve") && last.contains("model.onnx"), "{said}");
    assert!(last.len() < 2048, "too long for a termination message: {last}");
    load.wait_for_answers(200);
    assert_eq!(load.versions(), [2]);

    let report = load.stop();
    println!("{} answers, {} of them by servers about to end", report.answers, report.farewells);
    assert_eq!(report.failures, [""; 0]);
    // Else nobody was sent a request after it had been told to end.
    assert!(report.farewells > 50, "{report:?}");
}

#[test]
fn without_a_lame_duck_the_same_loses_requests() {
    let mut deployment = Deployment::start(2, &version(1), "0s");
    let load = Load::start(deployment.endpoints());
    load.wait_for_answers(100);
    assert_eq!(deployment.roll_to(&version(2)), Ok(()));
    let report = load.stop();
    assert!(!report.failures.is_empty(), "{report:?}");
}
