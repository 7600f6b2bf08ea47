//! Serving: find what to serve, open the ports, say so, run until a signal.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::rt;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::batch::InferencePool;
use crate::config::{Config, Environment, StartOptions};
use crate::lifecycle::{
    Backoff, Event, FollowOptions, Followed, Manager, ManagerError, ManagerOptions, Message,
    ModelReport, Outlook, Policy, Readers, Reports, SwapPolicy, Tellers, ToldOf, follow,
};
use crate::model::ModelName;
use crate::servable::{LiveTable, Pending};
use crate::server::{
    AdminOptions, AdminView, Control, Controlled, Leaving, Listening, Readiness, listen,
    listen_admin,
};

use crate::source::Source;
use crate::telemetry::Meters;

use super::models::{Models, find_all};
use super::registry::Registered;
use super::served::{Served, status};
use super::signals::{MainLoop, StopSignals};
use super::stopping::{Stopping, run_until_stopped};
use super::telemetry::{DriftThread, expose, expose_queues};
use super::webhook::{webhook, webhook_secret};
use super::{Failure, say};

/// Time for the last answers of inference threads after the server itself has ended.
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// Time for registries to be told why the process ends.
const TELL_GRACE: Duration = Duration::from_millis(500);

/// One question to a registry takes no longer, unless questions are asked more rarely than that.
const POLL_TIME_MAX: Duration = Duration::from_secs(30);

/// A version that could not be fetched is tried again after this time, then after twice as long,
/// and so on.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(5);

