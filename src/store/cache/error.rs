//! Why a version is not in the cache.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::store::RemoteError;

use super::check::ListingError;
use super::held::Damage;

const NO_LOCKS: &str = "; its file system has no locks: put the cache on a local disk (cache.dir)";

/// A call to the file system that failed. The text names the way out where there is one.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {cause}{}", .path.display(), hint(.cause))]
pub struct CacheError {
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    pub(super) cause: io::Error,
}

/// Why a version was not fetched. The text is for the operator; it holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("`{origin}` is not fetched: {cause}")]
    Listing { origin: String, cause: ListingError },
    /// What came is not what was listed.
    #[error(
        "`{path}` should have {listed} bytes, and {received} came{}; fetched again it may be whole",
        if .received > .listed { " or more" } else { "" }
    )]
    Size { path: String, listed: u64, received: u64 },
    /// A file whose size was not listed is larger than allowed.
    #[error("`{path}` has more than {bytes_max} bytes (cache.file_bytes_max, cache.bytes_max)")]
    TooLarge { path: String, bytes_max: u64 },
    #[error(
        "no room for {bytes} bytes in the cache: of {bytes_max} (cache.bytes_max) {held} are held \
         by what serves or is being fetched; raise the limit"
    )]
    NoRoom { bytes: u64, bytes_max: u64, held: u64 },
    #[error(
        "no room for {bytes} bytes on the disk of `{}`: {free} are free, of which \
         {free_min} stay so (cache.free_bytes_min); make room",
        .dir.display()
    )]
    DiskFull { bytes: u64, free: u64, free_min: u64, dir: PathBuf },
    #[error(
        "the fetch came to a halt: in {time:?} fewer than {bytes_min} bytes arrived \
         ({received} of {total} so far)"
    )]
    Stalled { time: Duration, bytes_min: u64, received: u64, total: u64 },
    #[error("the fetch took more than {0:?}")]
    TooSlow(Duration),
    #[error("another process fetches the same version and has made no progress in {0:?}")]
    Busy(Duration),
    /// Somebody else's version lies where this one belongs, and is not whole.
    #[error("the version in the cache is in use and damaged: {0}")]
    Damaged(Damage),
    #[error(transparent)]
    Disk(#[from] CacheError),
}

impl FetchError {
    /// Whether the same may work a little later, with nothing changed by anybody.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Remote(error) => error.is_transient(),
            Self::Listing { .. } | Self::TooLarge { .. } => false,
            Self::Size { .. }
            | Self::NoRoom { .. }
            | Self::DiskFull { .. }
            | Self::Stalled { .. }
            | Self::TooSlow(_)
            | Self::Busy(_)
            | Self::Damaged(_)
            | Self::Disk(_) => true,
        }
    }
}

impl CacheError {
    /// Makes the error of a call, for `map_err`.
    pub(super) fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self { action, path, cause }
    }
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on that disk",
        io::ErrorKind::FileTooLarge => "; the process may not write files so large (ulimit -f)",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make the directory writable for this user, or name another (cache.dir)"
        }
        io::ErrorKind::Unsupported => NO_LOCKS,
        _ if cause.raw_os_error() == Some(Errno::NOLCK.raw_os_error()) => NO_LOCKS,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_missing_permission_are_named_with_the_way_out() {
        let error = |kind: io::ErrorKind| {
            let cause = io::Error::from(kind);
            FetchError::from(CacheError::on("write", Path::new("/c/x"))(cause))
        };
        let full = error(io::ErrorKind::StorageFull);
        assert!(full.to_string().starts_with("cannot write `/c/x`: "), "{full}");
        assert!(full.to_string().ends_with("make room on that disk"), "{full}");
        assert!(full.is_transient());
        assert!(error(io::ErrorKind::PermissionDenied).to_string().contains("make the directory"));
        assert!(error(io::ErrorKind::Unsupported).to_string().contains("has no locks"));
    }

    #[test]
    fn what_only_changes_with_the_artifacts_is_not_transient() {
        let listing = ListingError::TooManyFiles { files: 2, files_max: 1 };
        assert!(!FetchError::Listing { origin: String::new(), cause: listing }.is_transient());
        assert!(!FetchError::Remote(RemoteError::Missing(String::new())).is_transient());
        assert!(FetchError::Remote(RemoteError::Unreachable(String::new())).is_transient());
    }
}
