//! Metrics of drift: how what a version is asked, and what it answers, differs from its reference.

use super::{Kind, Metric};

pub const DRIFT_SCORE: Metric = Metric {
    name: "flowgate_drift_score",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "stat", "window"],
    meaning: "How far a feature of the requests (`kind` is `input`) or of the answers (`output`) \
              is from the reference: `stat` is `psi`, `js` (Jensen-Shannon distance, base 2), for \
              numbers `ks` and `wasserstein` (over the reference's standard deviation), for \
              categories `chi2` and `linf`. Not there while a window has too few rows.",
};

pub const DRIFT_NOISE_FLOOR: Metric = Metric {
    name: "flowgate_drift_score_noise_floor",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "window"],
    meaning: "The PSI that one window in a thousand has though nothing drifts, over all features: \
              what is below it says nothing.",
};

pub const DRIFT_WINDOW_ROWS: Metric = Metric {
    name: "flowgate_drift_window_rows",
    kind: Kind::Gauge,
    labels: &["model", "version", "window"],
    meaning: "Rows in a window.",
};

pub const DRIFT_NULL_RATIO: Metric = Metric {
    name: "flowgate_drift_null_ratio",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "window"],
    meaning: "Share of a window's values that are missing or not finite.",
};

pub const DRIFT_OUT_OF_RANGE_RATIO: Metric = Metric {
    name: "flowgate_drift_out_of_range_ratio",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "window"],
    meaning: "Share of a window's numbers that are below the reference's least or above its \
              greatest.",
};

pub const DRIFT_UNSEEN_RATIO: Metric = Metric {
    name: "flowgate_drift_unseen_category_ratio",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "window"],
    meaning: "Share of a window's categories that are not among those of the reference.",
};

pub const DRIFT_DRIFTED_RATIO: Metric = Metric {
    name: "flowgate_drift_features_drifted_ratio",
    kind: Kind::Gauge,
    labels: &["model", "version", "window"],
    meaning: "Share of the features whose PSI is 0.1 or more and not below the noise floor.",
};

pub const DRIFT_REFERENCE_INFO: Metric = Metric {
    name: "flowgate_drift_reference_info",
    kind: Kind::Gauge,
    labels: &["model", "version", "source", "digest", "rows", "reason"],
    meaning: "1, with where the reference of each loaded version comes from (`model`, `run`, \
              `live`, `none`), the first digits of its SHA-256, and its rows. `reason` tells why \
              there is none: `absent`, `unreadable`, `malformed`, `too_large`, `mismatch` (it is \
              of another model), `learning`, `off`.",
};

pub const DRIFT_ROWS: Metric = Metric {
    name: "flowgate_drift_rows_total",
    kind: Kind::Counter,
    labels: &["model", "version"],
    meaning: "Rows that were compared with the reference.",
};

pub const DRIFT_ROWS_DROPPED: Metric = Metric {
    name: "flowgate_drift_rows_dropped_total",
    kind: Kind::Counter,
    labels: &["model", "version", "reason"],
    meaning: "Rows that were not: `busy` (more came than are looked at, which is a sample then), \
              `shape` (not of the reference's shape).",
};

pub const DRIFT_BINS: Metric = Metric {
    name: "flowgate_drift_bin_total",
    kind: Kind::Counter,
    labels: &["model", "version", "feature", "kind", "bin"],
    meaning: "Values by scoring bin, if `drift.bins` is on: `b00`, `b01`, ... of numbers, and \
              `outside` of the reference's ends; `c00`, ... of categories by their number \
              (`GET /v1/models/NAME/drift` has the texts), and `other`; `null`. They add up over \
              replicas.",
};

pub const DRIFT_REFERENCE_BINS: Metric = Metric {
    name: "flowgate_drift_reference_bin_ratio",
    kind: Kind::Gauge,
    labels: &["model", "version", "feature", "kind", "bin"],
    meaning: "Share of the reference's values in a scoring bin, each bin counted half a value \
              higher, as PSI does: there is something in `outside`, too. `null` is no bin.",
};
