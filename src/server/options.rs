//! Limits and sizes of the HTTP server.

use std::time::Duration;

/// Everything the HTTP server can be told. There are no defaults here: `config` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system pick.
    pub port: u16,
    /// Number of event-loop threads, at least 1.
    pub workers: usize,
    /// From the request's head to its answer; beyond it the answer is 504.
    pub request_timeout: Duration,
    /// Largest request body, before and after decompression; beyond it the answer is 413.
    pub body_bytes_max: usize,
    /// Requests in progress at once; one more is answered 429.
    pub requests_max: usize,
    /// Bytes of memory that all requests hold at once; beyond it the answer is 429.
    pub requests_bytes_max: usize,
    /// Answers smaller than this are sent as they are, whatever the client accepts.
    pub compress_bytes_min: usize,
    /// Open connections, at most; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// A client has this long to send the head of a request.
    pub head_timeout: Duration,
    /// An idle connection is kept this long.
    pub keep_alive: Duration,
    /// At shutdown requests are taken for this long while probes already tell of the end.
    pub lame_duck: Duration,
    /// After that, requests in flight have this long to finish.
    pub shutdown_timeout: Duration,
    /// Whether schema errors name the declared and the given inputs.
    pub schema_details: bool,
}

/// Where the admin server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminOptions {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system pick.
    pub port: u16,
}
