use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::source::{Origin, SourceError, SqliteOptions, SqliteSource, Wanted};

use super::{fixture, text};

const NET: &str = "1/models/m-4f895db77680420ebd43b4b3b3d5f049/artifacts";
const ARCHIVED: &str = "1/models/m-9f68807c924d44c0bc0805c3b1659f9f/artifacts";
const RUN: &str = "e483b2c9b47444728a11d8ec3f30fa49";

/// A copy of the recorded database, with the directories that its locations mean.
fn laptop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("mlflow.db"), database(&folder)).unwrap();
    for dir in [NET, ARCHIVED, &format!("1/{RUN}/artifacts/model")] {
        fs::create_dir_all(folder.path().join("mlartifacts").join(dir)).unwrap();
    }
    folder
}

fn database(folder: &TempDir) -> String {
    text(&folder.path().join("mlflow.db"))
}

fn change(folder: &TempDir, sql: &str) {
    Connection::open(database(folder)).unwrap().execute_batch(sql).unwrap();
}

fn options(folder: &TempDir, wanted: &str) -> SqliteOptions {
    SqliteOptions {
        uri: format!("sqlite:///{}", database(folder)),
        wanted: Wanted::parse(wanted).unwrap(),
        workspace: None,
        artifact_root: None,
    }
}

/// The version and where it lies, below the folder of served artifacts.
fn found(folder: &TempDir, wanted: &str) -> Result<Option<(u64, String)>, SourceError> {
    found_with(folder, options(folder, wanted))
}

fn found_with(
    folder: &TempDir,
    options: SqliteOptions,
) -> Result<Option<(u64, String)>, SourceError> {
    let Some(aspired) = SqliteSource::new(options)?.aspired()? else { return Ok(None) };
    let place = match aspired.origin {
        Origin::Directory(dir) => {
            let root = folder.path().join("mlartifacts");
            text(dir.strip_prefix(root).unwrap_or(&dir))
        }
        Origin::Artifacts(uri) => uri,
    };
    Ok(Some((aspired.version.0, place)))
}

#[test]
fn every_selector_means_what_it_means_to_mlflow() {
    let folder = laptop();
    change(
        &folder,
        "INSERT INTO registered_model_aliases (alias, version, name) VALUES \
         ('champion', 3, 'churn'), ('gone', 2, 'churn')",
    );
    let at = |version, place: &str| Ok(Some((version, place.to_owned())));
    let cases = [
        ("models:/churn/Production", at(1, NET)),
        ("models:/churn/production", at(1, NET)),
        ("models:/churn/Archived", at(3, ARCHIVED)),
        ("models:/churn/None", at(5, NET)),
        ("models:/churn/latest", at(5, NET)),
        ("models:/churn/3", at(3, ARCHIVED)),
        ("models:/churn@champion", at(3, ARCHIVED)),
        ("models:/churn/Staging", Ok(None)),
        ("models:/churn@Champion", Ok(None)),
        // Both versions are `Deleted_Internal`.
        ("models:/churn@gone", Ok(None)),
        ("models:/churn/4", Ok(None)),
        // Its own location wins over what it is a copy of.
        ("models:/churn_prod/1", at(1, ARCHIVED)),
        // A version made from a run of before MLflow 3.
        ("models:/churn2-renamed/2", at(2, &format!("1/{RUN}/artifacts/model"))),
        ("models:/m-4f895db77680420ebd43b4b3b3d5f049", at(1, NET)),
        (&format!("runs:/{RUN}/model"), at(1, &format!("1/{RUN}/artifacts/model"))),
        // A run of MLflow 3: the model lies beside it, under the name it was logged with.
        ("runs:/6e315cf35db2428cb5db19a311127b96/net", at(1, NET)),
    ];
    for (wanted, want) in cases {
        assert_eq!(found(&folder, wanted), want, "{wanted}");
    }
}

