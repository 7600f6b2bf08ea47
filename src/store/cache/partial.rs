//! A fetch in progress, on disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Cache, keyed_entries};
use super::error::CacheError;
use super::key::CacheKey;
use super::lock::ExclusiveLock;
use super::manifest::{MODEL_DIR, Manifest};

const RESERVED_FILE: &str = "reserved";
const VERSION_DIR: &str = "version";

/// The partial directory of a version. Removed with all that is in it when this is dropped; what
/// has become a version is no longer in it.
#[derive(Debug)]
pub(super) struct Partial {
    dir: PathBuf,
    /// Released last.
    _lock: ExclusiveLock,
}

impl Partial {
    /// Makes the directory, without what another fetch left there, and says how much it will take.
    /// The lock is that of the fetch.
    pub(super) fn create(
        dir: PathBuf,
        lock: ExclusiveLock,
        bytes: u64,
    ) -> Result<Self, CacheError> {
        remove(&dir).map_err(CacheError::on("remove", &dir))?;
        let partial = Self { dir, _lock: lock };
        let model = partial.version().join(MODEL_DIR);
        fs::create_dir_all(&model).map_err(CacheError::on("make the directory", &model))?;
        partial.reserve(bytes)?;
        Ok(partial)
    }

    /// Says how much the version will take, in bytes.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), CacheError> {
        let path = self.dir.join(RESERVED_FILE);
        fs::write(&path, bytes.to_string()).map_err(CacheError::on("write", &path))
    }

    /// What becomes the version's directory.
    pub(super) fn version(&self) -> PathBuf {
        self.dir.join(VERSION_DIR)
    }

    /// Makes a file of the model. The path has been checked.
    pub(super) fn create_file(&self, path: &str) -> Result<(PathBuf, File), CacheError> {
        let path = self.version().join(MODEL_DIR).join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(CacheError::on("make the directory", folder))?;
        }
        let file = File::create_new(&path).map_err(CacheError::on("make", &path))?;
        Ok((path, file))
    }

    /// Writes the manifest, and brings it and every directory down to the disk. The files are
    /// there already.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<(), CacheError> {
        let version = self.version();
        manifest.write(&version).map_err(CacheError::on("write the manifest in", &version))?;
        let model = version.join(MODEL_DIR);
        let mut folders = BTreeSet::from([version, model.clone()]);
        for file in &manifest.files {
            let path = model.join(&file.path);
            folders.extend(
                path.ancestors().skip(1).take_while(|folder| *folder != model).map(Path::to_owned),
            );
        }
        folders.iter().try_for_each(|folder| sync(folder))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.dir) {
            tracing::debug!(dir = %self.dir.display(), %error, "a partial fetch stays for now");
        }
    }
}

impl Cache {
    /// Removes partial directories that nobody writes to.
    pub(super) fn remove_stale(&self) {
        let entries = keyed_entries(&self.partials()).unwrap_or_else(|error| {
            tracing::warn!(%error, "what dead fetches left stays");
            Vec::new()
        });
        for (key, dir) in entries {
            match ExclusiveLock::try_take(&self.fetch_lock(&key)) {
                Ok(None) => {}
                Ok(Some(_lock)) => match remove(&dir) {
                    Ok(()) => tracing::info!(%key, "removed a fetch that did not come to its end"),
                    Err(error) => tracing::warn!(%key, %error, "a dead fetch cannot be removed"),
                },
                Err(error) => tracing::warn!(%key, %error, "a partial fetch cannot be locked"),
            }
        }
    }

    /// Bytes that fetches in progress will take, but for the one of `key`.
    pub(super) fn reserved_for_others(&self, key: &CacheKey) -> Result<u64, CacheError> {
        let partials = keyed_entries(&self.partials())?.into_iter();
        let others = partials.filter(|(other, _)| other != key);
        // Without a number there: just begun, or just removed. Without a version: it is one of
        // the complete ones by now.
        let reserved = others.filter_map(|(_, dir)| {
            let is_partial = dir.join(VERSION_DIR).exists();
            let reserved = is_partial.then(|| fs::read_to_string(dir.join(RESERVED_FILE)))?;
            reserved.ok()?.parse::<u64>().ok()
        });
        Ok(reserved.fold(0, u64::saturating_add))
    }
}

/// The size of the files below a directory in which somebody else writes.
pub(super) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

/// Brings the names in a directory down to the disk.
pub(super) fn sync(dir: &Path) -> Result<(), CacheError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(CacheError::on("sync", dir))
}

/// Removes a directory, if it is there.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
