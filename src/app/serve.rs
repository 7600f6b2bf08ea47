//! Serving: open the ports, say so, run until a signal.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt::{self, System};

use crate::batch::InferencePool;
use crate::config::Config;
use crate::servable::{LiveTable, Loaded, ServingTable, WarmUp};
use crate::server::{AdminOptions, AdminView, Listening, ServerOptions, listen, listen_admin};

use super::models::load_all;
use super::served::Served;
use super::signals::StopSignals;
use super::{Failure, say};

/// Time for the last answers of inference threads after the server itself has ended.
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// Serves all models until the process is told to stop.
pub(super) fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let loaded = load_all(config)?;
    for Loaded { servable, warm_up, .. } in &loaded {
        if let WarmUp::Failed(error) = warm_up {
            tracing::warn!(model = %servable.id(), %error, "the example request failed");
        }
    }
    let served: Vec<Served> = loaded.into_iter().map(Served::from).collect();
    let servables = served.iter().map(|served| Arc::clone(&served.servable)).collect();
    let table = ServingTable::new(servables).map_err(|error| Failure::Usage(error.to_string()))?;
    let default = table.default_servable().id().name.clone();
    let table = Arc::new(LiveTable::new(table));
    let pool = InferencePool::start(config.pool)
        .map_err(|error| Failure::Failed(format!("cannot start inference threads: {error}")))?;
    let pool = Arc::new(pool);
    let lines: Vec<_> = served
        .iter()
        .map(|served| (served.to_string(), served.servable.id().name.clone()))
        .collect();
    let waiting = Arc::clone(&pool);
    let view = Arc::new(AdminView::new(move || {
        served.iter().map(|served| served.status(&waiting)).collect()
    }));

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
        run_until_stopped(listening, admin, &view).await
    })?;

    let left = pool.close(Instant::now() + JOIN_GRACE);
    if left > 0 {
        tracing::warn!(requests = left, "stopped with requests unfinished");
    }
    Ok(ExitCode::SUCCESS)
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
