//! The end of a server that answers requests: nobody may be turned away who could not know better.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt;

use crate::server::Listening;

use super::Failure;
use super::signals::StopSignals;

/// What ends a server, and how.
pub(super) struct Stopping<F> {
    /// Tells everybody that the process is about to end: probes, and clients by their answers.
    pub(super) leave: F,
    /// Time for them to hear it.
    pub(super) lame_duck: Duration,
    pub(super) signals: StopSignals,
}

/// Runs the server until a signal. Then requests are taken until who sends them has heard of the
/// end, the port is closed, and what was taken is finished. A second signal ends it at once. The
/// admin port answers all the while.
pub(super) async fn run_until_stopped(
    listening: Listening,
    admin: Option<ServerHandle>,
    stopping: Stopping<impl FnOnce()>,
) -> Result<(), Failure> {
    let Listening { server, handle, .. } = listening;
    let Stopping { leave, lame_duck, mut signals } = stopping;
    let mut server = rt::spawn(server);
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = signals.next() => None,
    };
    if let Some(ended) = ended {
        return ended.map_err(io::Error::other).flatten().map_err(server_failed);
    }
    leave();
    tracing::info!(?lame_duck, "stopping; a second signal ends it at once");
    let finished = async {
        rt::time::sleep(lame_duck).await;
        tracing::info!("no longer listening; requests in flight are finished");
        handle.stop(true).await;
    };
    tokio::select! {
        () = finished => tracing::info!("stopped"),
        () = signals.next() => tracing::warn!("stopped by a second signal"),
    }
    if let Some(admin) = admin {
        admin.stop(false).await;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
pub(super) fn server_failed(error: io::Error) -> Failure {
    Failure::Failed(format!("the server failed: {error}"))
}
