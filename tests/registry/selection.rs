//! Which version is selected, where its files are said to be, and what that costs in requests.

use flowgate::model::VersionId;
use flowgate::source::{Aspired, MlflowSource, Origin, SourceError, Wanted};
use flowgate::store::RemoteError;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};

const MODEL: &str = "registered model now (aliases, latest_versions)";
const PROXIED: &str = "mlflow-artifacts:/1/models";

fn source(fake: &Fake, target: &str) -> MlflowSource {
    MlflowSource::new(fake.client(), Wanted::parse(target).unwrap())
}

fn number(aspired: &Aspired) -> u64 {
    aspired.version.0
}

/// A model as `registered-models/get` gives it: versions with their stages, and aliases.
fn model(changed: u64, versions: &[(u64, &str)], aliases: &[(&str, u64)]) -> Answer {
    let versions: Vec<_> = versions.iter().map(|(version, stage)| entry(*version, stage)).collect();
    let aliases: Vec<_> = aliases
        .iter()
        .map(|(alias, version)| json!({ "alias": alias, "version": version.to_string() }))
        .collect();
    Answer::json(&json!({ "registered_model": {
        "name": "churn",
        "last_updated_timestamp": changed,
        "latest_versions": versions,
        "aliases": aliases,
    }}))
}

fn entry(version: u64, stage: &str) -> Value {
    json!({
        "name": "churn",
        "version": version.to_string(),
        "creation_timestamp": 1000 + version,
        "last_updated_timestamp": 2000 + version,
        "current_stage": stage,
        "status": "READY",
    })
}

const GET_MODEL: &str = "/api/2.0/mlflow/registered-models/get?name=churn";
const GET_VERSION: &str = "/api/2.0/mlflow/model-versions/get?name=churn";
const SEARCH: &str = "/api/2.0/mlflow/logged-models/search";
const GET_URI: &str = "/api/2.0/mlflow/model-versions/get-download-uri?name=churn";

fn located(fake: &Fake, uri: &str) {
    fake.set("GET", GET_URI, Answer::json(&json!({ "artifact_uri": uri })));
}

#[tokio::test]
async fn every_selector_finds_the_version_that_the_recorded_registry_selects() {
    let fake = Fake::recorded(&[MODEL, "get version"]);
    located(&fake, "s3://bucket/files");
    for (target, version) in [
        ("models:/churn/Production", 2),
        ("models:/churn/archived", 3),
        ("models:/churn/latest", 4),
        ("models:/churn@champion", 3),
        ("models:/churn@challenger", 2),
        ("models:/churn/1", 1),
    ] {
        let aspired = source(&fake, target).aspired().await.unwrap().unwrap();
        assert_eq!(number(&aspired), version, "{target}");
        assert_eq!(aspired.origin, Origin::Artifacts("s3://bucket/files".to_owned()));
    }
    for target in ["models:/churn/Staging", "models:/churn@CHAMPION", "models:/churn@nobody"] {
        assert_eq!(source(&fake, target).aspired().await, Ok(None), "{target}");
    }
}

#[tokio::test]
async fn an_unchanged_answer_costs_one_request() {
    let fake = Fake::recorded(&[MODEL]);
    located(&fake, "s3://bucket/files");
    let mut source = source(&fake, "models:/churn@champion");
    let first = source.aspired().await.unwrap();
    assert_eq!(
        fake.asked_for(),
        [
            "GET registered-models/get?name=churn",
            "GET model-versions/get-download-uri?name=churn&version=3",
        ]
    );
    for _ in 0..3 {
        assert_eq!(source.aspired().await.unwrap(), first);
        assert_eq!(fake.asked_for(), ["GET registered-models/get?name=churn"]);
    }
}

#[tokio::test]
async fn an_alias_that_moves_is_followed_though_no_time_changes() {
    let fake = Fake::start();
    let versions = [(7, "None")];
    fake.set("GET", GET_MODEL, model(1, &versions, &[("live", 7)]));
    located(&fake, "s3://bucket/files");
    let mut source = source(&fake, "models:/churn@live");
    assert_eq!(source.aspired().await.unwrap().as_ref().map(number), Some(7));
    // Version 5 is nobody's latest: only its number is known.
    fake.set("GET", GET_MODEL, model(1, &versions, &[("live", 5)]));
    fake.set("GET", GET_VERSION, Answer::json(&json!({ "model_version": entry(5, "None") })));
    assert_eq!(source.aspired().await.unwrap().as_ref().map(number), Some(5));
    fake.asked();
    assert_eq!(source.aspired().await.unwrap().as_ref().map(number), Some(5));
    assert_eq!(fake.asked_for(), ["GET registered-models/get?name=churn"]);
    // The model changed: what is known of version 5 may be old.
    fake.set("GET", GET_MODEL, model(2, &versions, &[("live", 5)]));
    source.aspired().await.unwrap();
    assert_eq!(fake.asked_for().len(), 2);
    fake.set("GET", GET_MODEL, model(2, &versions, &[]));
    assert_eq!(source.aspired().await, Ok(None));
}

