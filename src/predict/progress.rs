//! How far the scoring has come, for a person at a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redrawn so often per second at most.
const DRAWS_PER_SECOND: u8 = 10;

const OF_KNOWN_SIZE: &str = "{bar:30} {bytes}/{total_bytes}, {msg}, {eta} left";
const OF_UNKNOWN_SIZE: &str = "{spinner} {bytes}, {msg}";

/// A bar on standard error, if that is a terminal: bytes of the input read, rows per second, time
/// left. It is wiped when it is dropped, so that what is said next starts on a clean line.
pub(super) struct Progress {
    bar: ProgressBar,
    bytes_read: Arc<AtomicU64>,
    started: Instant,
    rows: u64,
}

impl Progress {
    /// Starts a bar for an input of so many bytes, if that is known.
    pub(super) fn start(bytes: Option<u64>, bytes_read: Arc<AtomicU64>) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(bytes, target);
        let template = if bytes.is_some() { OF_KNOWN_SIZE } else { OF_UNKNOWN_SIZE };
        bar.set_style(ProgressStyle::with_template(template).expect("a template of ours is valid"));
        Self { bar, bytes_read, started: Instant::now(), rows: 0 }
    }

    /// So many more rows are written.
    pub(super) fn add(&mut self, rows: usize) {
        self.rows += rows as u64;
        if self.bar.is_hidden() {
            return;
        }
        let rate = self.rows as f64 / self.elapsed().as_secs_f64().max(f64::EPSILON);
        self.bar.set_message(format!(
            "{} rows, {} rows/s",
            HumanCount(self.rows),
            HumanCount(rate as u64)
        ));
        self.bar.set_position(self.bytes_read.load(Ordering::Relaxed));
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
