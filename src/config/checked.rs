//! The configuration as the program uses it: made by `check`, which is the only way to one.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{Choice, LibrarySearch};
use crate::batch::PoolOptions;
use crate::drift::DriftOptions;
use crate::model::ModelName;
use crate::servable::BatchOptions;
use crate::server::{AdminOptions, ServerOptions};
use crate::telemetry::MeterOptions;
use crate::wire::invocations::RecordShape;

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub models: Vec<ModelConfig>,
    pub server: ServerOptions,
    /// `None`: there is no admin port.
    pub admin: Option<AdminOptions>,
    pub pool: PoolOptions,
    /// For models that do not say otherwise.
    pub batch: BatchOptions,
    pub onnxruntime: OnnxRuntimeOptions,
    pub registry: RegistryOptions,
    /// Where measurements and fetched versions are kept; `None`: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// Most bytes of fetched versions.
    pub cache_bytes_max: u64,
    pub start: StartOptions,
    /// How requests are counted.
    pub meters: MeterOptions,
    /// Series in one scrape, at most.
    pub series_max: usize,
    pub drift: DriftOptions,
    pub log: LogOptions,
}

/// What is asked of models before the process counts as started, and as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// Whether the start ends when a model has no version that can serve.
    pub exit_on_error: bool,
    /// Whether a model that serves its last known version is as good as one that serves the right
    /// one.
    pub ready_on_fallback: bool,
}

/// What says which versions serve, and how it is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Where `models:/...` and `runs:/...` are looked up.
    pub tracking_uri: Option<String>,
    /// Where registered models are, if elsewhere.
    pub registry_uri: Option<String>,
    pub poll_interval: Duration,
    /// Whether a version must understand the clients of the one that it replaces.
    pub needs_compatible: bool,
    /// How long a version that was replaced stays in memory.
    pub keep_predecessor: Duration,
    /// Whether MLflow servers are told what became of a version.
    pub tags: bool,
    /// Holds what webhooks are signed with; `None`: none are taken.
    pub webhook_secret_file: Option<PathBuf>,
}

/// One model to serve, or a directory of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// `None`: the directory's name.
    pub name: Option<ModelName>,
    pub path: PathBuf,
    pub backend: Choice,
    /// `dataframe_outputs` in the file.
    pub record_shape: RecordShape,
    pub batch: BatchOptions,
}

/// What ONNX Runtime is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxRuntimeOptions {
    pub library: LibrarySearch,
    /// Instead of the providers that a model's MLmodel names.
    pub providers: Option<Vec<String>>,
    /// Threads within one run, where a model does not say.
    pub intra_op_threads: NonZeroUsize,
    pub spinning: bool,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    pub format: LogFormat,
    pub level: Level,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Severities of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
