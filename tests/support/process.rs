//! The real server as a child process, on a free port of the loopback: the binary that this build
//! made, or the one that `FLOWGATE_BIN` names.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest wait for the start-up line: fifty models and a cold page cache.
const START_MAX: Duration = Duration::from_mins(2);
/// How much of the server's standard error a failure report repeats.
const STDERR_BYTES_MAX: usize = 4_000;
/// How much of it is kept.
const LOG_BYTES_MAX: usize = 256 * 1024;

/// A running server. Dropping it ends the process, without a warning.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// The addresses in what else it says on standard output.
    more: Receiver<SocketAddr>,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts `flowgate serve NAME=DIR ...` on a free port and waits until it says where it
    /// listens. The first model is the default one of `/invocations`.
    ///
    /// # Errors
    /// The server's own words when it ends without listening.
    pub(crate) fn start(models: &[(String, PathBuf)]) -> Result<Self, String> {
        Self::launch(&mut Command::new(binary()), quiet(models))
    }

    /// The same, with an address space of so many bytes at most: a server that takes all memory
    /// it can get is to end itself, not the machine.
    ///
    /// # Errors
    /// The server's own words when it ends without listening.
    pub(crate) fn start_within(
        models: &[(String, PathBuf)],
        address_space_bytes: u64,
    ) -> Result<Self, String> {
        let mut shell = Command::new("sh");
        let limit = format!("ulimit -v {}; exec \"$0\" \"$@\"", address_space_bytes / 1024);
        shell.args(["-c", &limit]).arg(binary());
        Self::launch(&mut shell, quiet(models))
    }

    /// Starts whatever `command` is, with `serve`, a free port and these arguments behind it.
    ///
    /// # Errors
    /// The server's own words when it ends without listening.
    pub(crate) fn launch(
        command: &mut Command,
        arguments: impl IntoIterator<Item: Into<OsString>>,
    ) -> Result<Self, String> {
        let mut child = command
            .args(["serve", "--host", "127.0.0.1", "--port", "0"])
            .args(arguments.into_iter().map(Into::into))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server did not start: {error}"))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let (found, addresses) = mpsc::sync_channel(4);
        // Both pipes are read to their ends: a full pipe would block the server.
        let lines = spawn("stdout", move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    let _ = found.try_send(address);
                }
            }
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let errors = spawn("stderr", move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                let mut kept = kept.lock().expect("nobody panics with it");
                let room = LOG_BYTES_MAX.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
        });
        let readers = vec![lines, errors];
        let listening = addresses.recv_timeout(START_MAX);
        // Dropped, it ends the process and waits for the last of its words.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = *listening.as_ref().unwrap_or(&nowhere);
        let server = Self { child, address, more: addresses, log: Arc::clone(&log), readers };
        if listening.is_ok() {
            return Ok(server);
        }
        drop(server);
        let mut said = log.lock().expect("nobody panics with it");
        said.truncate(STDERR_BYTES_MAX);
        Err(String::from_utf8_lossy(&said).into_owned())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for operators. To be asked once, of a server of one model.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.more.recv_timeout(START_MAX).expect("it has an admin port and says so")
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("nobody panics with it")).into_owned()
    }

    /// Tells it to end, as the system's service manager would.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill finds the process");
    }

    /// Waits for the process to end: its exit code, unless a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it is a child of ours").code()
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The most memory the process ever held (`VmHWM`), in bytes. `None` where the system has no
    /// `/proc`.
    pub(crate) fn memory_peak_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// The arguments for models alone, without what they would leave behind.
fn quiet(models: &[(String, PathBuf)]) -> Vec<String> {
    let models = models.iter().map(|(name, dir)| format!("{name}={}", dir.display()));
    let flags = ["--admin-port", "off", "--cache-dir", "off"].map(str::to_owned);
    flags.into_iter().chain(models).collect()
}

/// The program that is tested.
pub(crate) fn binary() -> OsString {
    std::env::var_os("FLOWGATE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_flowgate").into())
}

/// The models of a directory, one directory each, by name.
pub(crate) fn models_in(dir: &Path) -> Vec<(String, PathBuf)> {
    let mut models: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.expect("a directory that lists").path())
        .filter(|path| path.join("MLmodel").is_file())
        .map(|path| (path.file_name().expect("it has one").to_string_lossy().into_owned(), path))
        .collect();
    models.sort();
    models
}

fn spawn(name: &str, read: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(read).expect("a thread can start")
}

/// The first `http://IP:PORT` in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c)));
    rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':']).parse().ok()
}
