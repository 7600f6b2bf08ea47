//! Metrics of versions, registries and the process.

use super::{Kind, Metric, exponential};

/// Seconds, from what a file on this machine takes to what a large model over a slow network does:
/// 1 ms to 17 minutes.
const LOAD_SECONDS: [f64; 11] = exponential(0.001, 4.0);

pub const MODEL_VERSION_INFO: Metric = Metric {
    name: "flowgate_model_version_info",
    kind: Kind::Gauge,
    labels: &["model", "version", "alias_or_stage", "backend", "provider", "run_id"],
    meaning: "1 for the version of each model that serves now, with what its registry selected it \
              by (`champion`, `Production`, `latest`; empty for a version by its number), what \
              runs it, and the MLflow run that made it.",
};

pub const MODEL_STATE: Metric = Metric {
    name: "flowgate_model_state",
    kind: Kind::Gauge,
    labels: &["model", "version", "state"],
    meaning: "1 for the state of each version that is in memory or on its way there: `New`, \
              `Fetching`, `Verifying`, `Loading`, `WarmingUp`, `Available`, `Draining`, \
              `Unloading`; of one that is refused, `Failed`.",
};

pub const MODEL_FALLBACK: Metric = Metric {
    name: "flowgate_model_fallback",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "1 while a model serves an earlier version, since the one that it should serve could \
              not be asked for, or loaded; 0 otherwise.",
};

pub const MODEL_LOAD_SECONDS: Metric = Metric {
    name: "flowgate_model_load_duration_seconds",
    kind: Kind::Histogram(&LOAD_SECONDS),
    labels: &["model", "phase"],
    meaning: "How long versions took to come to serve, by phase: `fetch`, `verify`, `load`, \
              `warm_up` (the model's own example, measuring, batches of every size).",
};

pub const PROMOTIONS: Metric = Metric {
    name: "flowgate_promotions_total",
    kind: Kind::Counter,
    labels: &["model", "result", "reason"],
    meaning: "What became of versions. `result` is `swapped` (it serves; `reason` is `registry` or \
              `fallback`), `rejected` (for good; `reason` is the phase: `fetch`, \
              `verify`, `load`, `warm_up`), `failed` (it is tried again; by phase as well) or \
              `rolled_back` (another serves again in its place; `operator` or `worse`).",
};

pub const SWAP_SECONDS: Metric = Metric {
    name: "flowgate_swap_duration_seconds",
    kind: Kind::Histogram(&LOAD_SECONDS),
    labels: &["model"],
    meaning: "From the moment when a registry was seen to name another version until requests \
              reached it.",
};

pub const SOURCE_POLLS: Metric = Metric {
    name: "flowgate_source_polls_total",
    kind: Kind::Counter,
    labels: &["model", "result"],
    meaning: "Questions to the model's registry: `version` when it named one, `nothing`, `soon` \
              while a directory is being copied, `error`.",
};

pub const SOURCE_LAST_SUCCESS: Metric = Metric {
    name: "flowgate_source_last_success_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "When the model's registry last answered, in seconds since 1970.",
};

pub const MEMORY_BYTES: Metric = Metric {
    name: "flowgate_memory_bytes",
    kind: Kind::Gauge,
    labels: &["model", "version"],
    meaning: "Memory that the version that serves takes at most, by the size of its files and \
              what its kind of graph makes of them: an estimate, made before it is loaded.",
};

pub const SESSIONS: Metric = Metric {
    name: "flowgate_sessions",
    kind: Kind::Gauge,
    labels: &["model", "version"],
    meaning: "Sessions of the engine that hold the version that serves: one, which all threads \
              run.",
};

pub const BUILD_INFO: Metric = Metric {
    name: "flowgate_build_info",
    kind: Kind::Gauge,
    labels: &["version", "git_sha", "onnxruntime"],
    meaning: "1, with the version of flowgate, the commit that it was built from and the version \
              of ONNX Runtime in use; empty where they are not known.",
};

pub const SERIES_DROPPED: Metric = Metric {
    name: "flowgate_metrics_series_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    meaning: "Series that were left out of scrapes, since there were more than \
              `metrics.series_max`: those of drift go first.",
};
