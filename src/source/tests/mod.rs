mod file_store;
mod hint;
mod promote;
mod sqlite;

use std::fs;
use std::path::{Path, PathBuf};

/// A recording of a real registry.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry").join(name)
}

/// A model directory that can be served.
pub(super) fn wine(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/wine-quality/{version}"))
}

/// Copies a tree; `change` may rewrite texts.
pub(super) fn copy(from: &Path, to: &Path, change: &impl Fn(String) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to, change);
            continue;
        }
        match String::from_utf8(fs::read(&from).unwrap()) {
            Ok(text) => fs::write(&to, change(text)).unwrap(),
            Err(_) => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
