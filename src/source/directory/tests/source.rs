use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::model::{Selector, Stage, VersionId};
use crate::source::directory::look::Look;
use crate::source::directory::settle::Now;
use crate::source::tests::{copy, text, wine};
use crate::source::{DirectoryOptions, DirectorySource, Origin, SourceError, models_at};

/// No test takes as long.
const LONG: Duration = Duration::from_hours(1);

fn follow(path: &Path, selector: Option<Selector>, settle: Duration) -> DirectorySource {
    DirectorySource::new(DirectoryOptions { path: text(path), selector, settle })
}

fn answer(source: &mut DirectorySource) -> Result<Option<u64>, SourceError> {
    source.aspired().map(|aspired| aspired.map(|aspired| aspired.version.0))
}

/// What is said when everything of the present is old.
fn answer_later(source: &mut DirectorySource) -> Result<Option<u64>, SourceError> {
    let now = Now { wall: SystemTime::now() + LONG, steady: Instant::now() };
    source.aspired_at(now).map(|aspired| aspired.map(|aspired| aspired.version.0))
}

fn put(root: &TempDir, version: u64) {
    copy(&wine(1), &root.path().join(format!("wine/{version}")), &|text| text);
}

#[test]
fn the_registry_file_says_what_serves_and_where() {
    let root = tempfile::tempdir().unwrap();
    for version in [1, 2, 10] {
        put(&root, version);
    }
    let folder = root.path().join("wine");
    let mut latest = follow(&folder, None, Duration::ZERO);
    let aspired = latest.aspired().unwrap().unwrap();
    assert_eq!(aspired.version, VersionId(10));
    let dir = folder.canonicalize().unwrap().join("10");
    assert_eq!(aspired.origin, Origin::Directory(dir));
    assert_eq!(latest.settles_in(), None);

    fs::write(folder.join("registry.yaml"), "stages: {Production: 2}\naliases: {best: 1}").unwrap();
    assert_eq!(answer(&mut latest), Ok(Some(2)));
    let best = Selector::Alias("best".to_owned());
    assert_eq!(answer(&mut follow(&folder, Some(best), Duration::ZERO)), Ok(Some(1)));
    let staging = Selector::Stage(Stage::Staging);
    assert_eq!(answer(&mut follow(&folder, Some(staging), Duration::ZERO)), Ok(None));
    let gone = answer(&mut follow(&folder, Some(Selector::Version(VersionId(7))), Duration::ZERO));
    assert!(gone.unwrap_err().to_string().contains("has no 7/MLmodel (its versions: 1, 2, 10)"));

    fs::write(folder.join("registry.yaml"), "stages: {Production: x}").unwrap();
    assert!(matches!(answer(&mut latest), Err(SourceError::Unreadable(_))));
    let nowhere = answer(&mut follow(&root.path().join("nowhere"), None, Duration::ZERO));
    assert!(matches!(nowhere, Err(SourceError::Unknown(_))));
}

#[test]
fn a_damaged_registry_file_is_the_fault_of_its_own_model() {
    let root = tempfile::tempdir().unwrap();
    for name in ["churn", "wine"] {
        copy(&wine(1), &root.path().join(format!("{name}/1")), &|text| text);
    }
    fs::write(root.path().join("churn/registry.yaml"), "stages: [").unwrap();
    let models = models_at(&text(root.path())).unwrap();
    let names: Vec<_> = models.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["churn", "wine"]);
    let answers =
        models.iter().map(|(_, folder)| answer(&mut follow(folder, None, Duration::ZERO)));
    let [churn, wine] = answers.collect::<Vec<_>>().try_into().unwrap();
    assert!(
        matches!(&churn, Err(SourceError::Unreadable(why)) if why.contains("churn")),
        "{churn:?}"
    );
    assert_eq!(wine, Ok(Some(1)));
}

#[test]
fn an_old_directory_counts_at_the_first_look_and_a_new_one_does_not() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    let folder = root.path().join("wine");
    let mut source = follow(&folder, None, LONG);
    assert_eq!(answer(&mut source), Ok(None));
    assert!(source.settles_in().unwrap() > LONG / 2);
    assert_eq!(answer_later(&mut follow(&folder, None, LONG)), Ok(Some(1)));
}

#[test]
fn the_copy_of_a_higher_version_does_not_show_before_it_is_complete() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    let folder = root.path().join("wine");
    let mut source = follow(&folder, None, LONG);
    assert_eq!(answer_later(&mut source), Ok(Some(1)));

    // A clock ahead of ours stamps the files, as they are being written.
    put(&root, 2);
    let mlmodel = fs::File::open(folder.join("2/MLmodel")).unwrap();
    mlmodel.set_modified(SystemTime::now() + LONG * 2).unwrap();
    assert_eq!(answer_later(&mut source), Ok(Some(1)));
    assert_eq!(source.settles_in(), Some(LONG));
    let old = fs::File::open(folder.join("2/MLmodel")).unwrap();
    old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(answer_later(&mut source), Ok(Some(2)));
}

