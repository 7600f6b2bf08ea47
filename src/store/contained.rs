//! Files that must lie inside a directory.
//!
//! A model directory comes from elsewhere: nothing in it may name a file outside of it, neither by
//! its path nor through a symbolic link.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A plain, readable file inside a directory.
#[derive(Debug)]
pub(super) struct ContainedFile {
    /// As the directory spells it: links are not resolved, so that what is named beside this file
    /// is found beside it.
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) bytes: u64,
}

/// Why a file is not one of the directory's. Each text reads after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum NotContained {
    #[error("lies outside the model directory, which must hold all its files itself")]
    Outside,
    #[error("does not exist; copy the whole model directory again")]
    Missing,
    #[error("is not a plain file")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// Opens the file that `relative` names, seen from `folder`, if it lies inside `root`.
/// `root` is canonical and `folder` lies inside it.
pub(super) fn open_contained(
    root: &Path,
    folder: &Path,
    relative: &str,
) -> Result<ContainedFile, NotContained> {
    let stays_inside = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_inside {
        return Err(NotContained::Outside);
    }
    let path = folder.join(relative);
    let real = path.canonicalize().map_err(NotContained::from_io)?;
    if !real.starts_with(root) {
        return Err(NotContained::Outside);
    }
    // Asked before opening: opening a named pipe would wait for its other end.
    let metadata = fs::metadata(&real).map_err(NotContained::from_io)?;
    if !metadata.is_file() {
        return Err(NotContained::NotAFile);
    }
    let file = File::open(&real).map_err(NotContained::from_io)?;
    Ok(ContainedFile { path, file, bytes: metadata.len() })
}

impl NotContained {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}
