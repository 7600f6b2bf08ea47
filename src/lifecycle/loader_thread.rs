//! The thread that brings versions to serve, and frees them.

use std::io;
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use crate::batch::contain;
use crate::model::ModelName;
use crate::source::Aspired;
use crate::store::Quarantined;

use super::loader::{Loader, Order, Refused};
use super::{AttemptId, Event, Message, Version, VersionState};

/// The process ends without the loader if that has not ended by then: an engine that loads a graph
/// cannot be interrupted.
const JOIN_MAX: Duration = Duration::from_secs(3);
const JOIN_INTERVAL: Duration = Duration::from_millis(5);

/// How far below the threads that answer the ones behind them stand, in steps of `nice`.
const NICE: i32 = 10;

enum Task {
    Load(AttemptId, Order),
    Free(Arc<Version>, ModelName, AttemptId),
    Remember(ModelName, Aspired),
    Quarantine(ModelName, Vec<Quarantined>),
}

/// The thread `loader-0`. Ends when it is dropped and has done what it was told; a load that takes
/// long is not waited for.
pub(super) struct LoaderThread {
    tasks: Option<flume::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl LoaderThread {
    pub(super) fn start(loader: Loader, messages: Sender<Message>) -> io::Result<Self> {
        // The lifecycle bounds what is asked: three attempts for each model.
        let (tasks, received) = flume::unbounded();
        let thread = Builder::new().name("loader-0".to_owned()).spawn(move || {
            // Threads that an engine starts for its runs inherit the priority and keep it.
            if !loader.has_intra_op_threads() {
                stand_back();
            }
            let worker = Worker { loader, messages };
            for task in received {
                worker.work(task);
            }
        })?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Loads a version, in turn; tells when it is done.
    pub(super) fn load(&self, attempt: AttemptId, order: Order) {
        self.send(Task::Load(attempt, order));
    }

    /// Frees a version, in turn; tells when it is done.
    pub(super) fn free(&self, version: Arc<Version>, model: ModelName, attempt: AttemptId) {
        self.send(Task::Free(version, model, attempt));
    }

    /// Keeps for the next start what a model serves.
    pub(super) fn remember(&self, model: ModelName, aspired: Aspired) {
        self.send(Task::Remember(model, aspired));
    }

    /// Keeps for the next start which versions of a model did worse than the one before them.
    pub(super) fn quarantine(&self, model: ModelName, versions: Vec<Quarantined>) {
        self.send(Task::Quarantine(model, versions));
    }

    fn send(&self, task: Task) {
        let is_sent = self.tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok());
        if !is_sent {
            tracing::error!("the loader takes no orders");
        }
    }
}

impl Drop for LoaderThread {
    fn drop(&mut self) {
        self.tasks = None;
        let Some(thread) = self.thread.take() else { return };
        let start = Instant::now();
        while !thread.is_finished() {
            if start.elapsed() > JOIN_MAX {
                tracing::warn!("stopped while a version was loading");
                return;
            }
            thread::sleep(JOIN_INTERVAL);
        }
        let _ = thread.join();
    }
}

/// Has the calling thread stand back where cores are short: requests come first.
pub fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!(%error, "a thread runs at the usual priority");
        }
    }
}

struct Worker {
    loader: Loader,
    messages: Sender<Message>,
}

impl Worker {
    fn work(&self, task: Task) {
        match task {
            Task::Load(attempt, order) => self.load(attempt, &order),
            Task::Remember(model, aspired) => self.loader.fetcher().remember(&model, &aspired),
            Task::Quarantine(model, versions) => {
                self.loader.fetcher().keep_quarantined(&model, &versions);
            }
            Task::Free(version, model, attempt) => {
                let name = model.to_string();
                let _logged = contain(&name, || drop(version));
                self.tell(Message::Event(Event::Unloaded { model, attempt }));
            }
        }
    }

    fn load(&self, attempt: AttemptId, order: &Order) {
        let model = order.model.clone();
        let mut entered = |state| {
            let model = model.clone();
            self.tell(Message::Event(Event::Progress { model, attempt, state }));
        };
        let name = model.to_string();
        let outcome = contain(&name, || self.loader.bring(order, &mut entered));
        let outcome = outcome.unwrap_or_else(|panic| {
            let cause = format!("internal error: {panic}");
            Err(Refused { at: VersionState::Loading, cause, is_transient: false })
        });
        self.tell(match outcome {
            Ok(version) => Message::Loaded { model, attempt, version: Arc::new(version) },
            Err(Refused { at, cause, is_transient }) => {
                Message::Event(Event::Failed { model, attempt, at, cause, is_transient })
            }
        });
    }

    /// Nobody is told when the process ends.
    fn tell(&self, message: Message) {
        let _ = self.messages.blocking_send(message);
    }
}