#[test]
fn a_copy_that_gets_its_old_times_back_is_still_new() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    let dir = root.path().join("wine/1");
    let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    for path in files.chain([dir.clone()]) {
        fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    assert_eq!(answer(&mut follow(&root.path().join("wine"), None, LONG)), Ok(None));

    // The latest of all: a file whose time is set after the directory's. File systems stamp with a
    // clock that stands still for some milliseconds.
    let last = fs::File::open(dir.join("MLmodel")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    last.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let found = last.metadata().unwrap();
    let changed = Duration::new(found.ctime() as u64, found.ctime_nsec() as u32);
    assert_eq!(Look::at(&dir).unwrap().newest, SystemTime::UNIX_EPOCH + changed);
}

#[test]
fn a_version_that_is_replaced_in_place_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    put(&root, 2);
    let folder = root.path().join("wine");
    let mut source = follow(&folder, None, LONG);
    let later = || Now { wall: SystemTime::now() + LONG, steady: Instant::now() };
    let before = source.aspired_at(later()).unwrap().unwrap();
    assert_eq!(before.version, VersionId(2));

    fs::write(folder.join("2/note.txt"), "new").unwrap();
    let ahead = fs::File::open(folder.join("2/note.txt")).unwrap();
    ahead.set_modified(SystemTime::now() + LONG * 2).unwrap();
    let found = source.aspired_at(later()).unwrap();
    assert_eq!(found, None, "not the lower version for as long as it takes");

    ahead.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let after = source.aspired_at(later()).unwrap().unwrap();
    assert_eq!(after.version, before.version);
    assert_ne!(after.stamp, before.stamp, "another content is another attempt");
    assert_eq!(source.aspired_at(later()).unwrap().unwrap(), after);

    fs::remove_dir_all(folder.join("2")).unwrap();
    assert_eq!(answer_later(&mut source), Ok(Some(1)));
}

#[test]
fn a_directory_left_incomplete_is_named_and_does_not_stand_in_the_way() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    put(&root, 2);
    let folder = root.path().join("wine");
    fs::remove_file(folder.join("2/model.onnx")).unwrap();
    assert_eq!(answer(&mut follow(&folder, None, Duration::ZERO)), Ok(Some(1)));
    let second = Some(Selector::Version(VersionId(2)));
    let message = answer(&mut follow(&folder, second, Duration::ZERO)).unwrap_err().to_string();
    assert!(message.contains("version 2 is incomplete"), "{message}");
    assert!(message.contains("names `model.onnx`, which does not exist"), "{message}");

    let mlmodel = fs::read(folder.join("1/MLmodel")).unwrap();
    fs::write(folder.join("1/MLmodel"), &mlmodel[..20]).unwrap();
    let message = answer(&mut follow(&folder, None, Duration::ZERO)).unwrap_err().to_string();
    assert!(message.contains("version 2 is incomplete"), "the highest is named: {message}");
}

#[test]
fn a_plain_model_directory_and_a_root_of_one_model_are_followed() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 3);
    let plain = root.path().join("wine/3");
    assert_eq!(answer(&mut follow(&plain, None, Duration::ZERO)), Ok(Some(3)));
    assert_eq!(answer(&mut follow(root.path(), None, Duration::ZERO)), Ok(Some(3)));
    let stage = Some(Selector::Stage(Stage::Production));
    assert!(answer(&mut follow(&plain, stage, Duration::ZERO)).is_err());

    copy(&wine(1), &root.path().join("churn/1"), &|text| text);
    let message = answer(&mut follow(root.path(), None, Duration::ZERO)).unwrap_err().to_string();
    assert!(message.contains("holds several models (churn, wine)"), "{message}");
    let names = |path: &Path| -> Vec<String> {
        models_at(&text(path)).unwrap().iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(root.path()), ["churn", "wine"]);
    assert_eq!(names(&root.path().join("wine")), ["wine"]);
    assert_eq!(names(&plain), ["wine"]);
}

#[test]
fn what_no_model_holds_is_refused() {
    let root = tempfile::tempdir().unwrap();
    put(&root, 1);
    let folder = root.path().join("wine");
    std::os::unix::fs::symlink(".", folder.join("1/self")).unwrap();
    let message = answer(&mut follow(&folder, None, Duration::ZERO)).unwrap_err().to_string();
    assert!(message.contains("directories deeper than 32"), "{message}");
}
