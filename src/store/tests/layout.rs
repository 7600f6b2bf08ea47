use std::fs;

use tempfile::TempDir;

use crate::model::{Selector, Stage, VersionId};
use crate::store::{LayoutError, Meaning, ModelFolder, Place, ResolvedModel, one_directory};

/// A registry with `wine` (versions 1, 2 and 10; a folder 11 still without its `MLmodel`) and
/// `churn` (version 4).
fn registry() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for dir in ["wine/1", "wine/2", "wine/10", "churn/4"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
        fs::write(root.path().join(dir).join("MLmodel"), "flavors: {}").unwrap();
    }
    for dir in ["wine/11", "wine/007", "wine/notes", "wine/.git", "lost+found", "empty"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    root
}

fn uri(root: &TempDir, path: &str) -> String {
    root.path().join(path).to_str().unwrap().to_owned()
}

fn version(number: u64) -> Selector {
    Selector::Version(VersionId(number))
}

/// The one model that a path means, in the version that the selector picks.
fn resolve(uri: &str, selector: Option<&Selector>) -> Result<ResolvedModel, LayoutError> {
    let folder = match Place::of(uri)? {
        Place::Directory(dir) => return one_directory(dir, selector),
        Place::Folder(folder) => *folder,
        Place::Root { path, models } => {
            let [(_, only)] = models.as_slice() else {
                let names = models.into_iter().map(|(name, _)| name).collect();
                return Err(LayoutError::SeveralModels { path, names });
            };
            ModelFolder::read(only)?.unwrap()
        }
    };
    let version = match folder.meaning(selector) {
        Meaning::Version(version) => version,
        Meaning::Highest => match folder.versions().last_key_value() {
            Some((highest, _)) => *highest,
            None => return Err(LayoutError::NoModel { path: folder.path().to_owned() }),
        },
        Meaning::Nothing => panic!("{selector:?} is assigned to no version"),
    };
    let name = folder.name().clone();
    match folder.versions().get(&version).cloned() {
        Some(dir) => Ok(ResolvedModel { name, version, dir }),
        None => Err(folder.no_such_version(selector, version)),
    }
}

/// Name and version of what is resolved, or the refusal.
fn found(uri: &str, selector: Option<&Selector>) -> Result<(String, u64), String> {
    let model = resolve(uri, selector).map_err(|error| error.to_string())?;
    assert!(model.dir.join("MLmodel").exists());
    Ok((model.name.to_string(), model.version.0))
}

#[test]
fn without_a_registry_file_the_highest_complete_version_serves() {
    let root = registry();
    assert_eq!(found(&uri(&root, "wine"), None), Ok(("wine".to_owned(), 10)));
    assert_eq!(
        found(&format!("file://{}", uri(&root, "churn")), None),
        Ok(("churn".to_owned(), 4))
    );
}

#[test]
fn the_registry_file_decides_what_serves_and_selectors_override_it() {
    let root = registry();
    let text = "stages: {Production: 2, Staging: 10}\naliases: {champion: 1}";
    fs::write(root.path().join("wine/registry.yaml"), text).unwrap();
    let wine = uri(&root, "wine");
    let champion = Selector::Alias("champion".to_owned());
    let cases = [
        (None, 2),
        (Some(Selector::Stage(Stage::Staging)), 10),
        (Some(champion), 1),
        (Some(Selector::Latest), 10),
        (Some(version(1)), 1),
    ];
    for (selector, want) in cases {
        assert_eq!(found(&wine, selector.as_ref()), Ok(("wine".to_owned(), want)), "{selector:?}");
    }
}

#[test]
fn a_registry_file_without_production_leaves_the_highest_version() {
    let root = registry();
    fs::write(root.path().join("wine/registry.yaml"), "aliases: {champion: 1}").unwrap();
    assert_eq!(found(&uri(&root, "wine"), None), Ok(("wine".to_owned(), 10)));
}

