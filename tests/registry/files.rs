//! Files read through the tracking server.

use flowgate::source::{Client, Credentials, ProxyDir};
use flowgate::store::{RemoteDir as _, RemoteError, RemoteFile};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};

const MODEL: &str = "mlflow-artifacts:/1/models/m-4f895db77680420ebd43b4b3b3d5f049/artifacts";
const LIST: &str = "/api/2.0/mlflow-artifacts/artifacts";

fn dir(fake: &Fake, uri: &str) -> ProxyDir {
    assert!(ProxyDir::reads(uri), "{uri}");
    ProxyDir::new(&fake.client(), uri).unwrap()
}

async fn content(dir: &ProxyDir, path: &str) -> Result<Vec<u8>, RemoteError> {
    let pieces: Vec<_> = dir.read(path).await?.try_collect().await?;
    Ok(pieces.concat())
}

fn sorted(mut files: Vec<RemoteFile>) -> Vec<(String, Option<u64>)> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.into_iter().map(|file| (file.path, file.bytes)).collect()
}

fn listing(files: &[(&str, Option<u64>)]) -> Value {
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| match bytes {
            Some(bytes) => json!({ "path": path, "is_dir": false, "file_size": bytes }),
            None => json!({ "path": path, "is_dir": true }),
        })
        .collect();
    json!({ "files": files })
}

#[tokio::test]
async fn the_recorded_directory_is_listed_and_read() {
    let fake = Fake::recorded(&["artifact list root of version", "download MLmodel"]);
    let dir = dir(&fake, MODEL);
    let files = sorted(dir.list().await.unwrap());
    assert_eq!(files.len(), 5);
    assert_eq!(files[0], ("MLmodel".to_owned(), Some(944)));
    assert_eq!(files[2], ("model.onnx".to_owned(), Some(5589)));
    assert_eq!(content(&dir, "MLmodel").await.unwrap().len(), 944);
}

#[tokio::test]
async fn directories_within_are_walked_and_names_arrive_as_they_are() {
    let fake = Fake::start();
    let at = |path: &str| format!("{LIST}?path={path}");
    let root = listing(&[("MLmodel", Some(3)), ("code", None)]);
    fake.set("GET", &at("1/x"), Answer::json(&root));
    fake.set(
        "GET",
        &at("1/x/code"),
        Answer::json(&listing(&[("a b%20ü.py", Some(2)), ("in", None)])),
    );
    fake.set("GET", &at("1/x/code/in"), Answer::json(&json!({})));
    fake.set("GET", &format!("{LIST}/1/x/code/a%20b%2520%C3%BC.py"), Answer::new(200, "x", "ok"));
    let dir = dir(&fake, "mlflow-artifacts:///1/x/");
    assert_eq!(
        sorted(dir.list().await.unwrap()),
        [("MLmodel".to_owned(), Some(3)), ("code/a b%20ü.py".to_owned(), Some(2))]
    );
    assert_eq!(content(&dir, "code/a b%20ü.py").await.unwrap(), b"ok");
}

#[tokio::test]
async fn what_is_not_there_is_missing() {
    let fake = Fake::recorded(&["artifact list missing dir", "download missing file"]);
    let error = dir(&fake, &format!("{MODEL}/nope")).list().await.unwrap_err();
    assert!(matches!(error, RemoteError::Missing(_)), "{error:?}");
    let error = content(&dir(&fake, MODEL), "nope.bin").await.unwrap_err();
    assert!(matches!(error, RemoteError::Missing(_)), "{error:?}");
}

#[tokio::test]
async fn a_run_and_a_logged_model_are_read_by_the_routes_of_the_web_pages() {
    let run = "e483b2c9b47444728a11d8ec3f30fa49";
    let fake = Fake::recorded(&["run artifacts list", "get-artifact by run (UI)"]);
    let from_run = dir(&fake, &format!("runs:/{run}/model"));
    let files = sorted(from_run.list().await.unwrap());
    assert_eq!(files.len(), 5);
    assert_eq!(files[0], ("MLmodel".to_owned(), Some(736)));
    assert_eq!(content(&from_run, "MLmodel").await.unwrap().len(), 736);

    let id = "m-4f895db77680420ebd43b4b3b3d5f049";
    fake.replay("logged model artifacts directories");
    let file = format!("/ajax-api/2.0/mlflow/logged-models/{id}/artifacts/files");
    let file = format!("{file}?artifact_file_path=MLmodel");
    fake.set("GET", &file, Answer::new(200, "text/plain", "flavors: {}"));
    let logged = dir(&fake, &format!("models:/{id}"));
    assert_eq!(sorted(logged.list().await.unwrap()).len(), 5);
    assert_eq!(content(&logged, "MLmodel").await.unwrap(), b"flavors: {}");
}

#[tokio::test]
async fn a_server_without_the_proxy_says_what_to_do() {
    let fake = Fake::recorded(&["artifacts proxy disabled"]);
    let error = dir(&fake, "mlflow-artifacts:/x").list().await.unwrap_err();
    assert!(matches!(error, RemoteError::Unusable(_)), "{error:?}");
    assert!(error.to_string().contains("--serve-artifacts"), "{error}");
}

#[tokio::test]
async fn a_file_that_ends_early_is_an_error() {
    let fake = Fake::start();
    let cut = Answer { length: Some(100), ..Answer::new(200, "x", vec![7; 40]) };
    fake.set("GET", &format!("{LIST}/1/x/model.onnx"), cut);
    let mut pieces = dir(&fake, "mlflow-artifacts:/1/x").read("model.onnx").await.unwrap();
    let mut bytes = 0;
    let error = loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => panic!("40 of 100 bytes are no file"),
            Err(error) => break error,
        }
    };
    assert_eq!(bytes, 40);
    assert!(matches!(error, RemoteError::Unreachable(_)), "{error:?}");
    assert_eq!(pieces.try_next().await, Ok(None), "an error is the end");
}

