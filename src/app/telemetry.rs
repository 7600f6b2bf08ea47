//! What the process tells about itself, put together.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::batch::{InferencePool, message_of};
use crate::config::Config;
use crate::drift::{self, Monitor, Monitors};
use crate::lifecycle::{Reports, stand_back};
use crate::servable::Pending;
use crate::telemetry::{Exposition, Family, Meters, names};

use super::models::Watching;

/// How often rows that were handed over are counted. Until then they take memory, of which there is
/// a bound.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);

/// What is scraped, and where versions are counted for it.
pub(super) fn expose(config: &Config) -> (Exposition, Watching) {
    let exposition = Exposition::new(config.series_max);
    let meters = Meters::new(&config.meters);
    exposition.add_meters(&meters);
    let monitors = Monitors::new(config.meters.retention);
    let shown = monitors.clone();
    exposition.add_reading(&drift::METRICS, move || {
        let versions = shown.all();
        drift::families(versions.iter().map(|monitor| &**monitor), shown.now())
    });
    (exposition, Watching { meters, monitors })
}

/// Shows what waits for each model.
pub(super) fn expose_queues(
    exposition: &Exposition,
    reports: Reports,
    pool: Arc<InferencePool<Pending>>,
) {
    exposition.add_reading(&[&names::QUEUE_ROWS, &names::QUEUE_REQUESTS], move || {
        let mut rows = Family::new(&names::QUEUE_ROWS);
        let mut requests = Family::new(&names::QUEUE_REQUESTS);
        // Requests wait for versions that are being replaced, too.
        let waiting = pool.waiting();
        for report in reports.models() {
            let model = report.name.as_str();
            let own = waiting.iter().filter(|one| {
                one.runner.name().rsplit_once('/').is_some_and(|(name, _)| name == model)
            });
            let sums = own.fold([0, 0], |[a, b], one| [a + one.rows, b + one.requests]);
            rows.push(&[model], sums[0] as f64);
            requests.push(&[model], sums[1] as f64);
        }
        vec![rows, requests]
    });
}

/// The thread `drift-0`. Ends when it is dropped.
pub(super) struct DriftThread {
    stop: Option<flume::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DriftThread {
    /// Counts what is handed over to the monitors, a few times a second.
    pub(super) fn start(monitors: Monitors) -> io::Result<Self> {
        let (stop, stopped) = flume::bounded::<()>(0);
        let thread = Builder::new().name("drift-0".to_owned()).spawn(move || {
            stand_back();
            while let Err(flume::RecvTimeoutError::Timeout) = stopped.recv_timeout(COUNT_INTERVAL) {
                for monitor in monitors.all() {
                    count(&monitor, monitors.now());
                }
                monitors.tend();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

/// A panic is logged, and the next rows are counted all the same.
fn count(monitor: &Monitor, now: Duration) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| monitor.count(now))) {
        let message = message_of(&*panic);
        tracing::error!(model = %monitor.id(), message, "panic while drift was counted");
    }
}

impl Drop for DriftThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Nothing panics beyond the fence of `count`.
            let _ = thread.join();
        }
    }
}
