//! Constant load from a few connections that stay open, each of which knows what it may be told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::asking::{Answer, Asking};

const CONNECTIONS: usize = 4;
/// Between two requests of one connection.
const INTERVAL: Duration = Duration::from_millis(4);

/// Which versions were promoted: 1 at first, then 2 and 1 in turn, by number from 0.
#[derive(Clone, Default)]
pub(crate) struct Course(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    begun: AtomicU64,
    /// Everybody who asks from now on is answered by that one, or a later one.
    complete: AtomicU64,
}

/// The version of a promotion.
fn version_of(number: u64) -> u64 {
    1 + number % 2
}

impl Course {
    /// The next promotion: its number and its version.
    pub(crate) fn begin(&self) -> (u64, u64) {
        let number = self.0.begun.fetch_add(1, Ordering::SeqCst) + 1;
        (number, version_of(number))
    }

    pub(crate) fn complete(&self, number: u64) {
        self.0.complete.store(number, Ordering::SeqCst);
    }
}

/// Connections that ask until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Load {
    /// `expected` are the answers of versions 1 and 2.
    pub(crate) fn start(
        address: SocketAddr,
        body: &[u8],
        expected: &[Vec<u8>; 2],
        course: &Course,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..CONNECTIONS).map(|number| {
            let mut asking = Asking::connect(address, body);
            let (stop, course, expected) = (Arc::clone(&stop), course.clone(), expected.clone());
            let work = move || {
                let mut answered = 0;
                let mut last = 0;
                let mut due = Instant::now();
                while !stop.load(Ordering::SeqCst) {
                    last = course.judge(&mut asking, &expected, last);
                    answered += 1;
                    due += INTERVAL;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                answered
            };
            thread::Builder::new().name(format!("client-{number}")).spawn(work).unwrap()
        });
        Self { stop: Arc::clone(&stop), threads: threads.collect() }
    }

    /// The number of answers. Fails where one was wrong.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

impl Course {
    /// Asks once. The answer must be that of a version that was promoted when it was sent or
    /// since, and none before `last`, the promotion that this connection was answered by before;
    /// returns the one that it was answered by now.
    fn judge(&self, asking: &mut Asking, expected: &[Vec<u8>; 2], last: u64) -> u64 {
        let first = self.0.complete.load(Ordering::SeqCst).max(last);
        let Answer { status, version, body, .. } = asking.ask();
        let latest = self.0.begun.load(Ordering::SeqCst);
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, 200, "{text}");
        let version = version.expect("every answer says which version made it");
        let found = (first..=latest).find(|number| version_of(*number) == version);
        let found = found.unwrap_or_else(|| {
            panic!("version {version} answers, of promotions {first} to {latest}")
        });
        assert_eq!(body, expected[usize::try_from(version - 1).unwrap()], "{version}: {text}");
        found
    }
}
