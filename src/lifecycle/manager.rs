//! Performs what [`step`] decides: the one writer of the table.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;

use crate::model::{ModelName, VersionId};
use crate::servable::{LiveTable, Servable, ServingTable, TableError};
use crate::source::Aspired;

use super::loader::{Loader, Order, Plan};
use super::{
    Action, Answer, AttemptId, Event, Fetcher, Lifecycle, ModelState, Policy, Purpose, Verdict,
    Version, step,
};

/// Messages that wait for the manager, at most: who has more to tell waits.
const MESSAGES_MAX: usize = 256;

/// How often a closed version is looked at for requests that still have it.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// What the manager hears.
pub enum Message {
    Event(Event),
    /// A version is loaded and passed its gate.
    Loaded {
        model: ModelName,
        attempt: AttemptId,
        version: Arc<Version>,
    },
}

/// What a manager is made from.
pub struct ManagerOptions {
    pub policy: Policy,
    pub plans: HashMap<ModelName, Plan>,
    pub fetcher: Fetcher,
    /// Requests that a closed version has admitted are waited for no longer than this.
    pub drain_time_max: Duration,
}

/// The first version of a model, loaded before the manager was there.
pub struct First {
    pub model: ModelName,
    pub aspired: Aspired,
    pub version: Version,
}

/// What is known of one model, for reports.
#[derive(Clone)]
pub struct ModelReport {
    pub name: ModelName,
    pub state: ModelState,
    /// The published version, if there is one.
    pub version: Option<Arc<Version>>,
}

/// What the manager shows at any time to any thread.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Vec<ModelReport>>>);

impl Reports {
    /// All models, in the order in which they are configured.
    #[must_use]
    pub fn models(&self) -> Vec<ModelReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Owns what is loaded and decides, by [`step`], what serves.
pub struct Manager {
    state: Lifecycle,
    /// In the order in which they are configured: the first is the default.
    models: Vec<ModelName>,
    versions: HashMap<AttemptId, Arc<Version>>,
    published: BTreeMap<ModelName, AttemptId>,
    /// Loads, by whether somebody still wants them.
    loading: HashMap<AttemptId, Arc<AtomicBool>>,
    draining: Vec<Draining>,
    drain_time_max: Duration,
    table: Arc<LiveTable>,
    reports: Reports,
    /// Dropped before the loader, which else could wait for ever to be heard.
    messages: Receiver<Message>,
    loader: Loader,
}

impl Drop for Manager {
    fn drop(&mut self) {
        for is_cancelled in self.loading.values() {
            is_cancelled.store(true, Ordering::Relaxed);
        }
    }
}

struct Draining {
    model: ModelName,
    attempt: AttemptId,
    until: Instant,
}

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("cannot start the loader: {0}")]
    Loader(#[from] io::Error),
}

impl Manager {
    /// Publishes the first versions. The sender is for those who have something to tell: sources
    /// and operators.
    ///
    /// # Errors
    /// When there is no version, two models have one name, or the system refuses a thread.
    pub fn start(
        options: ManagerOptions,
        first: Vec<First>,
    ) -> Result<(Self, Sender<Message>), ManagerError> {
        let ManagerOptions { policy, plans, fetcher, drain_time_max } = options;
        let servables = first.iter().map(|one| Arc::clone(&one.version.servable)).collect();
        let table = Arc::new(LiveTable::new(ServingTable::new(servables)?));
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let loader = Loader::start(plans, fetcher, sender.clone())?;
        let mut manager = Self {
            state: Lifecycle::new(policy),
            models: first.iter().map(|one| one.model.clone()).collect(),
            versions: HashMap::new(),
            published: BTreeMap::new(),
            loading: HashMap::new(),
            draining: Vec::new(),
            drain_time_max,
            table,
            reports: Reports::default(),
            loader,
            messages,
        };
        for one in first {
            manager.adopt(one);
        }
        manager.show();
        Ok((manager, sender))
    }

    /// What serves.
    #[must_use]
    pub fn table(&self) -> Arc<LiveTable> {
        Arc::clone(&self.table)
    }

