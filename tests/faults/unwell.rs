//! A registry that is there and does not do as it should.

use std::time::Duration;

use crate::fake::{Answer, Pace};
use crate::registry::Registry;
use crate::serving::Serving;

/// What was asked for in vain, in both steps of [`outlive`].
const UNANSWERED: [&str; 2] = ["registered model wine", "the files of mlflow-artifacts:/wine/2"];

/// First the registry itself fails so, then what has the files; each comes to its senses again.
/// `words` are in what is said about it, about the registry and about the files.
fn outlive(answer: &Answer, words: [&str; 2]) {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    let serving = Serving::start(&registry, cache.path());
    serving.until_version(1);

    registry.answer_questions(answer);
    registry.promote(2);
    serving.until("the log says why the registry gives no answer", |now| {
        let log = now.log();
        let mut lines = log.lines().filter(|line| line.contains("gave no answer"));
        lines.any(|line| line.contains(words[0]))
    });
    assert_eq!(serving.version(), 1);
    serving.until("the admin port says so as well", |now| {
        let error = now.lifecycle()["registry_error"].clone();
        error.as_str().is_some_and(|error| error.contains(words[0]))
    });

    registry.mend();
    registry.answer_fetches(2, answer);
    serving.until_refused(2, words[1]);
    assert_eq!(serving.version(), 1);

    registry.mend();
    serving.until_version(2);
    assert_eq!(serving.lifecycle()["refused"], serde_json::json!([]));
    assert_eq!(serving.lifecycle()["registry_error"], serde_json::Value::Null);
    assert_eq!(serving.stop(), [1, 2]);
}

#[test]
fn a_registry_that_answers_500_changes_nothing() {
    outlive(&Answer::new(500, "text/plain", "broken"), ["answered 500", "answered 500"]);
}

#[test]
fn a_registry_that_answers_html_changes_nothing() {
    let page = "<!doctype html><html><body>Please log in</body></html>";
    outlive(&Answer::new(200, "text/html", page), ["Please log in", "Please log in"]);
}

#[test]
fn a_registry_that_answers_garbage_changes_nothing() {
    let garbage: Vec<u8> =
        (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let answer = Answer::new(200, "application/json", garbage);
    outlive(&answer, ["something else", "something else"]);
}

#[test]
fn a_registry_that_answers_a_byte_a_second_changes_nothing() {
    let slow = Answer::new(200, "application/json", vec![b' '; 1000]);
    let slow = slow.at(Pace::Pause(Duration::from_secs(1)));
    outlive(&slow, UNANSWERED);
}

#[test]
fn a_registry_that_never_answers_changes_nothing() {
    let silent = Answer::new(200, "application/json", "").at(Pace::Never);
    outlive(&silent, UNANSWERED);
}

#[test]
fn a_file_that_comes_a_byte_a_second_changes_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    let serving = Serving::start(&registry, cache.path());
    registry.slow_down(2, "model.onnx", Pace::Pause(Duration::from_secs(1)));
    registry.promote(2);
    registry.answer_champion();
    serving.until_refused(2, "model.onnx");
    assert_eq!(serving.version(), 1);
    registry.mend();
    serving.until_version(2);
    assert_eq!(serving.stop(), [1, 2]);
}

#[test]
fn a_registry_that_names_nothing_changes_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    let serving = Serving::start(&registry, cache.path());
    let empty = r#"{"registered_model": {"name": "wine"}}"#;
    registry.answer_questions(&Answer::new(200, "application/json", empty));
    registry.wait_for_questions(5);
    assert_eq!(serving.version(), 1);
    registry.promote(2);
    registry.mend();
    serving.until_version(2);
    assert_eq!(serving.stop(), [1, 2]);
}
