//! A server that follows the registry, and a client that never stops to ask it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::registry::Registry;
use crate::support::asking::{Answer, Asking};
use crate::support::http;
use crate::support::process::{Server, binary};

/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Between two requests.
const INTERVAL: Duration = Duration::from_millis(5);

/// A server of the registry's champion, under load. Dropped without [`stop`](Self::stop), it is
/// killed without a warning.
pub(crate) struct Serving {
    server: Server,
    admin: std::net::SocketAddr,
    client: Option<Client>,
}

struct Client {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicU64>,
    thread: JoinHandle<Vec<u64>>,
}

impl Serving {
    /// Starts the server with that directory for its cache.
    pub(crate) fn start(registry: &Registry, cache: &Path) -> Self {
        Self::start_by(&mut Command::new(binary()), registry, cache)
    }

    /// The same by a command that ends in starting whatever follows it.
    pub(crate) fn start_by(command: &mut Command, registry: &Registry, cache: &Path) -> Self {
        let arguments = [
            "models:/wine@champion",
            "--admin-port",
            "0",
            "--poll-interval",
            "100ms",
            "--keep-predecessor",
            "0s",
            "--cache-dir",
        ];
        let command = command
            .env("MLFLOW_TRACKING_URI", registry.uri())
            .env("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
            .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
        let arguments = arguments.map(OsStr::new).into_iter().chain([cache.as_os_str()]);
        let server = Server::launch(command, arguments).unwrap();
        let admin = server.admin();
        let client = Some(Client::start(&server));
        Self { server, admin, client }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The version that answered last.
    pub(crate) fn version(&self) -> u64 {
        self.client.as_ref().unwrap().last.load(Ordering::SeqCst)
    }

    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    /// What the admin port says about the model's versions.
    pub(crate) fn lifecycle(&self) -> Value {
        let answer = http::send(self.admin, "GET", "/v1/models/wine", &[], b"").unwrap();
        let mut model: Value = serde_json::from_slice(&answer.body).unwrap();
        model["lifecycle"].take()
    }

    /// Waits until something holds, while requests go on.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let log = self.log();
            let lifecycle = self.lifecycle();
            let is_asking = self.client.as_ref().is_some_and(|one| !one.thread.is_finished());
            assert!(is_asking, "a request failed, while {what} was waited for\n{log}");
            assert!(start.elapsed() < WAIT_MAX, "it is not so that {what}\n{lifecycle}\n{log}");
            thread::sleep(INTERVAL);
        }
    }

    /// Waits until that version answers.
    pub(crate) fn until_version(&self, version: u64) {
        self.until(&format!("version {version} serves"), |now| now.version() == version);
    }

    /// Waits until a version is refused for a reason with these words, which the log gives too.
    pub(crate) fn until_refused(&self, version: u64, words: &str) {
        let cause = |now: &Self| {
            let refused = now.lifecycle()["refused"].as_array().cloned().unwrap_or_default();
            let one = refused.into_iter().find(|one| one["version"] == version);
            one.map(|one| one["cause"].as_str().unwrap().to_owned())
        };
        let what = format!("version {version} is refused with `{words}`");
        self.until(&what, |now| {
            let is_logged = now.log().lines().any(|line| line.contains(words));
            is_logged && cause(now).is_some_and(|cause| cause.contains(words))
        });
    }

    /// Tells the process to end, without load: its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let client = self.client.take().unwrap();
        client.stop.store(true, Ordering::SeqCst);
        client.thread.join().unwrap_or_else(|_| panic!("a request failed\n{}", self.log()));
        self.server.terminate();
        self.server.wait()
    }

    /// Ends it and says which versions answered, in their order. Fails if a request did.
    pub(crate) fn stop(mut self) -> Vec<u64> {
        let client = self.client.take().unwrap();
        client.stop.store(true, Ordering::SeqCst);
        client.thread.join().unwrap_or_else(|_| panic!("a request failed\n{}", self.log()))
    }
}

impl Client {
    fn start(server: &Server) -> Self {
        let body = "models/wine-quality/1/serving_input_example.json";
        let body = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(body)).unwrap();
        let mut asking = Asking::connect(server.address(), &body);
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, seen) = (Arc::clone(&stop), Arc::clone(&last));
        let work = move || {
            let mut versions = Vec::new();
            let mut answers: Vec<Option<Vec<u8>>> = vec![None; 4];
            while !ended.load(Ordering::SeqCst) {
                let Answer { status, version, body, .. } = asking.ask();
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                let version = version.expect("every answer says which version made it");
                let known = answers[usize::try_from(version).unwrap()].get_or_insert(body.clone());
                assert_eq!(*known, body, "version {version} has always answered the same");
                if versions.last() != Some(&version) {
                    versions.push(version);
                }
                seen.store(version, Ordering::SeqCst);
                thread::sleep(INTERVAL);
            }
            versions
        };
        let thread = thread::Builder::new().name("client".to_owned()).spawn(work).unwrap();
        Self { stop, last, thread }
    }
}
