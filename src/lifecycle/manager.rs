//! Performs what [`step`] decides: the one writer of the table.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;

use crate::model::{ModelName, VersionId};
use crate::servable::{LiveTable, Servable, ServingTable, TableError};
use crate::store::Quarantined;
use crate::telemetry::Exposition;

use super::lately::{Lately, SAMPLE_INTERVAL};
use super::loader::{Loader, Order};
use super::loader_thread::LoaderThread;
use super::metrics::Metrics;
use super::reports::{Board, ModelReport, Reports};
use super::verdicts::{Tellers, Verdicts};
use super::{Action, AttemptId, Event, Lifecycle, ModelState, Policy, Version, compare, step};

/// Messages that wait for the manager, at most: who has more to tell waits.
const MESSAGES_MAX: usize = 256;

/// How often a closed version is looked at for requests that still have it.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// How often a version on probation is compared with the one before it.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

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
    /// In the order in which they are configured: the first is the default.
    pub models: Vec<ModelName>,
    pub loader: Loader,
    /// Requests that a closed version has admitted are waited for no longer than this.
    pub drain_time_max: Duration,
    /// Where the lifecycle's metrics are shown.
    pub exposition: Exposition,
    /// Which registries are told what becomes of versions.
    pub tellers: Tellers,
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
    /// So long before the end of a probation latencies count.
    judged_last: Duration,
    lately: Lately,
    table: Arc<LiveTable>,
    board: Board,
    verdicts: Verdicts,
    /// As it is kept for the next start.
    quarantined: HashMap<ModelName, Vec<Quarantined>>,
    /// The version that was replaced last, until that is reported.
    replaced: Option<VersionId>,
    /// Dropped before the loader, which else could wait for ever to be heard.
    messages: Receiver<Message>,
    loader: LoaderThread,
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
    /// Nothing serves yet: a model's first version is loaded as soon as its registry has named one.
    /// The sender is for those who have something to tell: sources and operators.
    ///
    /// # Errors
    /// When there is no model, two have one name, or the system refuses a thread.
    pub fn start(options: ManagerOptions) -> Result<(Self, Sender<Message>), ManagerError> {
        let ManagerOptions { policy, models, loader, drain_time_max, exposition, tellers } =
            options;
        let none = models.iter().map(|name| (name.clone(), None)).collect();
        let table = Arc::new(LiveTable::new(ServingTable::of(none)?));
        let known = |name| {
            let fetcher = loader.fetcher();
            (fetcher.last_known(name).into_iter().collect(), fetcher.quarantined(name))
        };
        let known: Vec<_> = models.iter().map(known).collect();
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let loader = LoaderThread::start(loader, sender.clone())?;
        let board = Board::new();
        let metrics = Metrics::new(&exposition, board.reports());
        let mut manager = Self {
            state: Lifecycle::new(policy),
            models,
            versions: HashMap::new(),
            published: BTreeMap::new(),
            loading: HashMap::new(),
            draining: Vec::new(),
            drain_time_max,
            judged_last: policy.probation * 2 / 3,
            lately: Lately::default(),
            table,
            board,
            verdicts: Verdicts { metrics, tellers },
            quarantined: HashMap::new(),
            replaced: None,
            loader,
            messages,
        };
        for (model, known) in manager.models.clone().into_iter().zip(known) {
            let (remembered, quarantined) = known;
            manager.quarantined.insert(model.clone(), quarantined.clone());
            manager.step(Event::Start { model, remembered, quarantined });
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
        self.board.reports()
    }

    /// Follows what it hears, for ever.
    pub async fn run(mut self) {
        let mut drain_look = tokio::time::interval(DRAIN_INTERVAL);
        let mut sample_look = tokio::time::interval(SAMPLE_INTERVAL);
        let mut health_look = tokio::time::interval(HEALTH_INTERVAL);
        for look in [&mut drain_look, &mut sample_look, &mut health_look] {
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let is_draining = !self.draining.is_empty();
            let on_probation =
                self.state.models().any(|(_, model)| model.probation_until().is_some());
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
                _ = sample_look.tick() => self.sample(),
                _ = health_look.tick(), if on_probation => self.compare(),
            }
            self.show();
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Event(event) => {
                self.verdicts.heard(&event, &self.state);
                self.step(event);
            }
            Message::Loaded { model, attempt, version } => {
                self.versions.insert(attempt, version);
                let event = Event::Loaded { model, attempt };
                self.verdicts.heard(&event, &self.state);
                self.step(event);
            }
        }
    }

    fn step(&mut self, event: Event) {
        if let Event::Failed { attempt, .. } | Event::Loaded { attempt, .. } = &event {
            self.loading.remove(attempt);
        }
        let model = event.model().cloned();
        for action in step(&mut self.state, event, Instant::now()) {
            self.perform(action);
        }
        if let Some(model) = model {
            self.keep_quarantined(model);
        }
    }

    /// What is in quarantine is so after a restart.
    fn keep_quarantined(&mut self, model: ModelName) {
        let Some(state) = self.state.model(&model) else { return };
        let quarantined = state.quarantined();
        if self.quarantined.get(&model) != Some(&quarantined) {
            self.loader.quarantine(model.clone(), quarantined.clone());
            self.quarantined.insert(model, quarantined);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load { model, attempt, version: aspired, replaces } => {
                // What has served before has the clients that it had.
                let state = self.state.model(&model);
                let is_return = state.is_some_and(|state| state.has_served(aspired.version));
                let replaced = replaces.and_then(|attempt| self.versions.get(&attempt));
                let beside = replaced.map(|version| version.tuning.findings());
                let replaces =
                    replaced.filter(|_| !is_return).map(|version| version.signature.clone());
                let is_cancelled = Arc::new(AtomicBool::new(false));
                self.loading.insert(attempt, Arc::clone(&is_cancelled));
                tracing::info!(%model, version = %aspired.version, "loading");
                let order = Order { model, aspired, replaces, beside, is_cancelled };
                self.loader.load(attempt, order);
            }
            Action::Cancel { attempt } => {
                if let Some(is_cancelled) = self.loading.get(&attempt) {
                    is_cancelled.store(true, Ordering::Relaxed);
                }
            }
            Action::Publish { model, attempt } => self.publish(&model, attempt),
            Action::Withdraw { model, attempt } => {
                self.published.remove(&model);
                self.lately.forget(attempt);
                self.store();
            }
            Action::Close { attempt } => self.close(attempt),
            Action::Unload { attempt } => self.unload(attempt),
            Action::Report { model, version, verdict } => {
                let replaced = self.replaced.take();
                if let Some(state) = self.state.model(&model) {
                    self.verdicts.tell(&model, version.version, &verdict, state, replaced);
                }
            }
        }
    }

    fn publish(&mut self, model: &ModelName, attempt: AttemptId) {
        let serving = self.state.model(model).and_then(ModelState::serving);
        if let Some(serving) = serving {
            self.loader.remember(model.clone(), serving.version.clone());
        }
        let old = self.published.insert(model.clone(), attempt);
        if let Some((old, version)) = old.and_then(|old| Some((old, self.versions.get(&old)?))) {
            let observed = version.servable.tally().observed();
            self.lately.replaced(model.clone(), old, observed);
            self.replaced = Some(version.servable.id().version);
        }
        if let Some(version) = self.versions.get(&attempt) {
            self.lately.published(attempt, version.servable.tally().observed());
        }
        self.store();
        if let (Some(state), Some(_)) = (self.state.model(model), self.replaced) {
            self.verdicts.metrics.published(model, state);
        }
    }

    /// Puts what is published into the table.
    fn store(&self) {
        let servable = |model: &ModelName| -> Option<Arc<Servable>> {
            let version = self.versions.get(self.published.get(model)?)?;
            Some(Arc::clone(&version.servable))
        };
        let models = self.models.iter().map(|model| (model.clone(), servable(model)));
        match ServingTable::of(models.collect()) {
            Ok(table) => self.table.store(table),
            Err(error) => tracing::error!(%error, "the table stays as it is"),
        }
    }

    /// Looks at how the published versions do.
    fn sample(&mut self) {
        for attempt in self.published.values() {
            if let Some(version) = self.versions.get(attempt) {
                self.lately.sample(*attempt, version.servable.tally().observed());
            }
        }
    }

    /// Compares versions on probation with the ones before them.
    fn compare(&mut self) {
        let now = Instant::now();
        let on_probation: Vec<_> = self
            .state
            .models()
            .filter(|(_, state)| state.is_judged())
            .filter_map(|(model, state)| Some((model.clone(), state.probation_until()?)))
            .collect();
        for (model, until) in on_probation {
            let is_settled = until.saturating_duration_since(now) <= self.judged_last;
            let Some(attempt) = self.published.get(&model).copied() else { continue };
            let (Some(version), Some(old)) =
                (self.versions.get(&attempt), self.lately.baseline(&model))
            else {
                continue;
            };
            let observed = version.servable.tally().observed();
            let since = self.lately.since_published(attempt, &observed);
            let health = compare(&since, old, is_settled);
            self.step(Event::Health { model, attempt, health });
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
        self.board.show(self.models.iter().filter_map(report).collect());
    }
}
