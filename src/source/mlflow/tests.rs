use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use url::Url;

use super::RetryPolicy;
use super::ask::Ask;
use super::origin::{Location, owner};
use super::refusal::printable;
use crate::mlflow::RunUri;
use crate::model::ModelName;
use crate::source::Origin;

const SECOND: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(2);

#[test]
fn waits_double_as_those_of_mlflows_client_do() {
    let seconds: Vec<_> =
        (0..9).map(|retry| RetryPolicy::MLFLOW.wait(retry, None, 0.0).as_secs()).collect();
    assert_eq!(seconds, [0, 4, 8, 16, 32, 64, 120, 120, 120]);
    assert_eq!(RetryPolicy::MLFLOW.wait(1, None, 0.5), Duration::from_millis(4500));
    assert_eq!(RetryPolicy::MLFLOW.wait(1, Some(3 * SECOND), 0.5), 3 * SECOND);
    assert_eq!(RetryPolicy::MLFLOW.wait(1, Some(3600 * SECOND), 0.5), WAIT_MAX);
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_two_minutes(
        retry: u32,
        backoff: u64,
        jitter: u64,
        asked: Option<u64>,
        chance in -1.0..2.0_f64,
    ) {
        let [backoff, jitter] = [backoff, jitter].map(Duration::from_secs);
        let policy = RetryPolicy { retries_max: u32::MAX, backoff, jitter };
        prop_assert!(policy.wait(retry, asked.map(Duration::from_secs), chance) <= WAIT_MAX);
    }

    #[test]
    fn what_is_shown_is_one_short_line(text in any::<String>()) {
        let shown = printable(&text);
        prop_assert!(shown.chars().count() <= 200);
        prop_assert!(!shown.contains(char::is_control));
    }

    #[test]
    fn any_text_may_be_a_location_or_a_path(
        text in "(models:/|runs:/|file:|mlflow-artifacts:/?/?)?[a-z.%/?#@:\\\\ü-]{0,20}",
    ) {
        let _ = Location::of(&text);
        let server = Url::parse("http://host/prefix").unwrap();
        let ask = Ask::get(&server, "api", "it").under(&text);
        prop_assert!(ask.url.as_str().starts_with("http://host/prefix/api"));
        prop_assert!(ask.url.query().is_none() && ask.url.fragment().is_none());
        let names = ask.url.path_segments().unwrap().skip(2).collect::<Vec<_>>();
        prop_assert!(!names.contains(&"..") && !names.contains(&"."));
    }
}

#[test]
fn locations_are_told_apart() {
    let found = |origin| Some(Location::Found(origin));
    let artifacts = |uri: &str| found(Origin::Artifacts(uri.to_owned()));
    let directory = |path: &str| found(Origin::Directory(PathBuf::from(path)));
    let cases = [
        ("mlflow-artifacts:/1/x", artifacts("mlflow-artifacts:/1/x")),
        ("mlflow-artifacts://host:5500/1/x", artifacts("mlflow-artifacts://host:5500/1/x")),
        ("s3://bucket/a b", artifacts("s3://bucket/a b")),
        ("wasbs://c@account/x", artifacts("wasbs://c@account/x")),
        ("https://host/x?sig=1", artifacts("https://host/x?sig=1")),
        ("/srv/a%20b", directory("/srv/a%20b")),
        ("file:///srv/a%20b", directory("/srv/a b")),
        ("file:/srv/x", directory("/srv/x")),
        ("file://localhost/srv/x", directory("/srv/x")),
        ("file:mlruns/0", None),
        ("file://elsewhere/srv/x", None),
        ("mlruns/0", None),
        ("dbfs:/x", None),
        ("", None),
        ("models:/churn/3", Some(Location::Version(ModelName::new("churn").unwrap(), 3))),
        ("models:/churn@live", None),
        ("models:/m-1", Some(Location::LoggedModel("m-1".to_owned()))),
        ("runs:/ab/net", Some(Location::Run(RunUri::parse("runs:/ab/net").unwrap()))),
        ("runs:/ab", None),
    ];
    for (uri, want) in cases {
        assert_eq!(Location::of(uri).ok(), want, "{uri}");
    }
}

#[test]
fn the_path_of_artifacts_tells_whose_they_are() {
    let hex = "b48dc784cf664112bdc0d5be82fe1c04";
    let model = format!("models:/m-{hex}");
    for (path, want) in [
        (format!("/srv/0/models/m-{hex}/artifacts"), Some(model.clone())),
        (format!("/srv/0/models/m-{hex}/artifacts/"), Some(model.clone())),
        (format!("/srv/0/models/m-{hex}/artifacts/sub"), Some(format!("{model}/sub"))),
        (format!("/srv/0/{hex}/artifacts/a/b"), Some(format!("runs:/{hex}/a/b"))),
        (format!("/srv/artifacts/0/{hex}/artifacts/a"), Some(format!("runs:/{hex}/a"))),
        (format!("/srv/0/{hex}/artifacts"), None),
        (format!("/srv/0/{hex}0/artifacts/a"), None),
        ("/artifacts/a".to_owned(), None),
        (format!("/srv/{hex}"), None),
    ] {
        assert_eq!(owner(Path::new(&path)), want, "{path}");
    }
}