#[test]
fn what_the_registry_does_not_know_is_said() {
    let folder = laptop();
    change(
        &folder,
        "UPDATE logged_models SET status = 1 WHERE model_id LIKE 'm-9f%'; \
         UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid LIKE '9a08%'",
    );
    let cases = [
        ("models:/nobody/1", "there is no model nobody in `"),
        ("models:/Churn/1", "there is no model Churn"),
        ("models:/m-0123", "no logged model m-0123"),
        ("models:/m-9f68807c924d44c0bc0805c3b1659f9f", "that is ready"),
        ("runs:/0123/net", "knows no run 0123"),
        ("runs:/9a08304d71554893927525d043e1b667/net", "knows no run 9a08"),
    ];
    for (wanted, part) in cases {
        match found(&folder, wanted) {
            Err(SourceError::Unknown(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn only_ready_versions_are_loaded() {
    let folder = laptop();
    let pending = "UPDATE model_versions SET status = 'PENDING_REGISTRATION' WHERE version = 5";
    change(&folder, pending);
    assert_eq!(found(&folder, "models:/churn/latest").unwrap().unwrap().0, 3);
    assert_eq!(found(&folder, "models:/churn/None"), Ok(None));
    let message = found(&folder, "models:/churn/5").unwrap_err().to_string();
    assert_eq!(
        message,
        "version 5 of model churn is PENDING_REGISTRATION in the registry, and only what is READY \
         is loaded"
    );
}

#[test]
fn sources_are_followed_and_circles_end() {
    let folder = laptop();
    let follow = |location: &str, source: &str| {
        let sql = format!(
            "UPDATE model_versions SET storage_location = {location}, source = '{source}' \
             WHERE name = 'churn' AND version = 1"
        );
        change(&folder, &sql);
        found(&folder, "models:/churn/1").map(|found| found.unwrap().1)
    };
    let net = "models:/m-4f895db77680420ebd43b4b3b3d5f049";
    assert_eq!(follow("NULL", net), Ok(NET.to_owned()));
    assert_eq!(follow("''", "models:/churn/3"), Ok(ARCHIVED.to_owned()));
    assert_eq!(follow("'s3://bucket/x'", net), Ok("s3://bucket/x".to_owned()));
    assert_eq!(follow("NULL", "abfss://c@a/x"), Ok("abfss://c@a/x".to_owned()));
    let local = folder.path().join("files");
    fs::create_dir(&local).unwrap();
    assert_eq!(follow("'./files'", net), Ok(text(&folder.path().join("./files"))));
    assert_eq!(follow(&format!("'file://{}'", text(&local)), net), Ok(text(&local)));

    let refusals = [
        ("models:/churn/1", "a copy of a copy more than 16 times over"),
        ("models:/churn/Staging", "is a copy of stage Staging of model churn, which it does not"),
        ("mlflow-artifacts:/../../etc", "leads out of"),
        ("mlflow-artifacts:/9/none", "if a tracking server keeps its artifacts elsewhere"),
        ("file:///nowhere/1", "no directory of this machine"),
    ];
    for (source, part) in refusals {
        let message = follow("NULL", source).unwrap_err().to_string();
        assert!(message.contains(part), "{source}: {message}");
    }
}

#[test]
fn artifacts_of_a_server_may_lie_elsewhere() {
    let folder = laptop();
    let with_root = |root: &str| {
        let artifact_root = Some(root.to_owned());
        let options = SqliteOptions { artifact_root, ..options(&folder, "models:/churn/1") };
        found_with(&folder, options).map(|found| found.unwrap().1)
    };
    assert_eq!(with_root("s3://bucket/base"), Ok(format!("s3://bucket/base/{NET}")));
    fs::rename(folder.path().join("mlartifacts"), folder.path().join("moved")).unwrap();
    let moved = folder.path().join("moved");
    assert_eq!(with_root(&text(&moved)), Ok(text(&moved.join(NET))));
    assert!(with_root("mlartifacts").is_err());
}

#[test]
fn a_stamp_changes_with_what_the_registry_says_of_the_version_only() {
    let folder = laptop();
    let stamp = || {
        let mut source = SqliteSource::new(options(&folder, "models:/churn/1")).unwrap();
        source.aspired().unwrap().unwrap().stamp
    };
    let first = stamp();
    change(&folder, "UPDATE model_versions SET last_updated_time = 7 WHERE version = 5");
    change(
        &folder,
        "INSERT INTO registered_model_aliases (alias, version, name) VALUES ('a', 1, 'churn')",
    );
    assert_eq!(stamp(), first);
    change(&folder, "UPDATE model_versions SET last_updated_time = 7 WHERE version = 1");
    assert_ne!(stamp(), first);
}

#[test]
fn workspaces_are_worlds_of_their_own() {
    let folder = laptop();
    change(
        &folder,
        "INSERT INTO registered_models (name, workspace) VALUES ('churn', 'team-a'); \
         INSERT INTO model_versions (name, version, current_stage, source, status, workspace) \
         SELECT name, 9, 'Production', storage_location, status, 'team-a' FROM model_versions \
         WHERE name = 'churn' AND version = 3",
    );
    let latest = |workspace: &str| {
        let workspace = Some(workspace.to_owned());
        found_with(&folder, SqliteOptions { workspace, ..options(&folder, "models:/churn/latest") })
    };
    assert_eq!(latest("team-a"), Ok(Some((9, ARCHIVED.to_owned()))));
    assert_eq!(latest("default"), Ok(Some((5, NET.to_owned()))));
    assert!(matches!(latest("team-b"), Err(SourceError::Unknown(_))));
}

/// The tables of MLflow 1: neither workspaces nor storage locations, aliases or logged models.
#[test]
fn an_older_database_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("mlruns/1/abc/artifacts/model")).unwrap();
    change(
        &folder,
        "CREATE TABLE registered_models (name VARCHAR(256) PRIMARY KEY); \
         CREATE TABLE model_versions (name VARCHAR(256), version INTEGER, last_updated_time \
         BIGINT, current_stage VARCHAR(20), source VARCHAR(500), status VARCHAR(20)); \
         CREATE TABLE runs (run_uuid VARCHAR(32), lifecycle_stage VARCHAR(20), artifact_uri \
         VARCHAR(200)); \
         INSERT INTO registered_models VALUES ('churn'); \
         INSERT INTO model_versions VALUES \
         ('churn', 1, 1, 'Production', 'mlruns/1/abc/artifacts/model', 'READY'), \
         ('churn', 2, 1, NULL, 'mlruns/1/abc/artifacts/model', 'READY'); \
         INSERT INTO runs VALUES ('abc', 'active', './mlruns/1/abc/artifacts')",
    );
    let place = text(&folder.path().join("mlruns/1/abc/artifacts/model"));
    let dotted = text(&folder.path().join("./mlruns/1/abc/artifacts/model"));
    assert_eq!(found(&folder, "models:/churn/Production"), Ok(Some((1, place.clone()))));
    assert_eq!(found(&folder, "models:/churn/latest"), Ok(Some((2, place))));
    assert_eq!(found(&folder, "models:/churn@champion"), Ok(None));
    assert_eq!(found(&folder, "runs:/abc/model"), Ok(Some((1, dotted))));
    assert!(found(&folder, "models:/m-1").is_err());
    let workspace = Some("team-a".to_owned());
    let refused =
        found_with(&folder, SqliteOptions { workspace, ..options(&folder, "models:/churn/1") });
    assert!(refused.unwrap_err().to_string().contains("of an MLflow without workspaces"));
}

#[test]
fn another_may_write_at_the_same_time() {
    let folder = laptop();
    for mode in ["WAL", "DELETE"] {
        let writer = Connection::open(database(&folder)).unwrap();
        writer.pragma_update(None, "journal_mode", mode).unwrap();
        let mut source = SqliteSource::new(options(&folder, "models:/churn/Production")).unwrap();
        let mut version = || source.aspired().map(|found| found.unwrap().version.0);
        let promote = |from: u64, to: u64| {
            let sql = format!(
                "UPDATE model_versions SET current_stage = iif(version = {to}, 'Production', \
                 'Archived') WHERE name = 'churn' AND version IN ({from}, {to})"
            );
            writer.execute_batch(&sql).unwrap();
        };
        assert_eq!(version(), Ok(1), "{mode}");
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        promote(1, 3);
        assert_eq!(version(), Ok(1), "{mode}: not committed yet");
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(version(), Ok(3), "{mode}");
        promote(3, 1);
        assert_eq!(version(), Ok(1), "{mode}");
    }

    let writer = Connection::open(database(&folder)).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let message = found(&folder, "models:/churn/1").unwrap_err().to_string();
    assert!(message.contains("is being written"), "{message}");
}

#[test]
fn nothing_is_written() {
    let outer = laptop();
    let odd = outer.path().join("100% odd?#");
    fs::create_dir(&odd).unwrap();
    for name in ["mlflow.db", "mlartifacts"] {
        fs::rename(outer.path().join(name), odd.join(name)).unwrap();
    }
    let database = odd.join("mlflow.db");
    for mode in ["DELETE", "WAL"] {
        Connection::open(&database).unwrap().pragma_update(None, "journal_mode", mode).unwrap();
        let before = fs::read(&database).unwrap();
        // A question mark in a URI begins its query, so the place is given as it is.
        let mut options = options(&outer, "models:/churn/1");
        options.uri = "sqlite:///mlflow.db".to_owned();
        let mut source = SqliteSource::at(database.clone(), options);
        assert_eq!(source.aspired().unwrap().unwrap().version.0, 1, "{mode}");
        assert_eq!(fs::read(&database).unwrap(), before, "{mode}");
        let names = fs::read_dir(&odd).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["mlartifacts", "mlflow.db"], "{mode}");
    }
}

#[test]
fn what_is_no_database_of_mlflow_is_refused_and_one_that_comes_later_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = SqliteSource::new(options(&folder, "models:/churn/1")).unwrap();
    let mut refusal = || source.aspired().unwrap_err().to_string();
    assert!(refusal().contains("cannot be opened"));
    fs::write(database(&folder), "").unwrap();
    assert!(refusal().contains("no table model_versions"));
    fs::write(database(&folder), "text ".repeat(1000)).unwrap();
    assert!(refusal().contains("is not a SQLite database"));
    let recorded = fs::read(fixture("mlflow.db")).unwrap();
    fs::write(database(&folder), &recorded[..recorded.len() / 2]).unwrap();
    let _ = refusal();

    fs::write(database(&folder), recorded).unwrap();
    fs::create_dir_all(folder.path().join("mlartifacts").join(NET)).unwrap();
    assert_eq!(source.aspired().unwrap().unwrap().version.0, 1);
}

#[test]
fn the_uri_is_sqlalchemys() {
    let place = |uri: &str| {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { uri: uri.to_owned(), ..options(&folder, "models:/churn/1") };
        SqliteSource::new(options).map(|source| source.places()).map_err(|error| error.to_string())
    };
    let here = std::env::current_dir().unwrap();
    assert_eq!(place("sqlite:///mlflow.db"), Ok(vec![here.join("mlflow.db")]));
    assert_eq!(place("sqlite:////srv/mlflow.db"), Ok(vec![Path::new("/srv/mlflow.db").into()]));
    assert_eq!(place("sqlite+pysqlite:///a.db?timeout=3"), Ok(vec![here.join("a.db")]));
    for uri in ["sqlite://", "sqlite:///", "sqlite:///:memory:", "postgresql:///x", "mlflow.db"] {
        assert!(place(uri).unwrap_err().contains("write sqlite:///PATH"), "{uri}");
    }
}
