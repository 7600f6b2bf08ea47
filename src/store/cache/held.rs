//! A version that nobody removes while somebody holds it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::key::CacheKey;
use super::lock::SharedLock;
use super::manifest::{MODEL_DIR, Manifest, ManifestFile};

const USED_FILE: &str = "used";

/// A complete version on disk. As long as this lives no process evicts it.
#[derive(Debug)]
pub struct Held {
    key: CacheKey,
    /// The directory of the version, which holds that of the model.
    version: PathBuf,
    model: PathBuf,
    manifest: Manifest,
    _lock: SharedLock,
}

/// What is wrong with a version that was complete once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("its manifest cannot be used: {0}")]
    Manifest(String),
    #[error("its file `{path}` is not what was fetched: {fault}")]
    File { path: String, fault: String },
}

impl Damage {
    pub(super) fn file(file: &ManifestFile, fault: String) -> Self {
        Self::File { path: file.path.clone(), fault }
    }
}

impl Held {
    /// Takes a version whose lock is held, if its files have the sizes that they should have.
    pub(super) fn take(
        key: &CacheKey,
        version: PathBuf,
        lock: SharedLock,
    ) -> Result<Self, (Damage, SharedLock)> {
        let manifest = Manifest::read(&version, key)
            .and_then(|manifest| manifest.check_sizes(&version).map(|()| manifest));
        match manifest {
            Ok(manifest) => {
                let model = version.join(MODEL_DIR);
                Ok(Self { key: key.clone(), version, model, manifest, _lock: lock })
            }
            Err(damage) => Err((damage, lock)),
        }
    }

    /// The model directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.model
    }

    #[must_use]
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// The size of its files in all, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.bytes()
    }

    /// Reads all files and compares them with what was fetched. Takes as long as reading does.
    ///
    /// # Errors
    /// When a file is not what it was.
    pub fn verify(&self) -> Result<(), Damage> {
        self.manifest.check_digests(&self.version)
    }

    /// Notes that the version was taken now.
    pub(super) fn touch(&self) {
        // A cache that may only be read serves as well; its order of eviction is not ours then.
        let _ = set_used(&self.version, SystemTime::now());
    }
}

pub(super) fn set_used(version: &Path, at: SystemTime) -> io::Result<()> {
    let path = version.join(USED_FILE);
    File::options().create(true).truncate(false).write(true).open(path)?.set_modified(at)
}

/// When the version was taken last; long ago if nobody knows.
pub(super) fn used(version: &Path) -> SystemTime {
    let metadata = std::fs::metadata(version.join(USED_FILE));
    metadata.and_then(|used| used.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
