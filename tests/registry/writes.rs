//! What is written to the registry.

use flowgate::model::{ModelName, Stage, VersionId};
use flowgate::source::OthersInStage;
use flowgate::store::RemoteError;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};

fn name() -> ModelName {
    ModelName::new("churn").unwrap()
}

#[tokio::test]
async fn every_write_is_the_request_that_mlflow_takes() {
    let fake = Fake::recorded(&[
        "set version tag",
        "set alias champion -> 1",
        "transition v1 -> Production",
    ]);
    let api = |path: &str| format!("/api/2.0/mlflow/{path}");
    fake.set("DELETE", &api("model-versions/delete-tag"), Answer::json(&json!({})));
    let (client, version) = (fake.client(), VersionId(3));
    client.set_version_tag(&name(), version, "validation_status", "approved").await.unwrap();
    client.delete_version_tag(&name(), version, "validation_status").await.unwrap();
    client.set_alias(&name(), "champion", version).await.unwrap();
    for others in [OthersInStage::Archive, OthersInStage::Keep] {
        client.transition_stage(&name(), version, Stage::Production, others).await.unwrap();
    }
    let bodies: Vec<Value> = fake
        .asked()
        .iter()
        .map(|request| {
            assert_eq!(request.headers["content-type"], "application/json");
            serde_json::from_str(&request.body).unwrap()
        })
        .collect();
    let stage = |archive: bool| {
        json!({
            "name": "churn", "version": "3", "stage": "Production",
            "archive_existing_versions": archive,
        })
    };
    let tag = json!({ "name": "churn", "version": "3", "key": "validation_status" });
    let mut tagged = tag.clone();
    tagged["value"] = "approved".into();
    let alias = json!({ "name": "churn", "alias": "champion", "version": "3" });
    assert_eq!(bodies, [tagged, tag, alias, stage(true), stage(false)]);
}

#[tokio::test]
async fn what_the_registry_does_not_take_is_said_in_its_words() {
    let fake = Fake::recorded(&["alias 'latest' is reserved"]);
    let error = fake.client().set_alias(&name(), "latest", VersionId(2)).await.unwrap_err();
    assert!(matches!(error, RemoteError::Unusable(_)), "{error:?}");
    assert!(error.to_string().contains("is reserved"), "{error}");
}
