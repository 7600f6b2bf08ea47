//! Binding and running the server.

use std::any::Any;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_web::HttpServer;
use actix_web::dev::{Extensions, Server, ServerHandle, fn_factory, fn_service};
use actix_web::rt::net::TcpStream;
#[cfg(target_os = "linux")]
use socket2::SockRef;

use crate::batch::{ExpressLane, Handover, InferencePool};
use crate::servable::{Budget, LiveTable, Pending};
use crate::telemetry::Meters;

use super::infer::{Reached, Shared, Worker, handle};
use super::leaving::Leaving;
use super::options::ServerOptions;
use super::relief::Relief;

/// A server that has its sockets. Await `server` to run it.
pub struct Listening {
    pub server: Server,
    pub handle: ServerHandle,
    /// The bound address; of several, the first.
    pub address: SocketAddr,
}

/// Binds the sockets and prepares the workers. Requests that reach no version are counted by
/// `meters`, the others by their version's own. Signals are the caller's business: say so by
/// `leaving`, and stop the server through its handle.
///
/// # Errors
/// When the host does not resolve or the address cannot be bound.
pub fn listen(
    options: &ServerOptions,
    table: Arc<LiveTable>,
    pool: Arc<InferencePool<Pending>>,
    meters: Meters,
    leaving: Leaving,
) -> io::Result<Listening> {
    let budget = Arc::new(Budget::new(options.requests_max, options.requests_bytes_max));
    let options_of_all = options.clone();
    let shared = Arc::new(Shared { table, pool, budget, options: options_of_all, meters, leaving });
    let server = HttpServer::new(move || {
        // Made on each worker's own thread.
        let worker = Rc::new(Worker {
            shared: Arc::clone(&shared),
            express: ExpressLane::new(),
            handover: Handover::new(Arc::clone(&shared.pool)),
            relief: Relief::default(),
        });
        // The routes are few, and resolved by a function: `App` would cost a request a
        // microsecond.
        fn_factory(move || {
            let worker = Rc::clone(&worker);
            let serve = move |request: Request| handle(request, Rc::clone(&worker));
            ready(Ok::<_, ()>(fn_service(serve)))
        })
    })
    .on_connect({
        let timeout = options.request_timeout;
        move |connection, extensions| prepare(connection, extensions, timeout)
    })
    .disable_signals()
    .workers(options.workers)
    // The handlers never leave their event loop.
    .worker_max_blocking_threads(1)
    .max_connections(options.connections_max.div_ceil(options.workers))
    .client_request_timeout(options.head_timeout)
    .client_disconnect_timeout(options.head_timeout)
    .keep_alive(options.keep_alive)
    .shutdown_timeout(whole_seconds(options.shutdown_timeout))
    // A client that is gone needs no answer: its work is skipped.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .bind(addresses(&options.host, options.port)?.as_slice())?;
    Listening::new(&server.addrs(), server.run())
}

/// No shorter than that.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Listening {
    pub(super) fn new(bound: &[SocketAddr], server: Server) -> io::Result<Self> {
        let none = || io::Error::other("the host resolves to no address");
        let address = *bound.first().ok_or_else(none)?;
        Ok(Self { handle: server.handle(), server, address })
    }
}

/// Notes where a connection arrived, and lets the system end it if its client takes no byte of its
/// answer for `timeout`: no timer of ours runs while an answer waits to be sent.
fn prepare(connection: &dyn Any, extensions: &mut Extensions, timeout: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    if let Ok(address) = stream.local_addr() {
        extensions.insert(Reached(address));
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(timeout)) {
        tracing::debug!(%error, "a connection without a bound on stalls");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = timeout;
}

/// Where to listen. Port 0 means a different port on each address, so only the first is taken.
pub(super) fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    if port == 0 {
        addresses.truncate(1);
    }
    Ok(addresses)
}
