//! Locks that processes on one host share, by files.
//!
//! The system releases a lock when its holder ends, however it ends. A lock file is removed by who
//! holds it alone, so a lock counts only if the file is still the one that the path names.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// Times that a lock file is opened anew because somebody has removed it meanwhile.
const OPENS_MAX: usize = 100;

/// Held together with others; they keep out who wants it alone.
#[derive(Debug)]
pub(super) struct SharedLock {
    _file: File,
}

/// Held by nobody else. The file goes when the lock does.
#[derive(Debug)]
pub(super) struct ExclusiveLock {
    path: PathBuf,
    _file: File,
}

impl SharedLock {
    /// Takes the lock now. `None` when somebody holds it alone.
    pub(super) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = take(path, FlockOperation::NonBlockingLockShared)?;
        Ok(file.map(|file| Self { _file: file }))
    }
}

impl ExclusiveLock {
    /// Takes the lock now. `None` when anybody holds it.
    pub(super) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = take(path, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file.map(|file| Self { path: path.to_owned(), _file: file }))
    }
}

impl Drop for ExclusiveLock {
    fn drop(&mut self) {
        // Before the lock is released, which happens when the file is closed after this. A file
        // that stays is no harm.
        let _ = fs::remove_file(&self.path);
    }
}

fn take(path: &Path, operation: FlockOperation) -> io::Result<Option<File>> {
    for _ in 0..OPENS_MAX {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match rustix::fs::flock(&file, operation) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if is_named(&file, path)? {
            return Ok(Some(file));
        }
    }
    // Somebody takes and releases it without end: as good as held.
    Ok(None)
}

/// Whether the path still names this file: who held it alone may have removed it between.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_locks_keep_out_exclusive_ones_until_the_last_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let [one, two] = [(); 2].map(|()| SharedLock::try_take(&path).unwrap().unwrap());
        assert!(ExclusiveLock::try_take(&path).unwrap().is_none());
        drop(one);
        assert!(ExclusiveLock::try_take(&path).unwrap().is_none());
        drop(two);
        let alone = ExclusiveLock::try_take(&path).unwrap().unwrap();
        assert!(SharedLock::try_take(&path).unwrap().is_none());
        assert!(ExclusiveLock::try_take(&path).unwrap().is_none());
        drop(alone);
        assert!(!path.exists());
        assert!(SharedLock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let ghost = File::create(&path).unwrap();
        rustix::fs::flock(&ghost, FlockOperation::LockExclusive).unwrap();
        assert!(is_named(&ghost, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_named(&ghost, &path).unwrap());
        let first = ExclusiveLock::try_take(&path).unwrap().unwrap();
        assert!(ExclusiveLock::try_take(&path).unwrap().is_none());
        assert!(!is_named(&ghost, &path).unwrap(), "another file of the same name");
        drop(first);
    }

    #[test]
    fn of_many_threads_one_at_a_time_holds_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < 200 {
                        let Some(lock) = ExclusiveLock::try_take(&path).unwrap() else { continue };
                        let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::yield_now();
                        assert_eq!(others, 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                        taken += 1;
                    }
                });
            }
        });
    }
}
