//! The table of settings.

/// One thing that can be set. Everything it is given as is text, checked by `config::check`.
#[derive(Debug)]
pub struct Setting {
    /// Path in the configuration file: `server.port`.
    pub key: &'static str,
    /// Long flag, without dashes.
    pub flag: &'static str,
    pub short: Option<char>,
    /// Environment variable of ours.
    pub env: &'static str,
    /// A variable that MLflow or ONNX Runtime users already have; ours goes before it.
    pub env_known: Option<KnownVariable>,
    /// What the file would say; `None` means not set.
    pub default: Option<&'static str>,
    /// What a value is, with its unit: completes "expected ...".
    pub expected: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
}

/// Somebody else's environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownVariable {
    pub name: &'static str,
    /// Whether its `true` is our `false`.
    pub inverted: bool,
}

const fn known(name: &'static str) -> KnownVariable {
    KnownVariable { name, inverted: false }
}

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

pub const BODIES_BYTES_MAX: Setting = Setting {
    key: "server.bodies_bytes_max",
    flag: "bodies-bytes-max",
    short: None,
    env: "FLOWGATE_BODIES_BYTES_MAX",
    env_known: None,
    default: Some("1GiB"),
    expected: "a size of at least `server.body_bytes_max`, in bytes or with a unit (`1GiB`)",
    meaning: "Memory for the bodies of all requests at once; beyond it the answer is 429.",
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

pub const SHUTDOWN_TIMEOUT: Setting = Setting {
    key: "server.shutdown_timeout",
    flag: "shutdown-timeout",
    short: None,
    env: "FLOWGATE_SHUTDOWN_TIMEOUT",
    env_known: None,
    default: Some("30s"),
    expected: "a time of at least 1s, in seconds or with a unit (`30`, `1m`)",
    meaning: "Requests in flight have this long to finish after SIGTERM or SIGINT.",
};

pub const THREADS: Setting = Setting {
    key: "inference.threads",
    flag: "inference-threads",
    short: None,
    env: "FLOWGATE_INFERENCE_THREADS",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a number from 1 to 1024",
    meaning: "Threads that run models; `auto` is the number of cores that the process may use.",
};

pub const QUEUE_REQUESTS_MAX: Setting = Setting {
    key: "inference.queue_requests_max",
    flag: "queue-requests-max",
    short: None,
    env: "FLOWGATE_QUEUE_REQUESTS_MAX",
    env_known: None,
    default: Some("1024"),
    expected: "a number from 1 to 1000000",
    meaning: "Requests that may wait for an inference thread; one more is answered 429.",
};

pub const BACKEND: Setting = Setting {
    key: "inference.backend",
    flag: "backend",
    short: None,
    env: "FLOWGATE_BACKEND",
    env_known: None,
    default: Some("auto"),
    expected: "`auto`, `ort` or `tract`",
    meaning: "Engine for every model that does not name its own; `auto` is ONNX Runtime if its \
              library is found, else tract.",
};

pub const DATAFRAME_OUTPUTS: Setting = Setting {
    key: "inference.dataframe_outputs",
    flag: "dataframe-outputs",
    short: None,
    env: "FLOWGATE_DATAFRAME_OUTPUTS",
    env_known: None,
    default: Some("mlflow"),
    expected: "`mlflow` or `rows`",
    meaning: "Shape of the answer to tabular input: `mlflow` flattens outputs with several \
              values a row as MLflow does, `rows` gives one record a row.",
};

pub const SCHEMA_DETAILS: Setting = Setting {
    key: "inference.schema_details",
    flag: "schema-details",
    short: None,
    env: "FLOWGATE_SCHEMA_DETAILS",
    env_known: Some(KnownVariable { name: "MLFLOW_DISABLE_SCHEMA_DETAILS", inverted: true }),
    default: Some("true"),
    expected: "`true` or `false`",
    meaning: "Whether schema errors name the inputs concerned. MLflow's variable says the \
              opposite: its `true` is `false` here.",
};

pub const ORT_LIBRARY: Setting = Setting {
    key: "onnxruntime.library",
    flag: "onnxruntime-library",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_LIBRARY",
    env_known: Some(known("ORT_DYLIB_PATH")),
    default: None,
    expected: "the path of libonnxruntime.so",
    meaning: "ONNX Runtime's library; if not set it is searched for.",
};

pub const ORT_PROVIDERS: Setting = Setting {
    key: "onnxruntime.providers",
    flag: "onnxruntime-providers",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_PROVIDERS",
    env_known: None,
    default: None,
    expected: "execution providers, separated by commas (`CUDAExecutionProvider,\
               CPUExecutionProvider`)",
    meaning: "Execution providers in order of preference, instead of those in the MLmodel file.",
};

pub const ORT_THREADS: Setting = Setting {
    key: "onnxruntime.intra_op_threads",
    flag: "onnxruntime-intra-op-threads",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_INTRA_OP_THREADS",
    env_known: None,
    default: Some("1"),
    expected: "a number from 1 to 1024",
    meaning: "Threads within one run of a model whose MLmodel file does not say; 1 keeps a run \
              on its inference thread.",
};

pub const ORT_SPINNING: Setting = Setting {
    key: "onnxruntime.spinning",
    flag: "onnxruntime-spinning",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_SPINNING",
    env_known: None,
    default: Some("false"),
    expected: "`true` or `false`",
    meaning: "Whether ONNX Runtime's own threads wait by spinning: faster, at a core's expense.",
};

pub const CACHE_DIR: Setting = Setting {
    key: "cache.dir",
    flag: "cache-dir",
    short: None,
    env: "FLOWGATE_CACHE_DIR",
    env_known: None,
    default: None,
    expected: "`off` or the path of a directory",
    meaning: "Where measurements of models are kept from one start to the next; if not set it is \
              `flowgate` in the user's cache directory (`XDG_CACHE_HOME`, else `~/.cache`).",
};

pub const LOG_FORMAT: Setting = Setting {
    key: "log.format",
    flag: "log-format",
    short: None,
    env: "FLOWGATE_LOG_FORMAT",
    env_known: None,
    default: Some("text"),
    expected: "`text` or `json`",
    meaning: "Form of the log on standard error: lines for people, or one JSON object a line.",
};

pub const LOG_LEVEL: Setting = Setting {
    key: "log.level",
    flag: "log-level",
    short: None,
    env: "FLOWGATE_LOG_LEVEL",
    env_known: None,
    default: Some("info"),
    expected: "`error`, `warn`, `info`, `debug` or `trace`",
    meaning: "Least severity that is logged.",
};

/// Every setting, in the order of the file that `flowgate config` prints.
pub const ALL: &[&Setting] = &[
    &HOST,
    &PORT,
    &ADMIN_HOST,
    &ADMIN_PORT,
    &WORKERS,
    &TIMEOUT,
    &BODY_BYTES_MAX,
    &BODIES_BYTES_MAX,
    &COMPRESS_BYTES_MIN,
    &CONNECTIONS_MAX,
    &HEAD_TIMEOUT,
    &KEEP_ALIVE,
    &SHUTDOWN_TIMEOUT,
    &THREADS,
    &QUEUE_REQUESTS_MAX,
    &BACKEND,
    &DATAFRAME_OUTPUTS,
    &SCHEMA_DETAILS,
    &ORT_LIBRARY,
    &ORT_PROVIDERS,
    &ORT_THREADS,
    &ORT_SPINNING,
    &CACHE_DIR,
    &LOG_FORMAT,
    &LOG_LEVEL,
];

/// A key of an entry of `models`.
#[derive(Debug)]
pub struct ModelSetting {
    pub key: &'static str,
    pub default: &'static str,
    pub expected: &'static str,
    pub meaning: &'static str,
}

/// Keys of an entry of the file's `models` list.
pub const MODEL: &[ModelSetting] = &[
    ModelSetting {
        key: "path",
        default: "required",
        expected: "the path of a model directory or of a directory registry",
        meaning: "What to serve.",
    },
    ModelSetting {
        key: "name",
        default: "the directory's name",
        expected: "a name without `/` and `:`",
        meaning: "Name in `/invocations/{name}`; the model named `default`, else the first, also \
                  answers `/invocations`.",
    },
    ModelSetting {
        key: "backend",
        default: "`inference.backend`",
        expected: "`auto`, `ort` or `tract`",
        meaning: "Engine of this model.",
    },
    ModelSetting {
        key: "dataframe_outputs",
        default: "`inference.dataframe_outputs`",
        expected: "`mlflow` or `rows`",
        meaning: "Shape of this model's answers to tabular input.",
    },
];
