//! What an artifact store lists, checked before anything of it touches the disk.
//!
//! The list comes from elsewhere: no path may leave the directory, nothing may be named twice, and
//! number and sizes are bounded.

use std::collections::HashSet;

use crate::store::RemoteFile;
use crate::store::model_dir::MLMODEL_FILE;

use super::directory::CacheOptions;

/// Longest path of a file, in bytes.
const PATH_BYTES_MAX: usize = 1024;
/// Longest name in a path, in bytes: what Linux's file systems take.
const NAME_BYTES_MAX: usize = 255;
/// Characters of a foreign path that are shown.
const SHOWN_CHARS_MAX: usize = 120;

/// Files whose paths are harmless, relative and unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckedListing {
    /// Sorted by path.
    pub(super) files: Vec<RemoteFile>,
    /// The sum of the sizes that were told.
    pub(super) bytes: u64,
}

/// Why a directory is not fetched. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    #[error("it has no MLmodel file at its root, so it is not a model directory (it has {found})")]
    NoMlModel { found: String },
    #[error("it names a file `{path}`, {fault}; nothing of it was fetched")]
    Path { path: String, fault: &'static str },
    #[error("it has {files} files, and cache.files_max allows {files_max}")]
    TooManyFiles { files: usize, files_max: usize },
    #[error(
        "its file `{path}` has {bytes} bytes, and a file may have {bytes_max} \
         (cache.file_bytes_max)"
    )]
    FileTooLarge { path: String, bytes: u64, bytes_max: u64 },
    #[error("it has {bytes} bytes in all, and the cache may hold {bytes_max} (cache.bytes_max)")]
    TooLarge { bytes: u64, bytes_max: u64 },
}

