//! Versions that served worse than their predecessor: they stay out over a restart.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::VersionId;

use super::directory::Cache;
use super::error::CacheError;
use super::kept;

/// Changes whenever what is written does.
const FORMAT: u32 = 1;
/// Versions of one model that are kept.
const VERSIONS_MAX: usize = 8;
/// Longest cause that is kept, in characters.
const CAUSE_CHARS_MAX: usize = 1024;

/// A version that may not serve, as long as the registry says the same about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub version: VersionId,
    /// What the registry said about the version at that time.
    pub stamp: String,
    /// A sentence for the operator.
    pub cause: String,
}

/// The same of a model, as it is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    format: u32,
    registry_key: String,
    versions: Vec<EntryVersion>,
}

#[derive(Serialize, Deserialize)]
struct EntryVersion {
    version: u64,
    stamp: String,
    cause: String,
}

impl Cache {
    /// Keeps which versions of a model are in quarantine, in place of what was kept: whole, or not
    /// at all. Of more than eight the last ones are. `registry_key` is that of
    /// [`remember`](Self::remember).
    ///
    /// # Errors
    /// When the file cannot be written, or removed where there is nothing to keep.
    pub fn keep_quarantined(
        &self,
        registry_key: &str,
        versions: &[Quarantined],
    ) -> Result<(), CacheError> {
        let path = self.quarantine(registry_key);
        if versions.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(CacheError::on("remove", &path)(error))
                }
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let last = &versions[versions.len().saturating_sub(VERSIONS_MAX)..];
        let entry = Entry {
            format: FORMAT,
            registry_key: registry_key.to_owned(),
            versions: last.iter().map(EntryVersion::of).collect(),
        };
        kept::write(&path, &entry, self.options.known_max).map_err(CacheError::on("write", &path))
    }

    /// The versions of a model that are in quarantine, the latest last; none where nothing is
    /// known, or nothing that can be read.
    pub fn quarantined(&self, registry_key: &str) -> Vec<Quarantined> {
        let path = self.quarantine(registry_key);
        match kept::read::<Entry>(&path) {
            Ok(entry) if entry.format == FORMAT && entry.registry_key == registry_key => {
                let versions = entry.versions.into_iter().take(VERSIONS_MAX);
                versions.map(EntryVersion::into_quarantined).collect()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Ok(_) | Err(_) => {
                let path = path.display();
                tracing::warn!(%path, "what is in quarantine is lost: the file is damaged");
                Vec::new()
            }
        }
    }

    fn quarantine(&self, registry_key: &str) -> PathBuf {
        kept::path(&self.quarantines(), registry_key)
    }
}

impl EntryVersion {
    fn of(quarantined: &Quarantined) -> Self {
        let Quarantined { version, stamp, cause } = quarantined;
        let cause = cause.chars().take(CAUSE_CHARS_MAX).collect();
        Self { version: version.0, stamp: stamp.clone(), cause }
    }

    fn into_quarantined(self) -> Quarantined {
        let Self { version, stamp, cause } = self;
        Quarantined { version: VersionId(version), stamp, cause }
    }
}
