//! A disk that takes no more.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::registry::{BALLAST, Registry};
use crate::serving::Serving;
use crate::support::process::binary;

/// What a file system of 100 MiB has no room for, with the space that a fetch leaves free.
const FULL: usize = 60 << 20;

/// A command that mounts an empty file system of 100 MiB on a directory, for itself only, and then
/// becomes the server: as any user, where the system lets users have name spaces, or as root.
/// `None` where it lets neither.
fn with_small_disk(at: &Path) -> Option<Command> {
    let script = "mount -t tmpfs -o size=100m tmpfs \"$0\" && exec \"$@\"";
    let start = |flags: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(flags).args(["--mount", "sh", "-c", script]).arg(at);
        command
    };
    let flags = [&["--user", "--map-root-user"][..], &[]].into_iter().find(|flags| {
        let tried = start(flags).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    });
    let mut command = start(flags?);
    command.arg(binary());
    Some(command)
}

/// A version that does not fit is refused, what serves goes on, and the version comes to serve when
/// there is room.
fn a_disk_that_is_full(command: &mut Command, cache: &Path) {
    let mut registry = Registry::start();
    let serving = Serving::start_by(command, &registry, cache);
    serving.until_version(1);
    // The disk as that process sees it.
    let inside = Path::new("/proc").join(serving.pid().to_string()).join("root");
    let filler = inside.join(cache.strip_prefix("/").unwrap()).join("somebody else's");
    fs::write(&filler, vec![1; FULL]).unwrap();
    registry.promote(2);
    registry.answer_champion();
    serving.until_refused(2, "make room");
    assert_eq!(serving.version(), 1);
    fs::remove_file(&filler).unwrap();
    serving.until_version(2);
    assert_eq!(serving.stop(), [1, 2]);
}

#[test]
fn a_full_disk_changes_nothing_and_a_version_comes_when_there_is_room() {
    let cache = tempfile::tempdir().unwrap();
    if let Some(mut command) = with_small_disk(cache.path()) {
        a_disk_that_is_full(&mut command, cache.path());
    } else {
        println!("nobody may mount anything here: files that may not be written stand in");
        a_write_that_fails();
    }
}

#[test]
fn a_write_that_fails_within_a_fetch_changes_nothing() {
    a_write_that_fails();
}

/// Files of more than a few megabytes cannot be written.
fn a_write_that_fails() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    // In blocks of 512 or 1024 bytes; ignored, the signal becomes an error of the call.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]).arg(binary());
    let serving = Serving::start_by(&mut command, &registry, cache.path());
    serving.until_version(1);
    registry.weigh_down(2, 8 << 20);
    registry.promote(2);
    registry.answer_champion();
    serving.until_refused(2, BALLAST);
    assert_eq!(serving.version(), 1);
    registry.promote(3);
    registry.mend();
    serving.until_version(3);
    assert_eq!(serving.stop(), [1, 3]);
}