/// Serves all models until the process is told to stop.
pub(super) fn serve(
    config: &Config,
    environment: &Environment,
    main_loop: MainLoop,
) -> Result<ExitCode, Failure> {
    let MainLoop { system, signals: mut stop } = main_loop;
    let secret = webhook_secret(&config.registry)?;
    let (exposition, watching) = expose(config);
    let Models { registered, loader } = find_all(config, environment, &watching)?;
    exposition.add_build(&loader.onnxruntime());
    let (tellers, untold) = tellers(&registered);
    let (manager, messages) = start_manager(ManagerOptions {
        policy: policy(config),
        models: registered.iter().map(|one| one.name.clone()).collect(),
        loader,
        drain_time_max: config.server.request_timeout,
        exposition: exposition.clone(),
        tellers,
    })?;
    let pool = Arc::new(InferencePool::start(config.pool).map_err(no_thread)?);
    let _drift = DriftThread::start(watching.monitors.clone()).map_err(no_thread)?;
    let polls = polls(&registered);
    let has_started = Arc::new(AtomicBool::new(false));
    let reports = manager.reports();
    expose_queues(&exposition, reports.clone(), Arc::clone(&pool));
    let readiness = readiness(reports.clone(), Arc::clone(&has_started), config.start);
    let leaving = Leaving::default();
    let mut view = admin_view(reports.clone(), Arc::clone(&pool), polls.clone(), messages.clone())
        .with_readiness(readiness)
        .with_leaving(leaving.clone())
        .with_metrics(exposition)
        .with_drift(watching.monitors.clone());
    if let Some(secret) = secret {
        view = view.with_webhook(webhook(secret, &registered, &polls));
    }
    let serving = Serving {
        config,
        table: manager.table(),
        pool: Arc::clone(&pool),
        leaving,
        messages: messages.clone(),
        meters: watching.meters,
    };
    let view = Arc::new(view);

    let readers = Readers::default();
    let follow_options = follow_options(config, &readers);
    system.block_on(async {
        let admin = open_admin(config.admin.as_ref(), &view)?;
        let places = places(&registered);
        for followed in followed(registered, &polls, untold) {
            rt::spawn(follow(followed, follow_options.clone(), messages.clone()));
        }
        drop(messages);
        rt::spawn(manager.run());
        tokio::select! {
            first = first_versions(reports.clone(), &places, config.start) => {
                return_later(first).await?;
            }
            () = stop.next() => {
                tracing::info!("stopped before the first versions were loaded");
                return Ok(());
            }
        }
        has_started.store(true, Ordering::Release);
        serving.run(&reports, admin, stop).await
    })?;

    join(&pool, &readers);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn no_thread(error: io::Error) -> Failure {
    Failure::Failed(format!("cannot start a thread: {error}"))
}

/// What wakes each model's questions to its registry.
fn polls(registered: &[Registered]) -> HashMap<ModelName, Arc<Notify>> {
    registered.iter().map(|one| (one.name.clone(), Arc::default())).collect()
}

/// Where each model is, as it was named.
fn places(registered: &[Registered]) -> HashMap<ModelName, String> {
    registered.iter().map(|one| (one.name.clone(), one.place.clone())).collect()
}

fn follow_options(config: &Config, readers: &Readers) -> FollowOptions {
    let interval = config.registry.poll_interval;
    FollowOptions { interval, time_max: POLL_TIME_MAX.max(interval), readers: readers.clone() }
}

fn start_manager(options: ManagerOptions) -> Result<(Manager, Sender<Message>), Failure> {
    Manager::start(options).map_err(|error| match error {
        ManagerError::Table(error) => Failure::Usage(error.to_string()),
        ManagerError::Loader(_) => Failure::Failed(error.to_string()),
    })
}

/// Waits for threads to end, but not for ever.
fn join(pool: &InferencePool<Pending>, readers: &Readers) {
    let left = pool.close(Instant::now() + JOIN_GRACE);
    if left > 0 {
        tracing::warn!(requests = left, "stopped with requests unfinished");
    }
    let hanging = readers.close(Instant::now() + JOIN_GRACE);
    if hanging > 0 {
        tracing::warn!(looks = hanging, "stopped while a registry of files does not answer");
    }
}

/// What is to be told to registries, by model.
type Untold = HashMap<ModelName, Receiver<ToldOf>>;

/// Ways to the registries that take verdicts, and their other ends.
fn tellers(registered: &[Registered]) -> (Tellers, Untold) {
    let mut tellers = Tellers::default();
    let told = registered.iter().filter(|one| matches!(one.source, Source::Mlflow(_)));
    let untold = told.map(|one| (one.name.clone(), tellers.add(one.name.clone()))).collect();
    (tellers, untold)
}

/// Models and their registries, with what connects them to the rest.
fn followed(
    registered: Vec<Registered>,
    polls: &HashMap<ModelName, Arc<Notify>>,
    mut untold: Untold,
) -> impl Iterator<Item = Followed> {
    registered.into_iter().map(move |Registered { name, source, .. }| {
        let poll = polls.get(&name).cloned().unwrap_or_default();
        let verdicts = untold.remove(&name);
        Followed { model: name, source, poll, verdicts }
    })
}

/// A failure waits until registries have been told why.
async fn return_later(first: Result<(), Failure>) -> Result<(), Failure> {
    if first.is_err() {
        tokio::time::sleep(TELL_GRACE).await;
    }
    first
}

/// Waits until every model serves, or cannot.
async fn first_versions(
    mut reports: Reports,
    places: &HashMap<ModelName, String>,
    options: StartOptions,
) -> Result<(), Failure> {
    loop {
        let models = reports.models();
        let outlooks: Vec<_> = models.iter().map(|one| (&one.name, one.outlook())).collect();
        for (name, outlook) in &outlooks {
            if let (Outlook::Stuck(cause), true) = (outlook, options.exit_on_error) {
                let place = places.get(*name).map_or(name.as_str(), String::as_str);
                return Err(Failure::Failed(format!("cannot serve {place}: {cause}")));
            }
        }
        if outlooks.iter().all(|(_, outlook)| *outlook != Outlook::Coming) {
            for (model, outlook) in outlooks {
                if let Outlook::Stuck(cause) = outlook {
                    tracing::error!(%model, cause, "not served yet");
                }
            }
            return Ok(());
        }
        if !reports.changed().await {
            return Err(Failure::Failed("the versions' manager is gone".to_owned()));
        }
    }
}

/// Whether requests are welcome.
fn readiness(
    reports: Reports,
    has_started: Arc<AtomicBool>,
    options: StartOptions,
) -> impl Fn() -> Readiness + Send + Sync {
    move || {
        if !has_started.load(Ordering::Acquire) {
            return Readiness::Starting;
        }
        let is_waiting = |one: &ModelReport| {
            one.outlook() != Outlook::Serving
                || !options.ready_on_fallback && one.state.is_fallback()
        };
        let models = reports.models();
        let waiting: Vec<_> =
            models.iter().filter(|one| is_waiting(one)).map(|one| one.name.to_string()).collect();
        if waiting.is_empty() { Readiness::Ready } else { Readiness::Waiting(waiting) }
    }
}

/// What serves, and how.
struct Serving<'a> {
    config: &'a Config,
    table: Arc<LiveTable>,
    pool: Arc<InferencePool<Pending>>,
    leaving: Leaving,
    messages: Sender<Message>,
    meters: Meters,
}