#[tokio::test]
async fn the_latest_of_a_stage_is_the_highest_not_the_last_to_come() {
    let fake = Fake::start();
    located(&fake, "s3://bucket/files");
    let mut source = source(&fake, "models:/churn/production");
    fake.set(
        "GET",
        GET_MODEL,
        model(1, &[(9, "Production"), (10, "Production"), (8, "None")], &[]),
    );
    assert_eq!(source.aspired().await.unwrap().as_ref().map(number), Some(10));
    fake.set("GET", GET_MODEL, model(2, &[(10, "Archived"), (9, "Production")], &[]));
    assert_eq!(source.aspired().await.unwrap().as_ref().map(number), Some(9));
}

#[tokio::test]
async fn the_stamp_changes_with_the_version_and_not_with_its_tags() {
    let fake = Fake::recorded(&["get version"]);
    located(&fake, "s3://bucket/files");
    let mut source = source(&fake, "models:/churn/3");
    let mut stamps = Vec::new();
    let tagged = json!([{ "key": "flowgate.verdict", "value": "refused" }]);
    for (field, value) in [
        ("run_link", json!("")),
        ("tags", tagged),
        ("last_updated_timestamp", json!(7)),
        ("source", json!("models:/m-1")),
    ] {
        let mut version = entry(3, "None");
        version[field] = value;
        fake.set("GET", GET_VERSION, Answer::json(&json!({ "model_version": version })));
        stamps.push(source.aspired().await.unwrap().unwrap().stamp);
    }
    assert_eq!(stamps[0], stamps[1], "a tag says nothing about what the version is");
    assert_ne!(stamps[1], stamps[2]);
    assert_ne!(stamps[0], stamps[3]);
    located(&fake, "s3://bucket/elsewhere");
    fake.set("GET", GET_VERSION, Answer::json(&json!({ "model_version": entry(3, "None") })));
    assert_ne!(source.aspired().await.unwrap().unwrap().stamp, stamps[0]);
}

#[tokio::test]
async fn what_is_not_ready_is_an_error_that_keeps_the_old() {
    let fake = Fake::start();
    let mut source = source(&fake, "models:/churn/3");
    let mut version = entry(3, "None");
    for (status, transient) in [("PENDING_REGISTRATION", true), ("FAILED_REGISTRATION", false)] {
        version["status"] = status.into();
        fake.set("GET", GET_VERSION, Answer::json(&json!({ "model_version": version })));
        let Err(SourceError::Remote(error)) = source.aspired().await else { panic!("{status}") };
        assert_eq!(error.is_transient(), transient, "{status}");
        assert!(error.to_string().contains(&format!("version 3 of model churn is {status}")));
    }
    let id = "m-d98a2cda505040558a7bdacb09c5b461";
    let fake = Fake::recorded(&[&format!("log_model again /api/2.0/mlflow/logged-models/{id}")]);
    let error = self::source(&fake, &format!("models:/{id}")).aspired().await.unwrap_err();
    assert!(error.to_string().contains("is LOGGED_MODEL_PENDING"), "{error}");
}