/// Checks a listing as a whole.
///
/// # Errors
/// When a path is not harmless, a limit is exceeded, or the `MLmodel` file is not there.
pub(super) fn check(
    mut files: Vec<RemoteFile>,
    limits: &CacheOptions,
) -> Result<CheckedListing, ListingError> {
    if files.len() > limits.files_max {
        let files_max = limits.files_max;
        return Err(ListingError::TooManyFiles { files: files.len(), files_max });
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let refuse = |path: &str, fault| ListingError::Path { path: shown(path), fault };
    let mut names = HashSet::with_capacity(files.len());
    let mut bytes = 0_u64;
    for file in &files {
        let path = file.path.as_str();
        check_path(path).map_err(|fault| refuse(path, fault))?;
        if !names.insert(path) {
            return Err(refuse(path, "and names it twice"));
        }
        let size = file.bytes.unwrap_or(0);
        if size > limits.file_bytes_max {
            let (path, bytes_max) = (path.to_owned(), limits.file_bytes_max);
            return Err(ListingError::FileTooLarge { path, bytes: size, bytes_max });
        }
        bytes = bytes.saturating_add(size);
    }
    if let Some(path) = names.iter().find(|path| folders(path).any(|dir| names.contains(dir))) {
        return Err(refuse(path, "below a path that is a file itself"));
    }
    if !names.contains(MLMODEL_FILE) {
        return Err(ListingError::NoMlModel { found: summary(&files) });
    }
    if bytes > limits.bytes_max {
        return Err(ListingError::TooLarge { bytes, bytes_max: limits.bytes_max });
    }
    Ok(CheckedListing { files, bytes })
}

/// Whether a path stays inside the directory that it is relative to, on every file system.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_BYTES_MAX {
        return Err("whose path has more than 1024 bytes");
    }
    if path.contains('\\') {
        return Err("with a backslash in its path");
    }
    if path.chars().any(char::is_control) {
        return Err("with a control character in its path");
    }
    if path.starts_with('/') {
        return Err("whose path is absolute");
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err("whose path starts with a drive");
    }
    for name in path.split('/') {
        match name {
            "" => return Err("with an empty name in its path"),
            "." | ".." => return Err("with `.` or `..` in its path"),
            name if name.len() > NAME_BYTES_MAX => {
                return Err("with a name of more than 255 bytes in its path");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The folders that a path lies in, as paths.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(slash, _)| &path[..slash])
}

/// A path of somebody else's, fit for a message.
fn shown(path: &str) -> String {
    path.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// A few of the files, for who looks for what went wrong.
fn summary(files: &[RemoteFile]) -> String {
    const SHOWN_MAX: usize = 5;
    if files.is_empty() {
        return "no files at all".to_owned();
    }
    let names: Vec<_> = files.iter().take(SHOWN_MAX).map(|file| shown(&file.path)).collect();
    let more = if files.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn limits() -> CacheOptions {
        let options = crate::store::cache::tests::options(Path::new(""));
        CacheOptions { files_max: 4, file_bytes_max: 100, bytes_max: 150, ..options }
    }

    fn file(path: &str, bytes: u64) -> RemoteFile {
        RemoteFile { path: path.to_owned(), bytes: Some(bytes) }
    }

    fn message(files: Vec<RemoteFile>) -> String {
        check(files, &limits()).unwrap_err().to_string()
    }

    #[test]
    fn a_usual_listing_is_taken_sorted_with_its_sum() {
        let unknown = RemoteFile { path: "metadata/a b..c".to_owned(), bytes: None };
        let files = vec![file("model.onnx", 100), unknown.clone(), file("MLmodel", 50)];
        let checked = check(files, &limits()).unwrap();
        assert_eq!(checked.files, [file("MLmodel", 50), unknown, file("model.onnx", 100)]);
        assert_eq!(checked.bytes, 150);
    }

    #[test]
    fn paths_that_escape_are_refused() {
        let long_name = "a".repeat(NAME_BYTES_MAX + 1);
        let long_path = "a/".repeat(PATH_BYTES_MAX / 2) + "a";
        for path in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a\\..\\b",
            "C:/x",
            "c:",
            "a\0b",
            "a\nb",
            &long_name,
            &long_path,
        ] {
            let files = vec![file("MLmodel", 1), file(path, 1)];
            assert!(message(files).contains("nothing of it was fetched"), "{path:?}");
        }
    }

    #[test]
    fn a_file_twice_or_below_a_file_is_refused() {
        let twice = vec![file("MLmodel", 1), file("a", 1), file("a", 2)];
        assert!(message(twice).contains("`a`, and names it twice"));
        let below = vec![file("a", 1), file("MLmodel", 1), file("a/b/c", 1), file("a-b", 1)];
        assert!(message(below).contains("`a/b/c`, below a path that is a file"));
    }

    #[test]
    fn limits_and_a_missing_mlmodel_are_named() {
        let names = ["MLmodel", "a", "b", "c", "d"];
        let many = names.map(|name| file(name, 1)).to_vec();
        assert!(message(many.clone()).contains("5 files, and cache.files_max allows 4"));
        assert!(message(vec![file("a", 101)]).contains("`a` has 101 bytes"));
        let whole = vec![file("MLmodel", 51), file("a", 100)];
        assert!(message(whole).contains("151 bytes in all"));
        assert!(message(vec![]).contains("it has no files at all"));
        let message = message(many[1..].to_vec());
        assert!(message.contains("no MLmodel file at its root"), "{message}");
        assert!(message.ends_with("(it has a, b, c, d)"), "{message}");
        let huge = CacheOptions { file_bytes_max: u64::MAX, ..limits() };
        let files = vec![file("MLmodel", u64::MAX), file("a", u64::MAX)];
        assert!(matches!(check(files, &huge), Err(ListingError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_inside(path in "[a./\\\\:\u{0}-\u{1}é]{0,12}") {
            if check_path(&path).is_ok() {
                let components: Vec<_> = Path::new(&path).components().collect();
                prop_assert!(components.iter().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(components.len(), path.split('/').count());
            }
        }
    }
}
