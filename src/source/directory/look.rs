//! One look at a directory: what lies in it, as far as names, sizes and times tell.

use std::fmt::Write;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::source::SourceError;

/// Files under one model directory.
const FILES_MAX: usize = 10_000;
/// Directories within directories; also what ends a link that leads back.
const DEPTH_MAX: usize = 32;
/// Bytes of the digest that make a stamp.
const STAMP_BYTES: usize = 16;

/// What one look at a directory showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Two looks with equal stamps saw the same files: paths, sizes and times of last change.
    pub(crate) stamp: String,
    /// The latest change of any file or directory, be it of its name, rights or times: programs
    /// that copy give a file its old times back, but cannot do so unseen.
    pub(super) newest: SystemTime,
}

/// A file that was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    /// Relative to the directory.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) changed: SystemTime,
}

impl Look {
    /// Looks at everything under a directory, through links. Blocks for as long as that many
    /// questions to the file system take: about 1 ms for 100 files of a local disk.
    ///
    /// # Errors
    /// When the directory cannot be read, or holds too much to be a model.
    pub(crate) fn at(dir: &Path) -> Result<Self, SourceError> {
        let unreadable = |path: &Path, error: &io::Error| {
            SourceError::Unreadable(format!("`{}` cannot be read: {error}", path.display()))
        };
        let mut files = Vec::new();
        let mut newest = UNIX_EPOCH;
        let mut entries = 0;
        let mut left = vec![(dir.to_owned(), 0)];
        while let Some((folder, depth)) = left.pop() {
            let listed = fs::read_dir(&folder).and_then(|listed| {
                newest = newest.max(touched(&fs::metadata(&folder)?)?);
                Ok(listed)
            });
            let listed = match listed {
                Ok(listed) => listed,
                // Removed since it was listed: the next look is another one.
                Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&folder, &error)),
            };
            for entry in listed {
                let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
                entries += 1;
                if entries > FILES_MAX || depth >= DEPTH_MAX {
                    return Err(too_much(dir));
                }
                let seen = fs::metadata(&path).and_then(|found| {
                    newest = newest.max(touched(&found)?);
                    Ok((found.is_dir(), found.len(), found.modified()?))
                });
                match seen {
                    Ok((true, _, _)) => left.push((path, depth + 1)),
                    Ok((false, bytes, changed)) => {
                        let path = path.strip_prefix(dir).unwrap_or(&path).to_owned();
                        files.push(Seen { path, bytes, changed });
                    }
                    // Removed meanwhile, or a link to nothing.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unreadable(&path, &error)),
                }
            }
        }
        Ok(Self::of(files, newest))
    }

    pub(super) fn of(mut files: Vec<Seen>, newest: SystemTime) -> Self {
        files.sort_unstable();
        let mut digest = Sha256::new();
        for Seen { path, bytes, changed } in &files {
            let path = path.as_os_str().as_encoded_bytes();
            digest.update((path.len() as u64).to_le_bytes());
            digest.update(path);
            digest.update(bytes.to_le_bytes());
            digest.update(nanoseconds(*changed).to_le_bytes());
        }
        let mut stamp = String::with_capacity(2 * STAMP_BYTES);
        for byte in &digest.finalize()[..STAMP_BYTES] {
            write!(stamp, "{byte:02x}").expect("a text takes what is written to it");
        }
        Self { stamp, newest }
    }
}

fn too_much(dir: &Path) -> SourceError {
    SourceError::Unreadable(format!(
        "`{}` holds more than {FILES_MAX} files or directories deeper than {DEPTH_MAX}, which no \
         model has; remove what does not belong to it",
        dir.display()
    ))
}

/// The last change of content, name, rights or times.
fn touched(found: &Metadata) -> io::Result<SystemTime> {
    let seconds = Duration::from_secs(found.ctime().try_into().unwrap_or_default());
    let nanoseconds = Duration::from_nanos(found.ctime_nsec().try_into().unwrap_or_default());
    Ok(found.modified()?.max(UNIX_EPOCH + seconds + nanoseconds))
}

/// Since 1970; negative before.
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}
