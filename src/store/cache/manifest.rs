//! What a complete version holds, written beside it.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{ModelName, VersionId};
use crate::store::without_secrets;

use super::check::check_path;
use super::held::Damage;
use super::key::{CacheKey, hex};

/// Changes whenever the layout of a version does.
const FORMAT: u32 = 1;
/// Largest manifest that is read, in bytes: 10,000 files with paths of 1 KiB take a third.
const MANIFEST_BYTES_MAX: u64 = 32 << 20;

pub(super) const MANIFEST_FILE: &str = "manifest.json";
pub(super) const MODEL_DIR: &str = "model";

/// What a fetch is for: kept with the version, for who looks into the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub model: ModelName,
    pub version: VersionId,
    /// The URI of the artifacts. Credentials in it are not kept.
    pub origin: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    key: String,
    model: String,
    version: u64,
    origin: String,
    pub(super) files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestFile {
    pub(super) path: String,
    pub(super) bytes: u64,
    /// 64 hex digits.
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(key: &CacheKey, about: &About, files: Vec<ManifestFile>) -> Self {
        Self {
            format: FORMAT,
            key: key.to_string(),
            model: about.model.to_string(),
            version: about.version.0,
            origin: without_secrets(&about.origin),
            files,
        }
    }

    /// The size of the files in all, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Reads the manifest of a version's directory.
    pub(super) fn read(version: &Path, key: &CacheKey) -> Result<Self, Damage> {
        let mut bytes = Vec::new();
        File::open(version.join(MANIFEST_FILE))
            .and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|cause| Damage::Manifest(cause.to_string()))?;
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Damage::Manifest(format!("it is not the expected JSON: {error}")))?;
        if manifest.format != FORMAT {
            return Err(Damage::Manifest(format!("it has format {}", manifest.format)));
        }
        if manifest.key != key.as_str() {
            return Err(Damage::Manifest("it belongs to another version".to_owned()));
        }
        if let Some(file) = manifest.files.iter().find(|file| check_path(&file.path).is_err()) {
            return Err(Damage::Manifest(format!("it names a file {:?}", file.path)));
        }
        Ok(manifest)
    }

    /// Writes the manifest into a version's directory, down to the disk.
    pub(super) fn write(&self, version: &Path) -> io::Result<()> {
        let mut file = File::create_new(version.join(MANIFEST_FILE))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }

    /// Compares the sizes of all files: cheap, and enough for what a crash can leave.
    pub(super) fn check_sizes(&self, version: &Path) -> Result<(), Damage> {
        for file in &self.files {
            let found = fs::symlink_metadata(version.join(MODEL_DIR).join(&file.path))
                .map_err(|cause| Damage::file(file, cause.to_string()))?;
            if !found.is_file() || found.len() != file.bytes {
                let found = format!("expected {} bytes, found {}", file.bytes, found.len());
                return Err(Damage::file(file, found));
            }
        }
        Ok(())
    }

    /// Reads all files and compares their digests.
    pub(super) fn check_digests(&self, version: &Path) -> Result<(), Damage> {
        for file in &self.files {
            let digest = digest(&version.join(MODEL_DIR).join(&file.path))
                .map_err(|cause| Damage::file(file, cause.to_string()))?;
            if digest != file.sha256 {
                return Err(Damage::file(file, "its content has changed".to_owned()));
            }
        }
        Ok(())
    }
}

/// The SHA-256 of a file, read in pieces: weights may be larger than the memory that is free.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hex(&digest.finalize())),
            Ok(bytes) => digest.update(&piece[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
