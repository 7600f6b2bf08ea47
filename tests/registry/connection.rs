//! Credentials, retries, bounds, and what refusals are taken for.

use std::net::TcpListener;
use std::time::Duration;

use flowgate::model::ModelName;
use flowgate::source::{Client, ClientOptions, Credentials, MlflowSource, RetryPolicy, Wanted};
use flowgate::store::RemoteError;
use url::Url;

use crate::fake::{Answer, Fake, options, recording};

const GET_MODEL: &str = "/api/2.0/mlflow/registered-models/get";

async fn ask(options: &ClientOptions) -> Result<(), RemoteError> {
    let target = Wanted::parse("models:/churn@live").unwrap();
    match MlflowSource::new(Client::new(options)?, target).aspired().await {
        Ok(_) => Ok(()),
        Err(flowgate::source::SourceError::Remote(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn model() -> Answer {
    Answer::new(200, "application/json", r#"{"registered_model": {"name": "churn"}}"#)
}

fn refusal(note: &str) -> Answer {
    recording(note).2
}

#[tokio::test]
async fn name_and_password_win_over_a_token_and_both_are_sent() {
    let fake = Fake::start();
    fake.set("GET", GET_MODEL, model());
    let some = |text: &str| Some(text.to_owned());
    for (credentials, header) in [
        (Credentials::choose(some("me"), some("p:w"), some("t")), "Basic bWU6cDp3"),
        (Credentials::choose(some("me"), None, some("t")), "Bearer t"),
        (Credentials::choose(some("me"), some(""), some("t")), "Bearer t"),
    ] {
        let options = ClientOptions { credentials, workspace: some("team-a"), ..fake.options() };
        ask(&options).await.unwrap();
        let request = fake.asked().remove(0);
        assert_eq!(request.headers["authorization"], header);
        assert_eq!(request.headers["x-mlflow-workspace"], "team-a");
    }
    assert_eq!(Credentials::choose(some("me"), None, None), None);
}

#[tokio::test]
async fn a_prefix_is_kept_and_credentials_of_the_uri_are_used_but_never_shown() {
    let fake = Fake::start();
    fake.set("GET", &format!("/ml{GET_MODEL}"), model());
    let uri = fake.uri().replace("http://", "http://me:p%40ss%2Bx@") + "/ml/?token=secret";
    ask(&options(&uri)).await.unwrap();
    let request = fake.asked().remove(0);
    assert_eq!(request.target, format!("/ml{GET_MODEL}?name=churn"));
    // me:p@ss+x
    assert_eq!(request.headers["authorization"], "Basic bWU6cEBzcyt4");
    fake.set("GET", &format!("/ml{GET_MODEL}"), Answer::new(500, "text/html", "no"));
    let error = ask(&options(&uri)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{}/ml answered 500", fake.uri())), "{error}");
    let debug = format!("{:?} {error}", options(&uri));
    assert!(!debug.contains("p%40ss") && !debug.contains("p@ss") && !debug.contains("secret"));
}

#[tokio::test]
async fn recorded_refusals_mean_what_they_say() {
    let fake = Fake::start();
    let mut options = fake.options();
    fake.set("GET", GET_MODEL, refusal("artifacts no creds"));
    let error = ask(&options).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Denied(text) if text.contains("MLFLOW_TRACKING_TOKEN")));
    let password = Some("sesame".to_owned());
    options.credentials = Credentials::choose(Some("serving".to_owned()), password, None);
    let error = ask(&options).await.unwrap_err().to_string();
    assert!(error.contains("the name serving or its password is wrong"), "{error}");
    fake.set("GET", GET_MODEL, refusal("serving user delete (403)"));
    let error = ask(&options).await.unwrap_err().to_string();
    assert!(error.contains("serving lacks the permission") && !error.contains("sesame"), "{error}");
    fake.set("GET", GET_MODEL, refusal("service name Host header (docker/k8s)"));
    let error = ask(&options).await.unwrap_err();
    let advice = fake.uri().replace("http://", "--allowed-hosts ");
    assert!(matches!(&error, RemoteError::Denied(text) if text.ends_with(&advice)), "{error}");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_shown_in_part() {
    let fake = Fake::start();
    for (answer, words) in [
        (Answer::new(200, "text/html", format!("<html>\n\t{}", "x".repeat(500))), "<html> xxx"),
        (Answer::new(200, "application/json", "{}"), "registered_model"),
        (Answer::new(200, "application/json", r#"{"registered_model": []"#), "EOF"),
        (Answer::new(200, "application/json", vec![b' '; (16 << 20) + 1]), "more than 16 MiB"),
        (Answer::new(404, "text/html", "nginx"), "is the tracking or registry URI"),
    ] {
        fake.set("GET", GET_MODEL, answer);
        let error = ask(&fake.options()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RemoteError::Garbled(_)), "{error:?}");
        assert!(text.contains(words) && text.len() < 500, "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_transient_refusal_is_repeated_as_often_as_was_said() {
    let fake = Fake::start();
    let policy = RetryPolicy { retries_max: 2, backoff: Duration::ZERO, jitter: Duration::ZERO };
    let options = ClientOptions { retry: policy, ..fake.options() };
    for (status, requests) in [(503, 3), (429, 3), (408, 3), (500, 3), (501, 1), (404, 1), (403, 1)]
    {
        let answer = Answer::new(status, "text/html", "later").header("Retry-After", "0");
        fake.set("GET", GET_MODEL, answer);
        let error = ask(&options).await.unwrap_err();
        assert_eq!(fake.asked().len(), requests, "{status}");
        assert_eq!(matches!(error, RemoteError::Unreachable(_)), requests == 3, "{error:?}");
    }
    let name = ModelName::new("churn").unwrap();
    let version = flowgate::model::VersionId(1);
    let client = Client::new(&options).unwrap().with_retry(RetryPolicy::NEVER);
    client.set_alias(&name, "live", version).await.unwrap_err();
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn nobody_there_and_nothing_said_are_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    // The system takes the connection, nobody ever answers.
    let quick = ClientOptions { timeout: Duration::from_millis(50), ..options(&uri) };
    let error = ask(&quick).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Unreachable(_)), "{error:?}");
    drop(listener);
    let error = ask(&options(&uri)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_within_the_server_only() {
    let [ours, other] = [Fake::start(), Fake::start()];
    let mut options = ours.options();
    options.credentials = Credentials::choose(None, None, Some("secret".to_owned()));
    let elsewhere = format!("{}/login?ticket=hidden", other.uri());
    for status in [301, 302, 307, 308] {
        let answer = Answer::new(status, "text/html", "").header("Location", &elsewhere);
        ours.set("GET", GET_MODEL, answer);
        let error = ask(&options).await.unwrap_err();
        assert!(matches!(error, RemoteError::Unusable(_)), "{error:?}");
        assert!(error.to_string().contains(&format!("to {}/login:", other.uri())), "{error}");
    }
    assert!(other.asked().is_empty());
    ours.set("GET", GET_MODEL, Answer::new(308, "text/html", "").header("Location", "/there"));
    ours.set("GET", "/there", model());
    ask(&options).await.unwrap();
    ours.set("GET", "/there", Answer::new(308, "text/html", "").header("Location", "/there"));
    ours.asked();
    assert!(matches!(ask(&options).await, Err(RemoteError::Unusable(_))));
    assert_eq!(ours.asked().len(), 6);
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let fine = || options("http://127.0.0.1:5000");
    let text = std::env::current_dir().unwrap().join("Cargo.toml");
    let refused = [
        ClientOptions { tracking_uri: Url::parse("sqlite:///mlflow.db").unwrap(), ..fine() },
        ClientOptions { registry_uri: Url::parse("file:///mlruns").unwrap(), ..fine() },
        ClientOptions { ca_bundle: Some("/absent/ca.pem".into()), ..fine() },
        ClientOptions { ca_bundle: Some(text.clone()), ..fine() },
        ClientOptions { client_certificate: Some(text), ..fine() },
        ClientOptions { workspace: Some("a\nb".to_owned()), ..fine() },
    ];
    for options in refused {
        let error = Client::new(&options).err();
        assert!(matches!(error, Some(RemoteError::Unusable(_))), "{options:?}: {error:?}");
    }
    Client::new(&fine()).unwrap();
}
