//! Servers that are replaced one after the other, as Kubernetes does it with `maxSurge: 1` and
//! `maxUnavailable: 0`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::process::{Server, binary};

/// Whoever sends requests goes on sending them to a server for so long after it was told to end.
const HEARD_AFTER: Duration = Duration::from_secs(2);
/// A container that ends is started again so often before a rollout counts as failed.
const RESTARTS: usize = 2;
/// Longest wait for a server to be ready.
const READY_MAX: Duration = Duration::from_mins(1);
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// Where requests go, as far as senders know.
#[derive(Clone, Default)]
pub(crate) struct Endpoints(Arc<Mutex<Vec<SocketAddr>>>);

impl Endpoints {
    pub(crate) fn all(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, address: SocketAddr) {
        self.0.lock().unwrap().push(address);
    }

    fn remove(&self, address: SocketAddr) {
        self.0.lock().unwrap().retain(|one| *one != address);
    }
}

/// Servers of one version.
pub(crate) struct Deployment {
    lame_duck: &'static str,
    endpoints: Endpoints,
    servers: Vec<Server>,
}

impl Deployment {
    pub(crate) fn start(replicas: usize, version: &str, lame_duck: &'static str) -> Self {
        let mut deployment =
            Self { lame_duck, endpoints: Endpoints::default(), servers: Vec::new() };
        for _ in 0..replicas {
            let server = deployment.ready(version).unwrap();
            deployment.servers.push(server);
        }
        deployment
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Replaces each server by one of that version. Where such a one does not come up the others
    /// stay: its exit code, and what it said.
    pub(crate) fn roll_to(&mut self, version: &str) -> Result<(), (Option<i32>, String)> {
        for index in 0..self.servers.len() {
            let new = self.ready(version)?;
            let old = std::mem::replace(&mut self.servers[index], new);
            self.end(old);
        }
        Ok(())
    }

    /// A server of that version to which requests go.
    fn ready(&self, version: &str) -> Result<Server, (Option<i32>, String)> {
        let arguments = |admin_port| {
            let flags = ["--lame-duck", self.lame_duck, "--cache-dir", "off", "--admin-port"];
            flags.into_iter().chain([admin_port]).map(str::to_owned).chain([wine(version)])
        };
        let mut failed = None;
        for _ in 0..RESTARTS {
            if let Ok(server) = Server::launch(&mut Command::new(binary()), arguments("0")) {
                let admin = server.admin();
                until(|| probe(admin, "/ready") == Some(200));
                self.endpoints.add(server.address());
                return Ok(server);
            }
            let mut again = Command::new(binary());
            let ended = again.args(["serve", "--port", "0"]).args(arguments("0")).output().unwrap();
            failed = Some((ended.status.code(), String::from_utf8(ended.stderr).unwrap()));
        }
        Err(failed.unwrap())
    }

    /// Tells a server to end, and senders a little later, and waits for it to be gone.
    fn end(&self, mut server: Server) {
        server.terminate();
        thread::sleep(HEARD_AFTER);
        self.endpoints.remove(server.address());
        assert_eq!(server.wait(), Some(0), "{}", server.log());
    }
}

/// The directory of a version, under the same name as those of the others.
fn wine(version: &str) -> String {
    format!("wine={}", Path::new(version).display())
}

fn probe(admin: SocketAddr, path: &str) -> Option<u16> {
    http::send(admin, "GET", path, &[], b"").ok().map(|response| response.status)
}

fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < READY_MAX, "a server does not become ready");
        thread::sleep(PROBE_INTERVAL);
    }
}
