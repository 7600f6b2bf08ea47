use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::model::{Selector, Stage, VersionId};
use crate::source::promote::{LOCK_FILE, PromoteError, lock, promote};
use crate::source::{DirectoryOptions, DirectorySource, Promoted, promote_directory};

use super::{copy, text, wine};

const PRODUCTION: Selector = Selector::Stage(Stage::Production);

/// Versions 1 and 2 of `wine`, nothing assigned.
fn folder() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for version in [1, 2] {
        copy(&wine(version), &root.path().join(format!("wine/{version}")), &|text| text);
    }
    root
}

fn give(root: &TempDir, version: u64, to: &Selector) -> Result<Promoted, PromoteError> {
    promote_directory(&text(&root.path().join("wine")), VersionId(version), to)
}

fn refusal(root: &TempDir, version: u64, to: &Selector) -> String {
    let message = give(root, version, to).unwrap_err().to_string();
    assert!(!message.contains('\n'), "one sentence: {message:?}");
    message
}

fn registry(root: &TempDir) -> String {
    fs::read_to_string(root.path().join("wine/registry.yaml")).unwrap()
}

/// The file without the stamps.
fn assigned(root: &TempDir) -> String {
    registry(root).split("verified:").next().unwrap().to_owned()
}

#[test]
fn a_promotion_writes_what_it_assigns_and_keeps_the_rest() {
    let root = folder();
    let first = give(&root, 2, &PRODUCTION).unwrap();
    assert_eq!((first.name.as_str(), first.version, first.before), ("wine", VersionId(2), None));
    assert_eq!(assigned(&root), "stages:\n  Production: 2\n");

    let head = "# The wine team's.\n# Ask first.\n";
    let text = format!("{head}stages: {{Production: 2, Staging: 7}}\naliases: {{best: 1}}\n");
    let path = root.path().join("wine/registry.yaml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let second = give(&root, 1, &PRODUCTION).unwrap();
    assert_eq!(second.before, Some(VersionId(2)));
    give(&root, 2, &Selector::Alias("challenger".to_owned())).unwrap();
    let want = format!(
        "{head}stages:\n  Production: 1\n  Staging: 7\naliases:\n  best: 1\n  challenger: 2\n"
    );
    assert_eq!(assigned(&root), want);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let mut left: Vec<_> = fs::read_dir(root.path().join("wine"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [LOCK_FILE, "1", "2", "registry.yaml"], "nothing temporary is left");
}

#[test]
fn a_promoted_version_serves_without_waiting_until_it_settles() {
    let root = folder();
    let mut source = DirectorySource::new(DirectoryOptions {
        path: text(&root.path().join("wine")),
        selector: None,
        settle: Duration::from_hours(1),
    });
    assert_eq!(source.aspired(), Ok(None), "all of it is new");
    give(&root, 1, &PRODUCTION).unwrap();
    assert_eq!(source.aspired().unwrap().unwrap().version, VersionId(1));
    give(&root, 2, &PRODUCTION).unwrap();
    assert_eq!(source.aspired().unwrap().unwrap().version, VersionId(2));
    fs::write(root.path().join("wine/2/note.txt"), "changed since").unwrap();
    assert_eq!(source.aspired(), Ok(None));
}

#[test]
fn what_cannot_serve_or_be_said_is_not_promoted() {
    let root = folder();
    give(&root, 1, &PRODUCTION).unwrap();
    let before = registry(&root);
    fs::write(root.path().join("wine/2/model.onnx"), "").unwrap();
    let cases = [
        (refusal(&root, 2, &PRODUCTION), "version 2 cannot be promoted"),
        (refusal(&root, 3, &PRODUCTION), "has no 3/MLmodel (its versions: 1, 2)"),
        (refusal(&root, 1, &Selector::Latest), "cannot be assigned"),
        (refusal(&root, 1, &Selector::Stage(Stage::Unassigned)), "give Production, Staging"),
        (refusal(&root, 1, &Selector::Alias("v3".to_owned())), "cannot be an alias"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(registry(&root), before);

    let strange = "stages: {Production: 1}\nowner: wine team\n";
    fs::write(root.path().join("wine/registry.yaml"), strange).unwrap();
    let message = refusal(&root, 1, &Selector::Alias("best".to_owned()));
    assert!(message.contains("registry.yaml`") && message.contains("owner"), "{message}");
    assert_eq!(registry(&root), strange, "what is not understood is not lost");

    for place in [root.path(), &root.path().join("wine/1")] {
        fs::write(root.path().join("wine/registry.yaml"), "").unwrap();
        let message =
            promote_directory(&text(place), VersionId(1), &PRODUCTION).unwrap_err().to_string();
        assert!(message.contains("is not the folder of one model's versions"), "{message}");
    }
}

#[test]
fn one_promotion_waits_for_another_but_not_for_ever() {
    let root = folder();
    let folder = root.path().join("wine");
    let held = lock(&folder, Duration::ZERO).unwrap();
    let message =
        promote(&text(&folder), VersionId(1), &PRODUCTION, Duration::ZERO).unwrap_err().to_string();
    assert!(message.contains("another promotion has held"), "{message}");
    drop(held);
    promote(&text(&folder), VersionId(1), &PRODUCTION, Duration::ZERO).unwrap();
}

#[test]
fn promotions_at_the_same_time_lose_nothing() {
    let root = folder();
    let folder = root.path().join("wine");
    let aliases: Vec<String> = (0..8).map(|number| format!("alias-{number}")).collect();
    std::thread::scope(|scope| {
        for alias in &aliases {
            scope.spawn(|| {
                let to = Selector::Alias(alias.clone());
                promote_directory(&text(&folder), VersionId(1), &to).unwrap();
            });
        }
        scope.spawn(|| whole_at_all_times(&folder));
    });
    let text = registry(&root);
    assert!(aliases.iter().all(|alias| text.contains(&format!("{alias}: 1"))), "{text}");
}

fn whole_at_all_times(folder: &Path) {
    for _ in 0..1000 {
        crate::store::read_registry_file(folder).unwrap();
    }
}
