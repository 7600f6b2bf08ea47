//! The directory of the cache: where what lies, what is found in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::CacheError;
use super::held::{Damage, Held};
use super::key::CacheKey;
use super::lock::{ExclusiveLock, SharedLock};

/// Where a cache is and what it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    pub dir: PathBuf,
    /// All versions together, and those being fetched.
    pub bytes_max: u64,
    /// Space on the disk that a fetch leaves free.
    pub free_bytes_min: u64,
    /// One file.
    pub file_bytes_max: u64,
    /// Files of a version.
    pub files_max: usize,
    /// Files of a version that are fetched at once.
    pub streams_max: usize,
    /// The list of a version's files.
    pub list_time_max: Duration,
    /// A whole fetch, with the wait for another process that fetches the same.
    pub fetch_time_max: Duration,
    /// In each span of `stall_time_max` at least `stall_bytes_min` bytes arrive, or the fetch ends.
    pub stall_time_max: Duration,
    pub stall_bytes_min: u64,
    /// Served models that are remembered; those remembered longest ago go first.
    pub known_max: usize,
}

/// Versions on disk, shared by the processes of a host.
#[derive(Debug)]
pub struct Cache {
    pub(super) options: CacheOptions,
}

impl Cache {
    /// Opens the cache in a directory, makes the directory if there is none, and removes what
    /// fetches left that did not come to their end.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or its file system has no locks.
    pub fn open(options: CacheOptions) -> Result<Self, CacheError> {
        let cache = Self { options };
        let dirs = [
            cache.versions(),
            cache.partials(),
            cache.locks(),
            cache.knowns(),
            cache.quarantines(),
        ];
        for dir in dirs {
            fs::create_dir_all(&dir).map_err(CacheError::on("make the directory", &dir))?;
        }
        let probe = cache.locks().join(format!("open-{}", std::process::id()));
        ExclusiveLock::try_take(&probe).map_err(CacheError::on("lock", &probe))?;
        cache.remove_stale();
        Ok(cache)
    }

    /// A version that was fetched before and has all its files, in their sizes. One that has not
    /// is removed.
    pub fn find(&self, key: &CacheKey) -> Option<Held> {
        let version = self.version(key);
        if !version.exists() {
            return None;
        }
        let lock = match SharedLock::try_take(&self.serve_lock(key)) {
            Ok(lock) => lock?,
            Err(error) => {
                tracing::warn!(%key, %error, "a fetched version cannot be locked");
                return None;
            }
        };
        match Held::take(key, version.clone(), lock) {
            Ok(held) => {
                held.touch();
                Some(held)
            }
            // Evicted between the two looks.
            Err(_) if !version.exists() => None,
            Err((damage, lock)) => {
                drop(lock);
                self.discard(key, &damage);
                None
            }
        }
    }

    /// Removes a version that is not what was fetched, unless somebody serves it nevertheless.
    pub(super) fn discard(&self, key: &CacheKey, damage: &Damage) {
        match self.remove(key) {
            Ok(true) => tracing::warn!(%key, %damage, "removed a damaged version from the cache"),
            Ok(false) => tracing::warn!(%key, %damage, "a damaged version is still in use"),
            Err(error) => {
                tracing::warn!(%key, %damage, %error, "a damaged version cannot be removed");
            }
        }
    }

    pub(super) fn versions(&self) -> PathBuf {
        self.options.dir.join("versions")
    }

    pub(super) fn version(&self, key: &CacheKey) -> PathBuf {
        self.versions().join(key.as_str())
    }

    pub(super) fn partials(&self) -> PathBuf {
        self.options.dir.join("partial")
    }

    pub(super) fn partial(&self, key: &CacheKey) -> PathBuf {
        self.partials().join(key.as_str())
    }

    pub(super) fn knowns(&self) -> PathBuf {
        self.options.dir.join("known")
    }

    pub(super) fn quarantines(&self) -> PathBuf {
        self.options.dir.join("quarantine")
    }

    fn locks(&self) -> PathBuf {
        self.options.dir.join("locks")
    }

    /// Shared by who holds the version, exclusive for who removes it.
    pub(super) fn serve_lock(&self, key: &CacheKey) -> PathBuf {
        self.locks().join(key.as_str())
    }

    /// Exclusive for who fetches the version.
    pub(super) fn fetch_lock(&self, key: &CacheKey) -> PathBuf {
        self.locks().join(format!("{key}.fetch"))
    }

    /// Exclusive for who looks for room, or makes a partial version a complete one.
    pub(super) fn room_lock(&self) -> PathBuf {
        self.locks().join("room")
    }
}

/// Entries of a directory that are named by a key, with or without something behind it. Others are
/// not ours, and left alone.
pub(super) fn keyed_entries(dir: &Path) -> Result<Vec<(CacheKey, PathBuf)>, CacheError> {
    let entries = fs::read_dir(dir).map_err(CacheError::on("list", dir))?;
    let mut keyed = Vec::new();
    for entry in entries {
        let path = entry.map_err(CacheError::on("list", dir))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if let Ok(key) = name.split('.').next().unwrap_or_default().parse() {
            keyed.push((key, path));
        } else {
            tracing::debug!(path = %path.display(), "not of the cache, left alone");
        }
    }
    Ok(keyed)
}
