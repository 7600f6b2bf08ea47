//! The file that is written: all of it, or none.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Bytes that are gathered before they are handed to the system.
const WRITE_BYTES: usize = 1 << 20;

/// Where predictions go. Dropped before [`finish`](Self::finish) it leaves nothing behind, except
/// in streams, from which nothing can be taken back.
pub(super) struct Target(BufWriter<Place>);

enum Place {
    Standard(Stdout),
    /// A device or a pipe, which must not be replaced.
    Stream(File),
    /// A file beside the one that it becomes.
    File {
        temporary: NamedTempFile,
        becomes: PathBuf,
    },
}

impl Target {
    /// Opens a file, or standard output.
    ///
    /// # Errors
    /// When the file's directory cannot be written.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let place = match path {
            None => Place::Standard(io::stdout()),
            Some(path) => open_file(path)?,
        };
        Ok(Self(BufWriter::with_capacity(WRITE_BYTES, place)))
    }

    /// Makes everything that was written appear under its name.
    ///
    /// # Errors
    /// When the rest cannot be written, or the file not be renamed.
    pub(super) fn finish(self) -> io::Result<()> {
        match self.0.into_inner().map_err(io::IntoInnerError::into_error)? {
            Place::Standard(mut out) => out.flush(),
            Place::Stream(mut file) => file.flush(),
            Place::File { temporary, becomes } => {
                temporary.as_file().sync_all()?;
                temporary.persist(becomes).map(drop).map_err(|error| error.error)
            }
        }
    }
}

fn open_file(path: &Path) -> io::Result<Place> {
    // What a link points to is replaced, not the link.
    let becomes = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&becomes) {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            return File::options().write(true).open(&becomes).map(Place::Stream);
        }
        Ok(_) | Err(_) => {}
    }
    let directory = match becomes.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".flowgate-predict-")
        // As any new file: the process's mask takes away from it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    Ok(Place::File { temporary, becomes })
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(bytes),
            Self::Stream(file) => file.write(bytes),
            Self::File { temporary, .. } => temporary.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::Stream(file) => file.flush(),
            Self::File { temporary, .. } => temporary.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_file_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"first").unwrap();
        assert!(!path.exists());
        drop(target);
        assert_eq!(names(directory.path()), Vec::<String>::new());

        fs::write(&path, "old").unwrap();
        let mut target = Target::open(Some(&path)).unwrap();
        target.write_all(b"second").unwrap();
        target.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        target.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(directory.path()), ["out.csv"]);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let [path, link] = ["out.csv", "link.csv"].map(|name| directory.path().join(name));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut target = Target::open(Some(&link)).unwrap();
        target.write_all(b"new").unwrap();
        target.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(link.is_symlink());

        let mut target = Target::open(Some(Path::new("/dev/null"))).unwrap();
        target.write_all(b"gone").unwrap();
        target.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_directory_is_no_target() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Target::open(Some(directory.path())).is_err());
        assert!(Target::open(Some(&directory.path().join("no/such/out.csv"))).is_err());
    }
}
