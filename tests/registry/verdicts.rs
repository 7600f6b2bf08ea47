//! What the registry is told about versions.

use flowgate::model::VersionId;
use flowgate::source::{MlflowSource, TAG_PREFIX, Told, Wanted};
use flowgate::store::RemoteError;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake, recording};

const SET: &str = "/api/2.0/mlflow/model-versions/set-tag";
const DELETE: &str = "/api/2.0/mlflow/model-versions/delete-tag";

fn source(fake: &Fake, wanted: &str) -> MlflowSource {
    MlflowSource::new(fake.client(), Wanted::parse(wanted).unwrap())
}

/// A registry that takes tags.
fn willing() -> Fake {
    let fake = Fake::recorded(&["set version tag"]);
    fake.set("DELETE", DELETE, Answer::json(&json!({})));
    fake
}

/// What was written since the last call: `key=value`, or `key` for one that was taken away.
fn written(fake: &Fake) -> Vec<String> {
    let asked = fake.asked();
    let tag = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        assert_eq!(text("name").unwrap(), "churn");
        let value = text("value").map(|value| format!("={value}")).unwrap_or_default();
        format!("{} {}{value}", text("version").unwrap(), text("key").unwrap())
    };
    asked.iter().map(|request| tag(&request.body)).collect()
}

fn refused(reason: &str) -> Told {
    Told::Refused { reason: reason.to_owned() }
}

#[tokio::test]
async fn a_verdict_is_two_tags_and_is_written_once() {
    let fake = willing();
    let mut source = source(&fake, "models:/churn@champion");
    let rolled_back = Told::RolledBack { reason: "it fails\n more".to_owned() };
    for (told, tags) in [
        (refused("no graph"), ["3 flowgate.reason=no graph", "3 flowgate.status=refused"]),
        (refused("no input"), ["3 flowgate.reason=no input", "3 flowgate.status=refused"]),
        (Told::Serving, ["3 flowgate.status=serving", "3 flowgate.reason"]),
        (rolled_back, ["3 flowgate.reason=it fails more", "3 flowgate.status=rolled_back"]),
        (Told::Replaced, ["3 flowgate.status=replaced", "3 flowgate.reason"]),
    ] {
        for again in [false, true] {
            source.tell(VersionId(3), &told).await.unwrap();
            assert_eq!(written(&fake), if again { &[][..] } else { &tags[..] }, "{told:?}");
        }
    }
    source.tell(VersionId(4), &Told::Replaced).await.unwrap();
    assert_eq!(written(&fake).len(), 2, "another version is another verdict");
    source.tell(VersionId(3), &Told::Replaced).await.unwrap();
    assert_eq!(written(&fake), Vec::<String>::new());
}

#[tokio::test]
async fn a_reason_is_one_line_of_bounded_length() {
    let fake = willing();
    let mut source = source(&fake, "models:/churn/3");
    source.tell(VersionId(3), &refused(&"ü\n".repeat(5000))).await.unwrap();
    let tags = written(&fake);
    let reason = tags[0].strip_prefix("3 flowgate.reason=").unwrap();
    assert!(reason.len() <= 5000 && reason.chars().count() <= 1000, "{}", reason.len());
    assert!(reason.starts_with("ü ü") && !reason.contains('\n'));
    assert!("flowgate.reason".starts_with(TAG_PREFIX));
}

#[tokio::test]
async fn a_registry_that_denies_tags_is_asked_once() {
    for note in ["artifacts no creds", "serving user delete (403)"] {
        let fake = Fake::start();
        fake.set("POST", SET, recording(note).2);
        let mut source = source(&fake, "models:/churn@champion");
        let denied = source.tell(VersionId(3), &refused("no graph")).await;
        assert!(matches!(denied, Err(RemoteError::Denied(_))), "{denied:?}");
        assert_eq!(fake.asked().len(), 1);
        for told in [refused("no graph"), Told::Serving] {
            source.tell(VersionId(3), &told).await.unwrap();
            source.tell(VersionId(4), &told).await.unwrap();
        }
        assert_eq!(fake.asked().len(), 0);
    }
}

#[tokio::test]
async fn what_failed_for_the_moment_is_told_again_and_what_cannot_work_is_not() {
    let fake = willing();
    let mut source = source(&fake, "models:/churn@champion");
    fake.set("POST", SET, Answer::new(503, "text/html", "later"));
    let error = source.tell(VersionId(3), &Told::Serving).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    fake.replay("set version tag");
    fake.asked();
    source.tell(VersionId(3), &Told::Serving).await.unwrap();
    assert_eq!(written(&fake).len(), 2);

    let gone = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no version" });
    fake.set("POST", SET, Answer { status: 404, ..Answer::json(&gone) });
    let error = source.tell(VersionId(3), &Told::Replaced).await.unwrap_err();
    assert!(matches!(error, RemoteError::Missing(_)), "{error:?}");
    fake.asked();
    source.tell(VersionId(3), &Told::Replaced).await.unwrap();
    assert_eq!(fake.asked().len(), 0);
}

#[tokio::test]
async fn what_has_no_tags_and_who_may_not_write_tells_nothing() {
    let fake = willing();
    let runs = "runs:/e483b2c9b47444728a11d8ec3f30fa49/model";
    for wanted in [runs, "models:/m-4f895db77680420ebd43b4b3b3d5f049"] {
        source(&fake, wanted).tell(VersionId(1), &Told::Serving).await.unwrap();
    }
    let mut silent = source(&fake, "models:/churn@champion").without_tags();
    silent.tell(VersionId(1), &refused("no graph")).await.unwrap();
    assert_eq!(fake.asked().len(), 0);
}
