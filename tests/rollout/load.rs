//! Requests at a constant rate, to each server in turn.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::deployment::Endpoints;
use crate::support::asking::{Answer, Asking};

/// Between two requests of one client.
const INTERVAL: Duration = Duration::from_millis(20);
/// A slow client's pause within a request.
const PAUSE: Duration = Duration::from_millis(700);
/// Longest wait for answers.
const ANSWERS_MAX: Duration = Duration::from_mins(1);

/// How a client treats its connections.
#[derive(Clone, Copy)]
enum Habit {
    /// Uses them again until the server says that it closes them.
    Keeps,
    /// Makes one for each request.
    Connects,
    /// The same, and sends what it sends slowly.
    Dawdles,
}

const CLIENTS: [Habit; 6] =
    [Habit::Keeps, Habit::Keeps, Habit::Connects, Habit::Connects, Habit::Dawdles, Habit::Dawdles];

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) answers: usize,
    /// Answers of servers that had been told to end.
    pub(crate) farewells: usize,
    pub(crate) failures: Vec<String>,
    versions: BTreeSet<u64>,
}

/// Clients that send until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    report: Arc<Mutex<Report>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(endpoints: &Endpoints) -> Self {
        let (stop, report) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let body = "models/wine-quality/1/serving_input_example.json";
        let body = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(body)).unwrap();
        let turn = Arc::new(AtomicUsize::new(0));
        let threads = CLIENTS.map(|habit| {
            let client = Client {
                habit,
                endpoints: endpoints.clone(),
                turn: Arc::clone(&turn),
                body: body.clone(),
                kept: HashMap::new(),
            };
            let (stop, report) = (Arc::clone(&stop), Arc::clone(&report));
            let work = move || client.run(&stop, &report);
            thread::Builder::new().name("client".to_owned()).spawn(work).unwrap()
        });
        Self { stop, report, threads: threads.into() }
    }

    /// Waits until so many more requests were answered.
    pub(crate) fn wait_for_answers(&self, count: usize) {
        let answers = || self.report.lock().unwrap().answers;
        let (start, first) = (Instant::now(), answers());
        while answers() < first + count {
            assert!(start.elapsed() < ANSWERS_MAX, "{:?}", self.report.lock().unwrap());
            thread::sleep(INTERVAL);
        }
    }

    /// The versions that answered since [`forget_versions`](Self::forget_versions).
    pub(crate) fn versions(&self) -> Vec<u64> {
        self.report.lock().unwrap().versions.iter().copied().collect()
    }

    pub(crate) fn forget_versions(&self) {
        // What is on its way may still be of the ones before.
        thread::sleep(2 * PAUSE);
        self.report.lock().unwrap().versions.clear();
    }

    pub(crate) fn stop(self) -> Report {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::mem::take(&mut self.report.lock().unwrap())
    }
}

struct Client {
    habit: Habit,
    endpoints: Endpoints,
    /// Of all clients together.
    turn: Arc<AtomicUsize>,
    body: Vec<u8>,
    kept: HashMap<SocketAddr, Asking>,
}

impl Client {
    fn run(mut self, stop: &AtomicBool, report: &Mutex<Report>) {
        let mut due = Instant::now();
        while !stop.load(Ordering::SeqCst) {
            let endpoints = self.endpoints.all();
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let address = endpoints[turn % endpoints.len()];
            let answer = self.ask(address);
            let mut report = report.lock().unwrap();
            match answer {
                Ok(Answer { status: 200, version: Some(version), closes, .. }) => {
                    report.answers += 1;
                    report.farewells += usize::from(closes);
                    report.versions.insert(version);
                }
                Ok(Answer { status, .. }) => report.failures.push(format!("status {status}")),
                Err(error) => report.failures.push(error.to_string()),
            }
            drop(report);
            due += INTERVAL;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn ask(&mut self, address: SocketAddr) -> io::Result<Answer> {
        let pause = if let Habit::Dawdles = self.habit { PAUSE } else { Duration::ZERO };
        let mut asking = match self.kept.remove(&address) {
            Some(kept) => kept,
            None => Asking::try_connect(address, &self.body)?,
        };
        let answer = asking.try_ask(pause)?;
        if let Habit::Keeps = self.habit
            && !answer.closes
        {
            self.kept.insert(address, asking);
        }
        Ok(answer)
    }
}
