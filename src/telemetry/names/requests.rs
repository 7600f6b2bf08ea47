//! Metrics of requests and runs.

use super::{Kind, Metric, exponential};

/// Seconds: 50 us and its doubles up to 52 s, and a minute. They can be configured
/// (`metrics.duration_buckets`).
pub const DURATION_SECONDS: [f64; 22] = {
    let mut ends: [f64; 22] = exponential(0.000_05, 2.0);
    ends[21] = 60.0;
    ends
};

/// Rows of a run: powers of two.
pub const BATCH_ROWS_ENDS: [f64; 17] = exponential(1.0, 2.0);

pub const REQUESTS: Metric = Metric {
    name: "flowgate_requests_total",
    kind: Kind::Counter,
    labels: &["model", "version", "protocol", "outcome"],
    meaning: "Requests that have ended, by how: `ok`; `invalid` (the request's own fault: 400, \
              413, 415); `unknown` (no such model: 404; without model and version); \
              `unavailable` (no version can serve, or the process is about to end: 503); \
              `rejected` (no room: 429); `expired` (the deadline passed: 504); `abandoned` (the \
              client left); `failed` (the model's fault, or ours: 400 and 500).",
};

pub const REQUEST_SECONDS: Metric = Metric {
    name: "flowgate_request_duration_seconds",
    kind: Kind::Histogram(&DURATION_SECONDS),
    labels: &["model", "version", "protocol", "outcome"],
    meaning: "From the admission of a request, when its head is read, until the last byte of its \
              answer was handed over.",
};

pub const STAGE_SECONDS: Metric = Metric {
    name: "flowgate_stage_duration_seconds",
    kind: Kind::Histogram(&DURATION_SECONDS),
    labels: &["model", "version", "stage"],
    meaning: "Where the time of computed requests went: for each request `decode`, `queue` (from \
              the hand-over until a thread took it) and `encode`; for each run `assemble` (rows \
              laid end to end) and `execute`.",
};

pub const ROWS: Metric = Metric {
    name: "flowgate_rows_total",
    kind: Kind::Counter,
    labels: &["model", "version"],
    meaning: "Rows that were run. Over `flowgate_batches_total`: the mean batch.",
};

pub const BATCHES: Metric = Metric {
    name: "flowgate_batches_total",
    kind: Kind::Counter,
    labels: &["model", "version"],
    meaning: "Runs of the graph that went well.",
};

pub const BATCH_ROWS: Metric = Metric {
    name: "flowgate_batch_rows",
    kind: Kind::Histogram(&BATCH_ROWS_ENDS),
    labels: &["model", "version"],
    meaning: "Rows of a run.",
};

pub const QUEUE_ROWS: Metric = Metric {
    name: "flowgate_queue_rows",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "Rows that wait for a run; a request that is not decoded yet counts as one.",
};

pub const QUEUE_REQUESTS: Metric = Metric {
    name: "flowgate_queue_requests",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "Requests that wait for a run.",
};

pub const IN_FLIGHT: Metric = Metric {
    name: "flowgate_in_flight_requests",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "Requests that are admitted and not yet answered.",
};

pub const REJECTED: Metric = Metric {
    name: "flowgate_rejected_total",
    kind: Kind::Counter,
    labels: &["model", "reason"],
    meaning: "Requests that were refused, by the bound that they met: `queue_full` (requests or \
              rows of the model's queue, or requests in progress), `deadline` (the wait would be \
              too long), `draining` (the process is about to end), `body_too_large`, `memory`.",
};