#[tokio::test]
async fn a_hostile_listing_is_refused() {
    let fake = Fake::start();
    let dir = dir(&fake, "mlflow-artifacts:/1/x");
    for name in ["..", "a/..", ".", "", "/"] {
        fake.set("GET", LIST, Answer::json(&listing(&[(name, Some(1))])));
        let error = dir.list().await.unwrap_err();
        assert!(matches!(error, RemoteError::Garbled(_)), "{name}: {error:?}");
    }
    // A directory within itself, for ever.
    fake.set("GET", LIST, Answer::json(&listing(&[("again", None)])));
    let error = dir.list().await.unwrap_err();
    assert!(error.to_string().contains("deeper than 32"), "{error}");
    fake.asked();
    let names: Vec<_> = (0..10_001).map(|index| format!("f{index}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), Some(1))).collect();
    fake.set("GET", LIST, Answer::json(&listing(&files)));
    assert!(dir.list().await.unwrap_err().to_string().contains("more than 10000 files"));
    for path in ["../MLmodel", "/MLmodel", "a//b", ""] {
        assert!(matches!(dir.read(path).await, Err(RemoteError::Unusable(_))), "{path}");
    }
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn another_servers_proxy_gets_no_credentials() {
    let [ours, other] = [Fake::start(), Fake::start()];
    let mut options = ours.options();
    options.credentials = Credentials::choose(None, None, Some("secret".to_owned()));
    let client = Client::new(&options).unwrap();
    let authority = other.uri().replace("http:", "");
    other.set("GET", LIST, Answer::json(&listing(&[("MLmodel", Some(1))])));
    let foreign = ProxyDir::new(&client, &format!("mlflow-artifacts:{authority}/1/x")).unwrap();
    assert_eq!(foreign.list().await.unwrap().len(), 1);
    assert!(!other.asked()[0].headers.contains_key("authorization"));
    ours.set("GET", LIST, Answer::json(&listing(&[("MLmodel", Some(1))])));
    ProxyDir::new(&client, "mlflow-artifacts:/1/x").unwrap().list().await.unwrap();
    assert_eq!(ours.asked()[0].headers["authorization"], "Bearer secret");
}

#[tokio::test]
async fn a_server_that_only_signs_addresses_is_asked_for_them() {
    let [server, store] = [Fake::start(), Fake::start()];
    let mut options = server.options();
    options.credentials = Credentials::choose(None, None, Some("token".to_owned()));
    let dir = ProxyDir::new(&Client::new(&options).unwrap(), "mlflow-artifacts:/1/x").unwrap();
    let denial = json!({ "error_code": "PERMISSION_DENIED", "message": "directly from storage" });
    let denied = || Answer::new(403, "application/json", denial.to_string());
    for name in ["a%20b", "c"] {
        server.set("GET", &format!("{LIST}/1/x/{name}"), denied());
    }
    // Whoever does not say so may only lack a permission.
    assert!(matches!(content(&dir, "a b").await, Err(RemoteError::Denied(_))));
    let info = json!({ "artifacts_presigned_only": true });
    server.set("GET", "/api/3.0/mlflow/server-info", Answer::json(&info));
    server.asked();
    for (name, path) in [("a%20b", "/bucket/a%20b"), ("c", "/bucket/c")] {
        let url = format!("{}{path}?X-Amz-Signature=secret", store.uri());
        let signed = json!({ "url": url, "headers": { "x-needed": "yes" }, "file_size": 2 });
        let at = format!("/api/2.0/mlflow-artifacts/presigned/1/x/{name}");
        server.set("GET", &at, Answer::json(&signed));
        store.set("GET", &format!("{path}?X-Amz-Signature=secret"), Answer::new(200, "x", "ok"));
    }
    assert_eq!(content(&dir, "a b").await.unwrap(), b"ok");
    let shown = &store.asked()[0];
    assert!(!shown.headers.contains_key("authorization"), "{shown:?}");
    assert_eq!(shown.headers["x-needed"], "yes");
    server.asked();
    assert_eq!(content(&dir, "c").await.unwrap(), b"ok");
    assert_eq!(server.asked().len(), 1, "what it does is known by now");

    let expired = Answer::new(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    store.set("GET", "/bucket/c?X-Amz-Signature=secret", expired);
    let error = content(&dir, "c").await.unwrap_err().to_string();
    assert!(
        error.contains("signed for it is not accepted") && !error.contains("secret"),
        "{error}"
    );
    for url in ["file:///etc/passwd", "nowhere"] {
        let at = "/api/2.0/mlflow-artifacts/presigned/1/x/c";
        server.set("GET", at, Answer::json(&json!({ "url": url })));
        assert!(matches!(content(&dir, "c").await, Err(RemoteError::Garbled(_))), "{url}");
    }
}

#[test]
fn other_uris_are_not_read_here() {
    let client = Fake::start().client();
    for uri in
        ["s3://bucket/x", "file:///x", "models:/a/../b", "runs:/x", "mlflow-artifacts:/a/../b"]
    {
        assert!(ProxyDir::new(&client, uri).is_err(), "{uri}");
    }
    for uri in ["s3://bucket/x", "file:///x", "http://host/x"] {
        assert!(!ProxyDir::reads(uri), "{uri}");
    }
}