    /// What there is to say about it.
    #[must_use]
    pub fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Follows what it hears, for ever.
    pub async fn run(mut self) {
        let mut drain_look = tokio::time::interval(DRAIN_INTERVAL);
        drain_look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_draining = !self.draining.is_empty();
            let wake = self.state.wake_at().map(tokio::time::Instant::from_std);
            let tick = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => self.hear(message),
                    None => return,
                },
                () = tick => self.step(Event::Tick),
                _ = drain_look.tick(), if is_draining => self.drain(),
            }
            self.show();
        }
    }

    /// A version that is loaded already takes its way through the states at once.
    fn adopt(&mut self, first: First) {
        let First { model, aspired, version } = first;
        let now = Instant::now();
        self.step(Event::Start { model: model.clone(), remembered: Vec::new() });
        let answer = Answer::Version(aspired);
        let actions = step(&mut self.state, Event::Aspired { model: model.clone(), answer }, now);
        let version = Arc::new(version);
        for action in actions {
            if let Action::Load { attempt, .. } = action {
                let (model, version) = (model.clone(), Arc::clone(&version));
                self.hear(Message::Loaded { model, attempt, version });
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.step(event),
            Message::Loaded { model, attempt, version } => {
                self.versions.insert(attempt, version);
                self.step(Event::Loaded { model, attempt });
            }
        }
    }

    fn step(&mut self, event: Event) {
        if let Event::Failed { attempt, .. } | Event::Loaded { attempt, .. } = &event {
            self.loading.remove(attempt);
        }
        for action in step(&mut self.state, event, Instant::now()) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load { model, attempt, version: aspired, replaces } => {
                // Its clients were served by the version that is gone back to.
                let is_return = self
                    .state
                    .model(&model)
                    .and_then(ModelState::loading)
                    .is_some_and(|one| one.id == attempt && one.purpose == Purpose::Return);
                let replaced = replaces.and_then(|attempt| self.versions.get(&attempt));
                let replaces =
                    replaced.filter(|_| !is_return).map(|version| version.signature.clone());
                let is_cancelled = Arc::new(AtomicBool::new(false));
                self.loading.insert(attempt, Arc::clone(&is_cancelled));
                tracing::info!(%model, version = %aspired.version, "loading");
                self.loader.load(Order { model, attempt, aspired, replaces, is_cancelled });
            }
            Action::Cancel { attempt } => {
                if let Some(is_cancelled) = self.loading.get(&attempt) {
                    is_cancelled.store(true, Ordering::Relaxed);
                }
            }
            Action::Publish { model, attempt } => {
                let serving = self.state.model(&model).and_then(ModelState::serving);
                if let Some(serving) = serving {
                    self.loader.remember(model.clone(), serving.version.clone());
                }
                self.published.insert(model, attempt);
                self.store();
            }
            Action::Withdraw { model, .. } => {
                self.published.remove(&model);
                self.store();
            }
            Action::Close { attempt } => self.close(attempt),
            Action::Unload { attempt } => self.unload(attempt),
            Action::Report { model, version, verdict } => tell(&model, version.version, &verdict),
        }
    }

    /// Puts what is published into the table.
    fn store(&self) {
        let servable = |model: &ModelName| -> Option<Arc<Servable>> {
            let version = self.versions.get(self.published.get(model)?)?;
            Some(Arc::clone(&version.servable))
        };
        match ServingTable::new(self.models.iter().filter_map(servable).collect()) {
            Ok(table) => self.table.store(table),
            Err(error) => tracing::error!(%error, "the table stays as it is"),
        }
    }

    fn close(&mut self, attempt: AttemptId) {
        let Some(version) = self.versions.get(&attempt) else { return };
        let model = version.servable.id().name.clone();
        let until = Instant::now() + self.drain_time_max;
        self.draining.push(Draining { model, attempt, until });
    }

    /// Looks at the closed versions. None of them is in the table, so that no request finds one.
    fn drain(&mut self) {
        let now = Instant::now();
        let versions = &self.versions;
        let is_drained = |one: &mut Draining| {
            let version = versions.get(&one.attempt);
            version.is_none_or(|version| !version.is_in_use()) || now >= one.until
        };
        for Draining { model, attempt, .. } in
            self.draining.extract_if(.., is_drained).collect::<Vec<_>>()
        {
            self.step(Event::Drained { model, attempt });
        }
    }

    fn unload(&mut self, attempt: AttemptId) {
        if let Some(version) = self.versions.remove(&attempt) {
            let model = version.servable.id().name.clone();
            // Before the loader has the last part of it.
            self.show();
            self.loader.free(version, model, attempt);
        }
    }

    fn show(&self) {
        let report = |name: &ModelName| {
            let state = self.state.model(name)?.clone();
            let version = self.published.get(name).and_then(|id| self.versions.get(id)).cloned();
            Some(ModelReport { name: name.clone(), state, version })
        };
        let reports = self.models.iter().filter_map(report).collect();
        *self.reports.0.lock().unwrap_or_else(PoisonError::into_inner) = reports;
    }
}

/// Says in the log what became of a version.
fn tell(model: &ModelName, version: VersionId, verdict: &Verdict) {
    match verdict {
        Verdict::Accepted => tracing::info!(%model, %version, "serving"),
        Verdict::Refused { at, cause, retry_at: None } => {
            tracing::error!(%model, %version, ?at, cause, "refused; what served goes on serving");
        }
        Verdict::Refused { at, cause, retry_at: Some(_) } => {
            tracing::warn!(%model, %version, ?at, cause, "not loaded; it is tried again");
        }
        Verdict::RolledBack { to, cause } => {
            tracing::warn!(%model, %version, %to, cause, "rolled back");
        }
    }
}
