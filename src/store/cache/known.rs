//! What each served model was last: a start without the registry begins with that.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{ModelName, VersionId};
use crate::store::without_secrets;

use super::directory::Cache;
use super::error::CacheError;
use super::kept;
use super::key::CacheKey;

/// Changes whenever what is written does.
const FORMAT: u32 = 1;

/// The version of a model that its registry named last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastKnown {
    pub model: ModelName,
    pub version: VersionId,
    /// Differs whenever the registry says anything else about the version.
    pub stamp: String,
    /// Under which the cache has its files.
    pub key: CacheKey,
    /// The URI of its artifacts. Credentials in it are not kept.
    pub origin: String,
}

/// The same, as it is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    format: u32,
    registry_key: String,
    model: String,
    version: u64,
    stamp: String,
    key: String,
    origin: String,
}

impl Cache {
    /// Keeps what a model was last: whole, or not at all. `registry_key` names the model and the
    /// registry that was asked, the same at each start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self, registry_key: &str, last: &LastKnown) -> Result<(), CacheError> {
        let entry = Entry {
            format: FORMAT,
            registry_key: registry_key.to_owned(),
            model: last.model.to_string(),
            version: last.version.0,
            stamp: last.stamp.clone(),
            key: last.key.to_string(),
            origin: without_secrets(&last.origin),
        };
        let path = self.known(registry_key);
        kept::write(&path, &entry, self.options.known_max).map_err(CacheError::on("write", &path))
    }

    /// What a model was last; `None` where nothing is known, or nothing that can be read.
    pub fn recall(&self, registry_key: &str) -> Option<LastKnown> {
        let path = self.known(registry_key);
        match read(&path, registry_key) {
            Ok(last) => Some(last),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the last known version is lost");
                None
            }
        }
    }

    pub(super) fn known(&self, registry_key: &str) -> PathBuf {
        kept::path(&self.knowns(), registry_key)
    }
}

fn read(path: &Path, registry_key: &str) -> io::Result<LastKnown> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let entry: Entry = kept::read(path)?;
    if entry.format != FORMAT || entry.registry_key != registry_key {
        return Err(invalid("it is of another format, or of another model"));
    }
    Ok(LastKnown {
        model: ModelName::new(entry.model).map_err(|error| invalid(&error.to_string()))?,
        version: VersionId(entry.version),
        stamp: entry.stamp,
        key: entry.key.parse().map_err(|_| invalid("its key is none"))?,
        origin: entry.origin,
    })
}
