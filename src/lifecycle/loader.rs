//! The thread that brings versions to serve, and frees them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use crate::backend::Backend;
use crate::batch::contain;
use crate::model::{ModelId, ModelName, Signature, incompatibilities};
use crate::servable::{LoadOptions, WarmUp, load};
use crate::source::Aspired;
use crate::store::ModelDir;

use super::fetcher::{Fetched, Fetcher};
use super::{AttemptId, Event, Message, Version, VersionState, room};

/// How often a fetch looks whether anybody still wants it.
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);

/// The process ends without the loader if that has not ended by then: an engine that loads a graph
/// cannot be interrupted.
const JOIN_MAX: Duration = Duration::from_secs(3);
const JOIN_INTERVAL: Duration = Duration::from_millis(5);

/// How far below the threads that answer this one stands, in steps of `nice`.
const NICE: i32 = 10;

/// How versions of one model are loaded.
pub struct Plan {
    pub backend: Arc<dyn Backend>,
    pub options: LoadOptions,
    /// Whether a version must understand the clients of the one that it replaces.
    pub needs_compatible: bool,
}

/// A version to load.
pub(super) struct Order {
    pub(super) model: ModelName,
    pub(super) attempt: AttemptId,
    pub(super) aspired: Aspired,
    /// What the clients of the published version rely on.
    pub(super) replaces: Option<Signature>,
    pub(super) is_cancelled: Arc<AtomicBool>,
}

enum Task {
    Load(Order),
    Free(Arc<Version>, ModelName, AttemptId),
    Remember(ModelName, Aspired),
}

/// The thread `loader-0`. Ends when it is dropped and has done what it was told; a load that takes
/// long is not waited for.
pub(super) struct Loader {
    tasks: Option<flume::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a version may not serve.
struct Refused {
    at: VersionState,
    cause: String,
    is_transient: bool,
}

impl Refused {
    fn for_good(at: VersionState, cause: &(impl ToString + ?Sized)) -> Self {
        Self { at, cause: cause.to_string(), is_transient: false }
    }
}

impl Loader {
    pub(super) fn start(
        plans: HashMap<ModelName, Plan>,
        fetcher: Fetcher,
        messages: Sender<Message>,
    ) -> io::Result<Self> {
        // The lifecycle bounds what is asked: three attempts for each model.
        let (tasks, received) = flume::unbounded();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Builder::new().name("loader-0".to_owned()).spawn(move || {
            let worker = Worker { plans, fetcher, messages, runtime };
            // Threads that an engine starts for its runs inherit the priority and keep it.
            if worker.plans.values().all(|plan| plan.options.intra_op_threads <= 1) {
                stand_back();
            }
            for task in received {
                worker.work(task);
            }
        })?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Loads a version, in turn; tells when it is done.
    pub(super) fn load(&self, order: Order) {
        self.send(Task::Load(order));
    }

    /// Frees a version, in turn; tells when it is done.
    pub(super) fn free(&self, version: Arc<Version>, model: ModelName, attempt: AttemptId) {
        self.send(Task::Free(version, model, attempt));
    }

    /// Keeps for the next start what a model serves.
    pub(super) fn remember(&self, model: ModelName, aspired: Aspired) {
        self.send(Task::Remember(model, aspired));
    }

    fn send(&self, task: Task) {
        let is_sent = self.tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok());
        if !is_sent {
            tracing::error!("the loader takes no orders");
        }
    }
}

impl Drop for Loader {
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

/// Requests come first where cores are short.
fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!(%error, "the loader runs at the usual priority");
        }
    }
}

struct Worker {
    plans: HashMap<ModelName, Plan>,
    fetcher: Fetcher,
    messages: Sender<Message>,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    fn work(&self, task: Task) {
        match task {
            Task::Load(order) => {
                let (model, attempt) = (order.model.clone(), order.attempt);
                let name = model.to_string();
                let outcome = contain(&name, || self.bring(&order)).unwrap_or_else(|panic| {
                    let cause = format!("internal error: {panic}");
                    Err(Refused::for_good(VersionState::Loading, &cause))
                });
                self.tell(match outcome {
                    Ok(version) => Message::Loaded { model, attempt, version: Arc::new(version) },
                    Err(Refused { at, cause, is_transient }) => {
                        Message::Event(Event::Failed { model, attempt, at, cause, is_transient })
                    }
                });
            }
            Task::Remember(model, aspired) => self.fetcher.remember(&model, &aspired),
            Task::Free(version, model, attempt) => {
                let name = model.to_string();
                let _logged = contain(&name, || drop(version));
                self.tell(Message::Event(Event::Unloaded { model, attempt }));
            }
        }
    }

    /// Nobody is told when the process ends.
    fn tell(&self, message: Message) {
        let _ = self.messages.blocking_send(message);
    }

    fn enter(&self, order: &Order, state: VersionState) -> Result<(), Refused> {
        if order.is_cancelled.load(Ordering::Relaxed) {
            return Err(Refused::for_good(state, "nobody wants it any more"));
        }
        let (model, attempt) = (order.model.clone(), order.attempt);
        self.tell(Message::Event(Event::Progress { model, attempt, state }));
        Ok(())
    }

    /// Fetches, verifies, loads and tries a version.
    fn bring(&self, order: &Order) -> Result<Version, Refused> {
        let plan = self
            .plans
            .get(&order.model)
            .ok_or_else(|| Refused::for_good(VersionState::New, "the model is not configured"))?;
        self.enter(order, VersionState::Fetching)?;
        let Fetched { dir, held } = self.fetch(order)?;

        let at = VersionState::Verifying;
        self.enter(order, at)?;
        let dir = ModelDir::open(&dir).map_err(|cause| Refused::for_good(at, &cause))?;
        if let (Some(old), true) = (&order.replaces, plan.needs_compatible) {
            let new = dir.mlmodel.signature.clone().unwrap_or_default();
            let found = incompatibilities(old, &new);
            if !found.is_empty() {
                let cause = format!(
                    "its signature does not fit the clients of the present version: {}",
                    found.join("; ")
                );
                return Err(Refused::for_good(at, &cause));
            }
        }
        // Memory may be free a little later.
        room::check(&dir).map_err(|cause| Refused {
            at,
            cause: cause.to_string(),
            is_transient: true,
        })?;

        let at = VersionState::Loading;
        self.enter(order, at)?;
        let id = ModelId { name: order.model.clone(), version: order.aspired.version };
        let loaded = load(id, dir, &*plan.backend, &plan.options)
            .map_err(|cause| Refused::for_good(at, &cause))?;
        if let WarmUp::Failed(error) = &loaded.warm_up {
            let cause = format!("its own example request fails: {error}");
            return Err(Refused::for_good(VersionState::WarmingUp, &cause));
        }
        self.enter(order, VersionState::WarmingUp)?;
        Ok(Version::new(loaded, held))
    }

    fn fetch(&self, order: &Order) -> Result<Fetched, Refused> {
        let at = VersionState::Fetching;
        self.runtime.block_on(async {
            let cancelled = async {
                while !order.is_cancelled.load(Ordering::Relaxed) {
                    tokio::time::sleep(CANCEL_INTERVAL).await;
                }
            };
            tokio::select! {
                fetched = self.fetcher.fetch(&order.model, &order.aspired) => {
                    fetched.map_err(|error| Refused {
                        at,
                        cause: error.to_string(),
                        is_transient: error.is_transient(),
                    })
                }
                () = cancelled => Err(Refused::for_good(at, "nobody wants it any more")),
            }
        })
    }
}
