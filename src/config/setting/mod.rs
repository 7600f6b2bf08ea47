//! The table of settings.

mod cache;
mod inference;
mod log;
mod onnxruntime;
mod registry;
mod server;
mod telemetry;

pub use cache::*;
pub use inference::*;
pub use log::*;
pub use onnxruntime::*;
pub use registry::*;
pub use server::*;
pub use telemetry::*;

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

/// Every setting, in the order of the file that `flowgate config` prints.
pub const ALL: &[&Setting] = &[
    &HOST,
    &PORT,
    &ADMIN_HOST,
    &ADMIN_PORT,
    &WORKERS,
    &TIMEOUT,
    &BODY_BYTES_MAX,
    &REQUESTS_MAX,
    &REQUESTS_BYTES_MAX,
    &COMPRESS_BYTES_MIN,
    &CONNECTIONS_MAX,
    &HEAD_TIMEOUT,
    &KEEP_ALIVE,
    &LAME_DUCK,
    &SHUTDOWN_TIMEOUT,
    &EXIT_ON_ERROR,
    &READY_ON_FALLBACK,
    &PROFILE,
    &THREADS,
    &QUEUE_REQUESTS_MAX,
    &QUEUE_ROWS_MAX,
    &QUEUE_WAIT_MAX,
    &QUEUE_DELAY_MAX,
    &BATCH_ROWS_MAX,
    &LANE,
    &TUNE_TIME_MAX,
    &BACKEND,
    &DATAFRAME_OUTPUTS,
    &SCHEMA_DETAILS,
    &ORT_LIBRARY,
    &ORT_PROVIDERS,
    &ORT_THREADS,
    &ORT_SPINNING,
    &TRACKING_URI,
    &REGISTRY_URI,
    &POLL_INTERVAL,
    &SIGNATURES,
    &KEEP_PREDECESSOR,
    &TAGS,
    &WEBHOOK_SECRET_FILE,
    &CACHE_DIR,
    &CACHE_BYTES_MAX,
    &RETENTION,
    &SERIES_MAX,
    &DURATION_BUCKETS,
    &DRIFT,
    &DRIFT_WINDOWS,
    &DRIFT_ROWS_MIN,
    &DRIFT_FEATURES_MAX,
    &DRIFT_FEATURES_EXPORTED_MAX,
    &DRIFT_BINS,
    &DRIFT_LIVE_ROWS,
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
    ModelSetting {
        key: "batch_rows_max",
        default: "`inference.batch_rows_max`",
        expected: "`auto` or a number from 1 to 1000000",
        meaning: "Rows in one run of this model.",
    },
    ModelSetting {
        key: "queue_delay_max",
        default: "`inference.queue_delay_max`",
        expected: "a time, in seconds or with a unit (`0`, `2ms`)",
        meaning: "How long a batch of this model that is not full waits.",
    },
    ModelSetting {
        key: "lane",
        default: "`inference.lane`",
        expected: "`auto`, `express` or `queue`",
        meaning: "Where this model runs.",
    },
];
