use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::drift::{FILE_NAME, REFERENCE_BYTES_MAX};
use crate::store::reference_file::{NamedBy, ReferenceFile};

fn dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("model")).unwrap();
    fs::create_dir(dir.path().join("model/drift")).unwrap();
    fs::write(dir.path().join("outside.json"), "secret").unwrap();
    dir
}

fn read(dir: &TempDir, metadata: &serde_json::Value) -> ReferenceFile {
    ReferenceFile::read(&dir.path().join("model").canonicalize().unwrap(), metadata)
}

fn write(dir: &TempDir, name: &str, text: &str) {
    fs::write(dir.path().join("model").join(name), text).unwrap();
}

fn reason(found: &ReferenceFile) -> &str {
    match found {
        ReferenceFile::Unreadable { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_usual_name_goes_before_the_one_in_the_metadata() {
    let dir = dir();
    let named = json!({"drift_reference": "drift/reference.json"});
    for metadata in [json!(null), json!({}), json!({"drift_reference": null}), json!("text")] {
        assert_eq!(read(&dir, &metadata), ReferenceFile::Absent);
    }
    assert_eq!(
        read(&dir, &named),
        ReferenceFile::Unreadable {
            name: "drift/reference.json".to_owned(),
            reason: "does not exist; copy the whole model directory again".to_owned()
        }
    );
    write(&dir, "drift/reference.json", "named");
    let found = |name: &str, named_by, text: &str| ReferenceFile::Found {
        name: name.to_owned(),
        named_by,
        bytes: text.as_bytes().to_vec(),
    };
    assert_eq!(read(&dir, &named), found("drift/reference.json", NamedBy::Metadata, "named"));
    write(&dir, FILE_NAME, "usual");
    assert_eq!(read(&dir, &named), found(FILE_NAME, NamedBy::Convention, "usual"));
}

#[test]
fn nothing_outside_of_the_directory_is_read() {
    let dir = dir();
    let absolute = dir.path().join("outside.json");
    for name in ["../outside.json", "drift/../../outside.json", absolute.to_str().unwrap()] {
        let found = read(&dir, &json!({"drift_reference": name}));
        assert!(reason(&found).starts_with("lies outside the model directory"), "{found:?}");
    }
    symlink(&absolute, dir.path().join("model/link.json")).unwrap();
    let found = read(&dir, &json!({"drift_reference": "link.json"}));
    assert!(reason(&found).starts_with("lies outside the model directory"), "{found:?}");
    let found = read(&dir, &json!({"drift_reference": ["a"]}));
    assert!(reason(&found).starts_with("is no text"), "{found:?}");
    symlink(Path::new("../outside.json"), dir.path().join("model").join(FILE_NAME)).unwrap();
    let found = read(&dir, &json!(null));
    assert!(reason(&found).starts_with("lies outside the model directory"), "{found:?}");
}

#[test]
fn what_cannot_be_one_is_left_where_it_is() {
    let dir = dir();
    let path = dir.path().join("model").join(FILE_NAME);
    let file = fs::File::create(&path).unwrap();
    file.set_len(REFERENCE_BYTES_MAX as u64).unwrap();
    let ReferenceFile::Found { bytes, .. } = read(&dir, &json!(null)) else { panic!("it fits") };
    assert_eq!(bytes.len(), REFERENCE_BYTES_MAX);
    file.set_len(REFERENCE_BYTES_MAX as u64 + 1).unwrap();
    let bytes = REFERENCE_BYTES_MAX as u64 + 1;
    let name = FILE_NAME.to_owned();
    assert_eq!(read(&dir, &json!(null)), ReferenceFile::TooLarge { name, bytes });
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(reason(&read(&dir, &json!(null))), "is not a plain file");
}
