//! Serving: open the ports, say so, run until a signal.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt::{self, System};

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use crate::batch::InferencePool;
use crate::config::{Config, Environment};
use crate::lifecycle::{
    Backoff, Event, FollowOptions, Manager, ManagerError, ManagerOptions, Message, ModelReport,
    Policy, Readers, Reports, SwapPolicy, follow,
};
use crate::model::ModelName;
use crate::servable::Pending;
use crate::server::{
    AdminOptions, AdminView, Control, Controlled, Listening, ServerOptions, listen, listen_admin,
};

use super::models::{Start, start};
use super::registry::Registered;
use super::served::Served;
use super::signals::StopSignals;
use super::{Failure, say};

/// Time for the last answers of inference threads after the server itself has ended.
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// One question to a registry takes no longer, unless questions are asked more rarely than that.
const POLL_TIME_MAX: Duration = Duration::from_secs(30);

/// A version that could not be fetched is tried again after this time, then after twice as long,
/// and so on.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(5);

/// Serves all models until the process is told to stop.
pub(super) fn serve(config: &Config, environment: &Environment) -> Result<ExitCode, Failure> {
    let Start { first, plans, sources, fetcher } = start(config, environment)?;
    let lines: Vec<_> =
        first.iter().map(|one| (Served(&one.version).to_string(), one.model.clone())).collect();
    let options = ManagerOptions {
        policy: policy(config),
        plans,
        fetcher,
        drain_time_max: config.server.request_timeout,
    };
    let (manager, messages) = Manager::start(options, first).map_err(|error| match error {
        ManagerError::Table(error) => Failure::Usage(error.to_string()),
        ManagerError::Loader(_) => Failure::Failed(error.to_string()),
    })?;
    let table = manager.table();
    let default = table.load().default_servable().id().name.clone();
    let reports = manager.reports();
    let pool = InferencePool::start(config.pool)
        .map_err(|error| Failure::Failed(format!("cannot start inference threads: {error}")))?;
    let pool = Arc::new(pool);
    let polls: HashMap<ModelName, Arc<Notify>> =
        sources.iter().map(|one| (one.name.clone(), Arc::default())).collect();
    let view = Arc::new(admin_view(reports, Arc::clone(&pool), polls.clone(), messages.clone()));

    let readers = Readers::default();
    let follow_options = FollowOptions {
        interval: config.registry.poll_interval,
        time_max: POLL_TIME_MAX.max(config.registry.poll_interval),
        readers: readers.clone(),
    };
    System::new().block_on(async {
        let ServerOptions { host, port, .. } = &config.server;
        let listening = listen(&config.server, table, Arc::clone(&pool)).map_err(|error| {
            Failure::Failed(format!(
                "cannot listen on {host}, port {port}: {error}; choose others with --host \
                 and --port"
            ))
        })?;
        let admin = open_admin(config.admin.as_ref(), &view)?;
        let url = format!("http://{}/invocations", listening.address);
        for (line, name) in &lines {
            let also = if *name == default { format!(" and {url}") } else { String::new() };
            say(format_args!("{line}, at {url}/{name}{also}"));
        }
        if let Some(Listening { address, .. }) = &admin {
            say(format_args!("probes and reports at http://{address}/ready and /v1/models"));
        }
        for Registered { name, source } in sources {
            let poll = polls.get(&name).cloned().unwrap_or_default();
            rt::spawn(follow(name, source, follow_options.clone(), poll, messages.clone()));
        }
        drop(messages);
        rt::spawn(manager.run());
        run_until_stopped(listening, admin, &view).await
    })?;

    let left = pool.close(Instant::now() + JOIN_GRACE);
    let hanging = readers.close(Instant::now() + JOIN_GRACE);
    if hanging > 0 {
        tracing::warn!(looks = hanging, "stopped while a registry of files does not answer");
    }
    if left > 0 {
        tracing::warn!(requests = left, "stopped with requests unfinished");
    }
    Ok(ExitCode::SUCCESS)
}

/// What the admin port shows and does.
fn admin_view(
    reports: Reports,
    pool: Arc<InferencePool<Pending>>,
    polls: HashMap<ModelName, Arc<Notify>>,
    messages: Sender<Message>,
) -> AdminView {
    let shown = reports.clone();
    let models = move || {
        let serving = shown.models().into_iter();
        let status = |report: ModelReport| {
            Some(Served(report.version.as_deref()?).status(&report.state, &pool))
        };
        serving.filter_map(status).collect()
    };
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

/// Opens the admin port, if there is to be one.
fn open_admin(
    options: Option<&AdminOptions>,
    view: &Arc<AdminView>,
) -> Result<Option<Listening>, Failure> {
    let Some(options) = options else { return Ok(None) };
    listen_admin(options, Arc::clone(view)).map(Some).map_err(|error| {
        let AdminOptions { host, port } = options;
        Failure::Failed(format!(
            "cannot listen on {host}, port {port}, for probes and reports: {error}; choose another \
             port with --admin-port, 0 for a free one or `off` for none"
        ))
    })
}

/// Runs the server until a signal, then until its requests have finished or a second signal. The
/// admin port answers all the while.
async fn run_until_stopped(
    listening: Listening,
    admin: Option<Listening>,
    view: &AdminView,
) -> Result<(), Failure> {
    let Listening { server, handle, .. } = listening;
    let failed = |error: io::Error| Failure::Failed(format!("the server failed: {error}"));
    let mut stop = StopSignals::new().map_err(failed)?;
    let mut server = rt::spawn(server);
    let admin = admin.map(|Listening { server, handle, .. }| {
        rt::spawn(server);
        handle
    });
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop.next() => None,
    };
    if let Some(ended) = ended {
        return ended.map_err(io::Error::other).flatten().map_err(failed);
    }
    tracing::info!("stopping; a second signal ends it at once");
    view.set_stopping();
    tokio::select! {
        () = handle.stop(true) => {}
        () = stop.next() => tracing::warn!("stopped by a second signal"),
    }
    if let Some(admin) = admin {
        admin.stop(false).await;
    }
    Ok(())
}
