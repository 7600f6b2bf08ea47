//! Promotion in a directory registry: `registry.yaml` written anew, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::model::{ModelName, Selector, VersionId};
use crate::store::{
    Assignment, AssignmentError, LayoutError, ModelDir, ModelDirError, Place, REGISTRY_FILE,
    RegistryFileError, RemoteError, read_registry_file,
};

use super::SourceError;
use super::directory::Look;

/// Held by whoever changes the folder's `registry.yaml`. It stays where it is: removing it would
/// let two others hold two of them.
pub(super) const LOCK_FILE: &str = ".registry.lock";
/// Longest wait for another promotion.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two tries for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// Who may read a new `registry.yaml`: everyone whom the process's mask allows.
const MODE: u32 = 0o666;

/// What a promotion changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    pub name: ModelName,
    pub version: VersionId,
    pub to: Selector,
    /// The version that had the stage or alias.
    pub before: Option<VersionId>,
}

/// Why nothing was promoted. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(
        "`{}` is not the folder of one model's versions (1/MLmodel, 2/MLmodel, ...)",
        .0.display()
    )]
    NoFolder(PathBuf),
    #[error("version {version} cannot be promoted: {cause}")]
    Model { version: VersionId, cause: ModelDirError },
    #[error(transparent)]
    Unreadable(#[from] SourceError),
    #[error(transparent)]
    RegistryFile(#[from] RegistryFileError),
    #[error(
        "another promotion has held `{}` for {} seconds; see what it does and try again",
        .path.display(), LOCK_WAIT_MAX.as_secs()
    )]
    Locked { path: PathBuf },
    /// An MLflow server that does not have the version, or does not take the promotion.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("`{}` cannot be written: {cause}", .path.display())]
    Unwritable { path: PathBuf, cause: io::Error },
}

/// Assigns a stage or an alias to a version in the `registry.yaml` of a model's folder. What else
/// the file says stays; comments only at its head. Blocks: the version is verified first, and
/// another promotion is waited for up to five seconds.
///
/// # Errors
/// When the version cannot be served, the file says what it cannot mean, or it cannot be written.
/// The file is then as it was.
pub fn promote_directory(
    folder: &str,
    version: VersionId,
    to: &Selector,
) -> Result<Promoted, PromoteError> {
    promote(folder, version, to, LOCK_WAIT_MAX)
}

pub(super) fn promote(
    folder: &str,
    version: VersionId,
    to: &Selector,
    lock_wait: Duration,
) -> Result<Promoted, PromoteError> {
    let assignment = Assignment::of(to)?;
    let model = match Place::of(folder)? {
        Place::Folder(model) => model,
        Place::Directory(path) | Place::Root { path, .. } => {
            return Err(PromoteError::NoFolder(path));
        }
    };
    let folder = model.path().to_owned();
    let Some(dir) = model.versions().get(&version) else {
        let wanted = Selector::Version(version);
        return Err(model.no_such_version(Some(&wanted), version).into());
    };
    // The look first: whatever changes after it makes the stamp another one.
    let stamp = Look::at(dir)?.stamp;
    ModelDir::open(dir).map_err(|cause| PromoteError::Model { version, cause })?;

    let _lock = lock(&folder, lock_wait)?;
    // Read again: another promotion may have come before.
    let mut registry = read_registry_file(&folder)?;
    let before = registry.assigned_to(to);
    registry.assign(&assignment, version, stamp);
    let text = registry.to_text()?;
    replace(&folder.join(REGISTRY_FILE), &text)
        .map_err(|cause| PromoteError::Unwritable { path: folder.join(REGISTRY_FILE), cause })?;
    Ok(Promoted { name: model.name().clone(), version, to: to.clone(), before })
}

/// The lock lives as long as the file is open.
pub(super) fn lock(folder: &Path, wait_max: Duration) -> Result<File, PromoteError> {
    let path = folder.join(LOCK_FILE);
    let unwritable = |cause| PromoteError::Unwritable { path: path.clone(), cause };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(unwritable)?;
    let started = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < wait_max => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(PromoteError::Locked { path: path.clone() });
            }
            Err(error) => return Err(unwritable(error.into())),
        }
    }
}

/// Replaces a file as a whole: a reader finds the old text or the new one, after a crash as well.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (head, permissions) = match fs::read_to_string(path) {
        Ok(old) => (head(&old), Some(fs::metadata(path)?.permissions())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), None),
        Err(error) => return Err(error),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".registry-")
        .permissions(fs::Permissions::from_mode(MODE))
        .tempfile_in(folder)?;
    file.write_all(head.as_bytes())?;
    file.write_all(text.as_bytes())?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// The comments that a file begins with.
fn head(text: &str) -> String {
    let comments = text.lines().take_while(|line| line.trim_start().starts_with('#'));
    comments.flat_map(|line| [line, "\n"]).collect()
}
