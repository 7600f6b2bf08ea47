//! `flowgate promote` on an MLflow server.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::fake::{Answer, Fake, recording};

const GET_MODEL: &str = "/api/2.0/mlflow/registered-models/get?name=churn";
const GET_VERSION: &str = "/api/2.0/mlflow/model-versions/get?name=churn&version=";

/// A registry with versions 1 and 2 in Production, 3 in no stage and 4 not ready; alias champion
/// is on version 1.
fn registry() -> Fake {
    let fake = Fake::recorded(&["set alias champion -> 1", "transition v1 -> Production"]);
    let version = |version: u64| {
        json!({
            "version": version.to_string(),
            "current_stage": if version < 3 { "Production" } else { "None" },
            "status": if version < 4 { "READY" } else { "PENDING_REGISTRATION" },
        })
    };
    for number in 1..=4 {
        let answer = Answer::json(&json!({ "model_version": version(number) }));
        fake.set("GET", &format!("{GET_VERSION}{number}"), answer);
    }
    let model = json!({ "registered_model": {
        "name": "churn",
        "latest_versions": [version(2), version(4)],
        "aliases": [{ "alias": "champion", "version": "1" }],
    }});
    fake.set("GET", GET_MODEL, Answer::json(&model));
    fake
}

/// Exit code and what is said, on standard output or else on the other.
fn promote(fake: &Fake, arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    let command = command.arg("promote").args(arguments.split(' '));
    let command = command.env("MLFLOW_TRACKING_URI", fake.uri());
    let command = command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = if stdout.is_empty() { stderr } else { stdout };
    (status.code(), String::from_utf8(text).unwrap())
}

/// What was written since the last call.
fn written(fake: &Fake) -> Vec<Value> {
    let writes = fake.asked().into_iter().filter(|request| request.method != "GET");
    writes.map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

#[test]
fn an_alias_or_a_stage_moves_and_it_is_said_who_had_it() {
    let fake = registry();
    let alias =
        |alias: &str, version: &str| json!({ "name": "churn", "alias": alias, "version": version });
    let stage = |stage: &str, version: &str, archive: bool| {
        json!({
            "name": "churn", "version": version, "stage": stage,
            "archive_existing_versions": archive,
        })
    };
    for (arguments, body, said) in [
        (
            "churn 3 --alias champion",
            alias("champion", "3"),
            "3 is promoted to alias champion, which version 1 had before",
        ),
        (
            "models:/churn 3 --alias new",
            alias("new", "3"),
            "3 is promoted to alias new, which no version had before",
        ),
        (
            "churn 1 --alias champion",
            alias("champion", "1"),
            "1 is promoted to alias champion, which it had before",
        ),
        (
            "churn 1 --stage Production",
            stage("Production", "1", true),
            "1 is promoted to stage Production, which version 2 had before",
        ),
        (
            "churn 1 --stage staging",
            stage("Staging", "1", true),
            "1 is promoted to stage Staging, which no version had before",
        ),
        (
            "churn 1 --stage Archived",
            stage("Archived", "1", false),
            "1 is promoted to stage Archived, which no version had before",
        ),
    ] {
        let (code, text) = promote(&fake, arguments);
        assert_eq!((code, text), (Some(0), format!("churn version {said}\n")));
        assert_eq!(written(&fake), [body]);
    }
}

#[test]
fn a_version_that_is_not_there_or_not_ready_is_not_promoted() {
    let fake = registry();
    let gone = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no" });
    fake.set("GET", &format!("{GET_VERSION}9"), Answer { status: 404, ..Answer::json(&gone) });
    for (arguments, expected, words) in [
        ("churn 9 --alias champion", 1, "version 9 of model churn (`no`"),
        ("churn 4 --alias champion", 1, "version 4 of model churn is PENDING_REGISTRATION"),
        ("churn 3 --alias latest", 2, "`latest` cannot be an alias"),
        ("./churn 3 --alias champion", 1, "does not exist"),
    ] {
        let (code, text) = promote(&fake, arguments);
        assert_eq!(code, Some(expected), "{text}");
        assert!(text.contains(words) && text.lines().count() == 1, "{text}");
        assert_eq!(written(&fake), [] as [Value; 0], "{arguments}");
    }
}

#[test]
fn a_registry_that_forbids_it_is_repeated_in_one_sentence() {
    let fake = registry();
    let (method, path, denied) = (
        "POST",
        "/api/2.0/mlflow/registered-models/alias",
        recording("serving user delete (403)").2,
    );
    fake.set(method, path, denied);
    let (code, text) = promote(&fake, "churn 3 --alias champion");
    assert_eq!(code, Some(1));
    assert!(text.contains("denies alias champion for version 3 of model churn (403"), "{text}");
}
