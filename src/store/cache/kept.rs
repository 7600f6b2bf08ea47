//! Small files about served models, one for each: written whole or not at all, and as good as none
//! where they are damaged.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::key::hex;

/// Largest file that is read, in bytes: a hundred times what is written.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The file about a model. `registry_key` names the model and the registry that was asked, the same
/// at each start.
pub(super) fn path(dir: &Path, registry_key: &str) -> PathBuf {
    dir.join(format!("{}.json", hex(&Sha256::digest(registry_key))))
}

/// Writes a file in place of what was there, and removes the oldest files beyond `files_max`.
pub(super) fn write(path: &Path, content: &impl Serialize, files_max: usize) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    forget_oldest(dir, files_max)
}

/// What a file holds.
///
/// # Errors
/// `NotFound` without one, others for a damaged one.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Removes the oldest files beyond the number that is kept, and what a crash left.
fn forget_oldest(dir: &Path, files_max: usize) -> io::Result<()> {
    let mut entries: Vec<(SystemTime, PathBuf)> = fs::read_dir(dir)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    entries.sort_unstable();
    let surplus = entries.len().saturating_sub(files_max.max(1));
    for (_, path) in &entries[..surplus] {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}
