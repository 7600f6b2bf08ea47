use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::source::{FileStoreOptions, FileStoreSource, Origin, SourceError, Wanted};

use super::{copy, fixture, text};

const RUN_2_9: &str = "756639899744203030/6390151311e14f34846a06cca8ff14b1/artifacts/model";
const RUN_2_9_PRODUCTION: &str =
    "756639899744203030/673cbd7a6ee4486dabc848c2476e1d54/artifacts/model";
const NET_3_18: &str = "614905838992749676/models/m-a812755a7b8a45c4af1dfbeca46f1e2c/artifacts";

/// A copy of a recorded store, as if it had been recorded where it lies now.
fn store(recorded: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = format!("{}/mlruns", text(folder.path()));
    let moved = |text: String| {
        ["filestore_real_2_9", "filestore_3_18"]
            .iter()
            .fold(text, |text, name| text.replace(&format!("/srv/lab/registry/{name}"), &here))
    };
    copy(&fixture(recorded), &folder.path().join("mlruns"), &moved);
    folder
}

fn root(store: &TempDir) -> PathBuf {
    store.path().join("mlruns")
}

fn options(store: &TempDir, wanted: &str) -> FileStoreOptions {
    FileStoreOptions {
        root: text(&root(store)),
        wanted: Wanted::parse(wanted).unwrap(),
        workspace: None,
        artifact_root: None,
    }
}

/// The version and where it lies, below the store's folder.
fn found(store: &TempDir, wanted: &str) -> Result<Option<(u64, String)>, SourceError> {
    let Some(aspired) = FileStoreSource::new(options(store, wanted))?.aspired()? else {
        return Ok(None);
    };
    let place = match aspired.origin {
        Origin::Directory(dir) => text(dir.strip_prefix(root(store)).unwrap_or(&dir)),
        Origin::Artifacts(uri) => uri,
    };
    Ok(Some((aspired.version.0, place)))
}

#[test]
fn every_selector_means_what_it_means_to_mlflow() {
    let old = store("file_store_2_9");
    let new = store("file_store_3_18");
    let at = |version, place: &str| Ok(Some((version, place.to_owned())));
    let cases = [
        (&old, "models:/churn/Production", at(2, RUN_2_9_PRODUCTION)),
        (&old, "models:/churn/1", at(1, RUN_2_9)),
        (&old, "models:/churn/None", at(1, RUN_2_9)),
        (&old, "models:/churn/latest", at(2, RUN_2_9_PRODUCTION)),
        (&old, "models:/churn@champion", at(1, RUN_2_9)),
        (&old, "models:/churn@challenger", Ok(None)),
        (&old, "models:/churn/Staging", Ok(None)),
        (&old, "models:/churn/7", Ok(None)),
        (&old, "runs:/6390151311e14f34846a06cca8ff14b1/model", at(1, RUN_2_9)),
        (&new, "models:/churn/Production", at(2, NET_3_18)),
        (&new, "models:/churn/latest", at(2, NET_3_18)),
        // Deleted, and still written down.
        (&new, "models:/churn/1", Ok(None)),
        (&new, "models:/churn/None", Ok(None)),
        (&new, "models:/m-a812755a7b8a45c4af1dfbeca46f1e2c", at(1, NET_3_18)),
        (&new, "runs:/c4f2a5b492e247abbd3f8001220ebc92/net", at(1, NET_3_18)),
    ];
    for (store, wanted, want) in cases {
        assert_eq!(found(store, wanted), want, "{wanted}");
    }
}

#[test]
fn what_the_store_does_not_know_is_said() {
    let store = store("file_store_3_18");
    let cases = [
        ("models:/nobody/1", "there is no model nobody in `"),
        ("models:/../1", "there is no model .. in `"),
        ("models:/m-0123", "no logged model m-0123"),
        ("models:/..", "no logged model .."),
        ("runs:/0123/net", "knows no run 0123"),
    ];
    for (wanted, part) in cases {
        match found(&store, wanted) {
            Err(SourceError::Unknown(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{wanted}: {other:?}"),
        }
    }
    assert_eq!(found(&store, "models:/churn@..").unwrap(), None);
    fs::rename(root(&store), store.path().join("elsewhere")).unwrap();
    let message = found(&store, "models:/churn/2").unwrap_err().to_string();
    assert!(message.contains("give the mlruns folder"), "{message}");
}

#[test]
fn the_alias_file_counts_and_not_its_copy() {
    let store = store("file_store_2_9");
    let alias = root(&store).join("models/churn/aliases/champion");
    fs::write(&alias, "2").unwrap();
    assert_eq!(found(&store, "models:/churn@champion").unwrap().unwrap().0, 2);
    // As it is for a moment when it is written in place.
    fs::write(&alias, "").unwrap();
    let message = found(&store, "models:/churn@champion").unwrap_err().to_string();
    assert!(message.contains("aliases/champion` holds no version number"), "{message}");
    fs::remove_file(&alias).unwrap();
    assert_eq!(found(&store, "models:/churn@champion"), Ok(None));
}

#[test]
fn a_file_that_is_being_written_is_an_error_and_no_answer() {
    let store = store("file_store_2_9");
    let meta = root(&store).join("models/churn/version-2/meta.yaml");
    let whole = fs::read(&meta).unwrap();
    for length in [0, 10, whole.len() / 3] {
        fs::write(&meta, &whole[..length]).unwrap();
        for wanted in ["models:/churn/2", "models:/churn/latest"] {
            let message = found(&store, wanted).unwrap_err().to_string();
            assert!(message.contains("version-2/meta.yaml`"), "{wanted}: {message}");
        }
    }
    fs::write(&meta, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let message = found(&store, "models:/churn/2").unwrap_err().to_string();
    assert!(message.contains("more than 1048576 bytes"), "{message}");
}

#[test]
fn locations_status_and_workspace_count() {
    let store = store("file_store_3_18");
    let meta = root(&store).join("models/churn/version-2/meta.yaml");
    let whole = fs::read_to_string(&meta).unwrap();
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        fs::write(&meta, whole.replace(from, to)).unwrap();
        found(&store, "models:/churn/2").map(|found| found.unwrap().1)
    };
    let location = "storage_location: file://";
    assert_eq!(with(location, "#"), Ok(NET_3_18.to_owned()), "by its source");
    assert_eq!(with(location, "storage_location: s3://bucket/a\n#"), Ok("s3://bucket/a".into()));
    let message = with("READY", "FAILED_REGISTRATION").unwrap_err().to_string();
    assert!(message.contains("version 2 of model churn is FAILED_REGISTRATION"), "{message}");
    assert_eq!(found(&store, "models:/churn/latest"), Ok(None));
    let message = with(location, "storage_location: file:///nowhere").unwrap_err().to_string();
    assert!(message.contains("no directory of this machine"), "{message}");

    let workspace = Some("team-a".to_owned());
    let options = FileStoreOptions { workspace, ..options(&store, "models:/churn/2") };
    let refused = FileStoreSource::new(options).unwrap().aspired();
    assert!(matches!(refused, Err(SourceError::Unknown(_))));
}

#[test]
fn changes_show_in_the_models_folder() {
    let store = store("file_store_2_9");
    let source = FileStoreSource::new(options(&store, "models:/churn/1")).unwrap();
    assert_eq!(source.places(), [root(&store).join("models/churn")]);
}
