//! Settings of the HTTP server.

use super::{Setting, known};

pub const HOST: Setting = Setting {
    key: "server.host",
    flag: "host",
    short: Some('h'),
    env: "FLOWGATE_HOST",
    env_known: None,
    default: Some("127.0.0.1"),
    expected: "a host name or an IP address",
    meaning: "Address to listen on; `0.0.0.0` is every IPv4 interface, `::` every interface.",
};

pub const PORT: Setting = Setting {
    key: "server.port",
    flag: "port",
    short: Some('p'),
    env: "FLOWGATE_PORT",
    env_known: None,
    default: Some("8080"),
    expected: "a port from 0 to 65535",
    meaning: "Port to listen on; 0 picks a free one, which the start-up line names.",
};

pub const ADMIN_HOST: Setting = Setting {
    key: "server.admin_host",
    flag: "admin-host",
    short: None,
    env: "FLOWGATE_ADMIN_HOST",
    env_known: None,
    default: None,
    expected: "a host name or an IP address",
    meaning: "Address of the admin port; if not set it is `server.host`.",
};

pub const ADMIN_PORT: Setting = Setting {
    key: "server.admin_port",
    flag: "admin-port",
    short: None,
    env: "FLOWGATE_ADMIN_PORT",
    env_known: None,
    default: Some("8082"),
    expected: "`off` or a port from 0 to 65535",
    meaning: "Port of probes and reports (`/live`, `/ready`, `/v1/models`); 0 picks a free one, \
              which the start-up lines name.",
};

pub const WORKERS: Setting = Setting {
    key: "server.workers",
    flag: "workers",
    short: Some('w'),
    env: "FLOWGATE_WORKERS",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a number from 1 to 1024",
    meaning: "HTTP event-loop threads; `auto` is half of the cores that the process may use.",
};

pub const TIMEOUT: Setting = Setting {
    key: "server.request_timeout",
    flag: "timeout",
    short: Some('t'),
    env: "FLOWGATE_TIMEOUT",
    env_known: Some(known("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT")),
    default: Some("60s"),
    expected: "a time above zero, in seconds or with a unit (`60`, `1m30s`, `500ms`)",
    meaning: "A request that takes longer, from its head to its answer, is answered 504.",
};

pub const BODY_BYTES_MAX: Setting = Setting {
    key: "server.body_bytes_max",
    flag: "body-bytes-max",
    short: None,
    env: "FLOWGATE_BODY_BYTES_MAX",
    env_known: None,
    default: Some("64MiB"),
    expected: "a size from 1KiB to 16GiB, in bytes or with a unit (`67108864`, `64MiB`)",
    meaning: "Largest request body, compressed and decompressed; a larger one is answered 413.",
};

pub const REQUESTS_MAX: Setting = Setting {
    key: "server.requests_max",
    flag: "requests-max",
    short: None,
    env: "FLOWGATE_REQUESTS_MAX",
    env_known: None,
    default: Some("8192"),
    expected: "a number from 1 to 1000000",
    meaning: "Requests in progress, of all models; one more is answered 429.",
};

pub const REQUESTS_BYTES_MAX: Setting = Setting {
    key: "server.requests_bytes_max",
    flag: "requests-bytes-max",
    short: None,
    env: "FLOWGATE_REQUESTS_BYTES_MAX",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a size of at least `server.body_bytes_max`, in bytes or with a unit \
               (`1GiB`)",
    meaning: "Memory for all requests at once: bodies, what they are decoded to, the model's \
              outputs, answers; beyond it the answer is 429. `auto` is half of the memory that the \
              process may use.",
};

pub const COMPRESS_BYTES_MIN: Setting = Setting {
    key: "server.compress_bytes_min",
    flag: "compress-bytes-min",
    short: None,
    env: "FLOWGATE_COMPRESS_BYTES_MIN",
    env_known: None,
    default: Some("16KiB"),
    expected: "a size up to 16GiB, in bytes or with a unit (`16384`, `16KiB`)",
    meaning: "Answers from this size on are compressed for clients that send `Accept-Encoding`.",
};

pub const CONNECTIONS_MAX: Setting = Setting {
    key: "server.connections_max",
    flag: "connections-max",
    short: None,
    env: "FLOWGATE_CONNECTIONS_MAX",
    env_known: None,
    default: Some("8192"),
    expected: "a number from 1 to 1000000",
    meaning: "Open connections, at most; further ones wait until one closes.",
};

pub const HEAD_TIMEOUT: Setting = Setting {
    key: "server.head_timeout",
    flag: "head-timeout",
    short: None,
    env: "FLOWGATE_HEAD_TIMEOUT",
    env_known: None,
    default: Some("10s"),
    expected: "a time above zero, in seconds or with a unit (`10`, `500ms`)",
    meaning: "A client that needs longer to send the head of a request is answered 408.",
};

pub const KEEP_ALIVE: Setting = Setting {
    key: "server.keep_alive",
    flag: "keep-alive",
    short: None,
    env: "FLOWGATE_KEEP_ALIVE",
    env_known: None,
    default: Some("75s"),
    expected: "a time above zero, in seconds or with a unit (`75`, `1m15s`)",
    meaning: "An idle connection is closed after this time; let it exceed the load balancer's.",
};

pub const LAME_DUCK: Setting = Setting {
    key: "server.lame_duck",
    flag: "lame-duck",
    short: None,
    env: "FLOWGATE_LAME_DUCK",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a time, in seconds or with a unit (`10`, `500ms`)",
    meaning: "After SIGTERM or SIGINT the process is not ready but takes requests for this long, \
              and each answer closes its connection, so that who sends requests learns to send \
              them elsewhere. `auto` is 10 s in a Kubernetes pod and 0 elsewhere.",
};

pub const SHUTDOWN_TIMEOUT: Setting = Setting {
    key: "server.shutdown_timeout",
    flag: "shutdown-timeout",
    short: None,
    env: "FLOWGATE_SHUTDOWN_TIMEOUT",
    env_known: None,
    default: Some("30s"),
    expected: "a time of at least 1s, in seconds or with a unit (`30`, `1m`)",
    meaning: "Requests in flight have this long to finish after that.",
};

pub const EXIT_ON_ERROR: Setting = Setting {
    key: "server.exit_on_error",
    flag: "exit-on-error",
    short: None,
    env: "FLOWGATE_EXIT_ON_ERROR",
    env_known: None,
    default: Some("true"),
    expected: "`true` or `false`",
    meaning: "Whether the start ends when a model has no version that can serve; if not, the \
              others are served, and it is as soon as it has one.",
};

pub const READY_ON_FALLBACK: Setting = Setting {
    key: "server.ready_on_fallback",
    flag: "ready-on-fallback",
    short: None,
    env: "FLOWGATE_READY_ON_FALLBACK",
    env_known: None,
    default: Some("true"),
    expected: "`true` or `false`",
    meaning: "Whether the process is ready while a model serves the last known version, since the \
              one that it should serve could not be asked for, or loaded.",
};
