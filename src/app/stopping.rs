//! The end of a server that answers requests: nobody may be turned away who could not know better.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt;

use crate::server::Listening;

use super::Failure;
use super::signals::StopSignals;

/// How long before the time for requests in flight is over it is told which are cut off.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// What ends a server, and how.
pub(super) struct Stopping<L, F> {
    /// Tells everybody that the process is about to end: probes, and clients by their answers.
    pub(super) leave: L,
    /// Time for them to hear it.
    pub(super) lame_duck: Duration,
    /// Time for requests in flight, once the port is closed.
    pub(super) shutdown_timeout: Duration,
    /// How many there are.
    pub(super) in_flight: F,
    pub(super) signals: StopSignals,
}

/// Runs the server until a signal. Then requests are taken until who sends them has heard of the
/// end, the port is closed, and what was taken is finished. A second signal ends it at once. The
/// admin port answers all the while.
pub(super) async fn run_until_stopped(
    listening: Listening,
    admin: Option<ServerHandle>,
    stopping: Stopping<impl FnOnce(), impl Fn() -> u64>,
) -> Result<(), Failure> {
    let Listening { server, handle, .. } = listening;
    let Stopping { leave, lame_duck, shutdown_timeout, in_flight, mut signals } = stopping;
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
    let finish = async {
        rt::time::sleep(lame_duck).await;
        tracing::info!(
            requests = in_flight(),
            "no longer listening; what is in flight is finished"
        );
        let stop = handle.stop(true);
        let last_look = rt::time::sleep(shutdown_timeout.saturating_sub(LAST_LOOK));
        let mut stop = pin!(stop);
        tokio::select! {
            () = &mut stop => return,
            () = last_look => {}
        }
        tracing::warn!(requests = in_flight(), "requests are cut off: there is no more time");
        stop.await;
    };
    tokio::select! {
        () = finish => tracing::info!("stopped"),
        () = signals.next() => {
            tracing::warn!(requests = in_flight(), "stopped by a second signal");
        }
    }
    if let Some(admin) = admin {
        admin.stop(false).await;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn server_failed(error: io::Error) -> Failure {
    Failure::Failed(format!("the server failed: {error}"))
}