#[test]
fn selectors_that_pick_nothing_are_refused_with_what_there_is() {
    let root = registry();
    fs::write(root.path().join("wine/registry.yaml"), "stages: {Production: 7}").unwrap();
    let wine = uri(&root, "wine");
    let cases = [
        (None, "stage Production of model wine means version 7"),
        (None, "has no 7/MLmodel (its versions: 1, 2, 10)"),
        (Some(version(11)), "version 11 of model wine means version 11"),
    ];
    for unknown in [Selector::Alias("best".to_owned()), Selector::Stage(Stage::Archived)] {
        let Ok(Place::Folder(folder)) = Place::of(&wine) else { panic!("a folder") };
        assert_eq!(folder.meaning(Some(&unknown)), Meaning::Nothing);
    }
    for (selector, part) in cases {
        let message = found(&wine, selector.as_ref()).unwrap_err();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn a_bad_registry_file_is_named_with_its_key() {
    let root = registry();
    let file = root.path().join("wine/registry.yaml");
    fs::write(&file, "stages: {Production: newest}").unwrap();
    let message = found(&uri(&root, "wine"), None).unwrap_err();
    assert!(message.contains("wine/registry.yaml`: `stages.Production`"), "{message}");
    assert!(matches!(Place::of(&uri(&root, "")), Ok(Place::Root { .. })), "of that model alone");
    fs::write(&file, b"aliases: {caf\xe9: 1}").unwrap();
    assert!(found(&uri(&root, "wine"), None).unwrap_err().contains("is not UTF-8"));
    fs::write(&file, vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert!(found(&uri(&root, "wine"), None).unwrap_err().contains("more than 1048576 bytes"));
}

#[test]
fn a_model_directory_takes_its_identity_from_its_place() {
    let root = registry();
    assert_eq!(found(&uri(&root, "wine/2"), None), Ok(("wine".to_owned(), 2)));
    let plain = root.path().join("my: model");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("MLmodel"), "").unwrap();
    let plain = uri(&root, "my: model");
    let plain_id = || Ok(("my- model".to_owned(), 1));
    assert_eq!(found(&plain, None), plain_id());
    assert_eq!(found(&plain, Some(&Selector::Latest)), plain_id());
    assert_eq!(found(&plain, Some(&version(1))), plain_id());
    for selector in [version(2), Selector::Stage(Stage::Production)] {
        let message = found(&plain, Some(&selector)).unwrap_err();
        assert!(message.contains("is one model directory"), "{message}");
    }
}

#[test]
fn a_root_gives_every_model_and_no_single_one() {
    let root = registry();
    let Ok(Place::Root { models, .. }) = Place::of(&uri(&root, "")) else { panic!("a root") };
    let names: Vec<_> = models.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["churn", "wine"]);
    let message = found(&uri(&root, ""), None).unwrap_err();
    assert!(message.contains("holds several models (churn, wine)"), "{message}");
    fs::remove_dir_all(root.path().join("churn")).unwrap();
    assert_eq!(found(&uri(&root, ""), None), Ok(("wine".to_owned(), 10)));
}

#[test]
fn places_without_a_model_are_refused() {
    let root = registry();
    let cases = [
        ("nowhere", "does not exist"),
        ("wine/1/MLmodel", "is not a directory"),
        ("empty", "holds no model: expected an MLmodel file"),
        ("wine/notes", "holds no model"),
    ];
    for (path, part) in cases {
        let message = found(&uri(&root, path), None).unwrap_err();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    fs::write(root.path().join("empty/registry.yaml"), "").unwrap();
    assert!(found(&uri(&root, "empty"), None).unwrap_err().contains("holds no model"));
    assert!(found("models:/wine/2", None).unwrap_err().contains("version 2 of model wine"));
}

#[test]
fn a_bare_graph_is_a_model_by_itself_and_no_version() {
    let root = registry();
    let bare = root.path().join("empty");
    fs::write(bare.join("model.onnx"), "").unwrap();
    let model = resolve(&uri(&root, "empty"), None).unwrap();
    assert_eq!((model.name.as_str(), model.version), ("empty", VersionId(1)));
    // It may be the first file of a copy.
    fs::write(root.path().join("wine/11/model.onnx"), "").unwrap();
    assert_eq!(found(&uri(&root, "wine"), None), Ok(("wine".to_owned(), 10)));
    // Versions go before a graph beside them.
    fs::write(root.path().join("wine/model.onnx"), "").unwrap();
    assert_eq!(found(&uri(&root, "wine"), None), Ok(("wine".to_owned(), 10)));
}

#[test]
fn a_version_may_be_a_link() {
    let root = registry();
    std::os::unix::fs::symlink("2", root.path().join("wine/12")).unwrap();
    assert_eq!(found(&uri(&root, "wine"), None), Ok(("wine".to_owned(), 12)));
}