#[tokio::test]
async fn a_model_that_is_not_there_is_unknown_and_a_version_is_nothing() {
    let fake = Fake::recorded(&["get missing model"]);
    let error = source(&fake, "models:/nope@live").aspired().await.unwrap_err();
    assert!(matches!(&error, SourceError::Unknown(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("registered model nope (`Registered Model with name=nope")
    );
    assert!(error.to_string().ends_with(" does not exist"), "{error}");

    let fake = Fake::recorded(&["get version missing", MODEL]);
    assert_eq!(source(&fake, "models:/churn/99").aspired().await, Ok(None));
    let gone = Answer::json(&json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no" }));
    fake.set("GET", GET_MODEL, Answer { status: 404, ..gone });
    let error = source(&fake, "models:/churn/99").aspired().await.unwrap_err();
    assert!(matches!(error, SourceError::Unknown(_)));

    let fake = Fake::recorded(&["logged model missing"]);
    let target = format!("models:/m-{}", "0".repeat(32));
    let error = source(&fake, &target).aspired().await.unwrap_err();
    assert!(matches!(error, SourceError::Unknown(_)));
}

#[tokio::test]
async fn a_name_of_any_letters_arrives_as_it_is() {
    let fake = Fake::start();
    source(&fake, "models:/wine & käse?#@a+b").aspired().await.unwrap_err();
    assert_eq!(fake.asked_for(), ["GET registered-models/get?name=wine+%26+k%C3%A4se%3F%23"]);
}

#[tokio::test]
async fn a_logged_model_is_asked_for_once() {
    let fake = Fake::recorded(&["logged model get"]);
    let id = "m-4f895db77680420ebd43b4b3b3d5f049";
    let mut source = source(&fake, &format!("models:/{id}"));
    let aspired = source.aspired().await.unwrap().unwrap();
    assert_eq!(aspired.version, VersionId(1));
    assert_eq!(aspired.origin, Origin::Artifacts(format!("{PROXIED}/{id}/artifacts")));
    assert_eq!(source.aspired().await, Ok(Some(aspired)));
    assert_eq!(fake.asked_for(), [format!("GET logged-models/{id}")]);
}

#[tokio::test]
async fn a_run_leads_to_the_model_that_it_logged_or_to_its_artifacts() {
    let old = "runs:/e483b2c9b47444728a11d8ec3f30fa49/model";
    let nothing =
        format!("artifacts.download_artifacts({old}) /api/2.0/mlflow/logged-models/search");
    let fake = Fake::recorded(&["run get (artifact_uri)", &nothing]);
    let artifacts = "mlflow-artifacts:/1/e483b2c9b47444728a11d8ec3f30fa49/artifacts/model";
    let aspired = source(&fake, old).aspired().await.unwrap().unwrap();
    assert_eq!(aspired.origin, Origin::Artifacts(artifacts.to_owned()));

    // A server before MLflow 3 does not know the question.
    fake.set("POST", SEARCH, Answer::new(404, "text/html", "?"));
    let again = source(&fake, old).aspired().await.unwrap().unwrap();
    assert_eq!(again, aspired);

    let run_id = "9a08304d71554893927525d043e1b667";
    let question = format!("/api/2.0/mlflow/runs/get?run_uuid={run_id}&run_id={run_id}");
    let fake = Fake::recorded(&[&format!("log_model again {question}")]);
    let logged = |id: &str, run_id: &str| {
        json!({ "info": {
            "model_id": id,
            "artifact_uri": format!("{PROXIED}/{id}/artifacts"),
            "status": "LOGGED_MODEL_READY",
            "source_run_id": run_id,
        }})
    };
    // Another run's model of the same name comes first, ours on the second page.
    let first = json!({ "models": [logged("m-1", "another")], "next_page_token": "next" });
    let second = json!({ "models": [logged("m-2", "another"), logged("m-3", run_id)] });
    fake.set_in_turn("POST", SEARCH, [Answer::json(&first), Answer::json(&second)]);
    let aspired =
        source(&fake, &format!("runs:/{run_id}/net/sub")).aspired().await.unwrap().unwrap();
    assert_eq!(aspired.origin, Origin::Artifacts(format!("{PROXIED}/m-3/artifacts/sub")));
    let asked: Vec<Value> =
        fake.asked().iter().skip(1).map(|r| serde_json::from_str(&r.body).unwrap()).collect();
    assert_eq!(asked[0]["filter"], "name = 'net'");
    assert_eq!(asked[0]["page_token"], Value::Null);
    assert_eq!(asked[1]["page_token"], "next");
    assert_eq!(aspired.version, VersionId(1));
}

#[tokio::test]
async fn a_location_is_followed_to_the_files_and_not_for_ever() {
    let fake = Fake::recorded(&[MODEL, "logged model get"]);
    let here = std::env::current_dir().unwrap();
    let id = "m-4f895db77680420ebd43b4b3b3d5f049";
    for (location, origin) in [
        ("gs://bucket/a b", Origin::Artifacts("gs://bucket/a b".to_owned())),
        (&format!("models:/{id}"), Origin::Artifacts(format!("{PROXIED}/{id}/artifacts"))),
        (here.to_str().unwrap(), Origin::Directory(here.clone())),
        (&format!("file://{}", here.display()), Origin::Directory(here.clone())),
        // Not on this machine, but the server knows whose files they are.
        (
            &format!("file:///absent/0/models/{id}/artifacts"),
            Origin::Artifacts(format!("models:/{id}")),
        ),
        ("file:///absent/files", Origin::Directory("/absent/files".into())),
    ] {
        located(&fake, location);
        let aspired = source(&fake, "models:/churn@champion").aspired().await.unwrap().unwrap();
        assert_eq!(aspired.origin, origin, "{location}");
    }
    located(&fake, "https://host/files?sig=secret");
    let aspired = source(&fake, "models:/churn@champion").aspired().await.unwrap().unwrap();
    assert_eq!(aspired.origin, Origin::Artifacts("https://host/files?sig=secret".to_owned()));
    assert!(!aspired.stamp.contains("secret"));
    for (location, words) in [
        ("models:/churn/3", "leads to more than"),
        ("models:/churn/Staging", "names no one version"),
        ("hdfs://host/files", "nobody here reads `hdfs:`"),
        ("mlruns/0/artifacts", "relative"),
        ("file://elsewhere/files", "not on this host"),
    ] {
        located(&fake, location);
        let error = source(&fake, "models:/churn@champion").aspired().await.unwrap_err();
        assert!(matches!(error, SourceError::Remote(RemoteError::Unusable(_))), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