impl Serving<'_> {
    /// Opens the data port, says what is served, and serves until a signal.
    async fn run(
        self,
        reports: &Reports,
        admin: Option<AdminServer>,
        stop: StopSignals,
    ) -> Result<(), Failure> {
        let Self { config, table, pool, leaving, messages, meters } = self;
        let shown = Arc::clone(&table);
        let (told, counted) = (leaving.clone(), meters.clone());
        let listening = listen(&config.server, table, pool, meters, told).map_err(|error| {
            let (host, port) = (&config.server.host, config.server.port);
            Failure::Failed(format!(
                "cannot listen on {host}, port {port}: {error}; choose others with --host \
                 and --port"
            ))
        })?;
        say_what_serves(&reports.models(), &shown, listening.address);
        if let Some(AdminServer { address, .. }) = &admin {
            say(format_args!("probes and reports at http://{address}/ready and /v1/models"));
        }
        let leave = || {
            leaving.begin();
            // Nothing new is loaded while the last requests are answered.
            let _ = messages.try_send(Message::Event(Event::Stop));
        };
        let stopping = Stopping {
            leave,
            lame_duck: config.server.lame_duck,
            shutdown_timeout: config.server.shutdown_timeout,
            in_flight: || counted.in_flight(),
            signals: stop,
        };
        run_until_stopped(listening, admin.map(|admin| admin.handle), stopping).await
    }
}

/// What the admin port shows and does.
fn admin_view(
    reports: Reports,
    pool: Arc<InferencePool<Pending>>,
    polls: HashMap<ModelName, Arc<Notify>>,
    messages: Sender<Message>,
) -> AdminView {
    let shown = reports.clone();
    let models = move || shown.models().iter().map(|one| status(one, &pool)).collect();
    let control = move |name: &str, control: Control| {
        let mut models = reports.models().into_iter();
        let Some(report) = models.find(|report| report.name.as_str() == name) else {
            return Controlled::Unknown;
        };
        let model = report.name.clone();
        let event = match control {
            Control::Rollback if report.state.predecessor().is_none() => {
                return Controlled::NothingBefore;
            }
            Control::Rollback => Event::Rollback { model },
            Control::Poll => Event::Poll { model },
        };
        if messages.try_send(Message::Event(event)).is_err() {
            return Controlled::Busy;
        }
        if let (Control::Poll, Some(poll)) = (control, polls.get(&report.name)) {
            poll.notify_one();
        }
        Controlled::Accepted
    };
    AdminView::new(models, control)
}

/// How versions come and go.
fn policy(config: &Config) -> Policy {
    let keep = config.registry.keep_predecessor;
    Policy {
        swap: SwapPolicy::AvailabilityPreserving,
        loads_max: NonZeroUsize::MIN,
        backoff: Backoff { first: RETRY_FIRST, max: RETRY_MAX },
        probation: keep,
        keeps_predecessor: !keep.is_zero(),
        jitter_seed: fastrand::u64(..),
    }
}

/// Prints a line for each model that serves.
fn say_what_serves(models: &[ModelReport], table: &LiveTable, address: SocketAddr) {
    let url = format!("http://{address}/invocations");
    let default = table.load().default_name().clone();
    for ModelReport { name, version, .. } in models {
        let Some(version) = version else { continue };
        let also = if *name == default { format!(" and {url}") } else { String::new() };
        say(format_args!("{}, at {url}/{name}{also}", Served(version)));
    }
}

/// The running admin port.
struct AdminServer {
    address: SocketAddr,
    handle: ServerHandle,
}

/// Opens the admin port, if there is to be one. It answers from here on.
fn open_admin(
    options: Option<&AdminOptions>,
    view: &Arc<AdminView>,
) -> Result<Option<AdminServer>, Failure> {
    let Some(options) = options else { return Ok(None) };
    let listening = listen_admin(options, Arc::clone(view)).map_err(|error| {
        let AdminOptions { host, port } = options;
        Failure::Failed(format!(
            "cannot listen on {host}, port {port}, for probes and reports: {error}; choose another \
             port with --admin-port, 0 for a free one or `off` for none"
        ))
    })?;
    let Listening { server, handle, address } = listening;
    rt::spawn(server);
    Ok(Some(AdminServer { address, handle }))
}
