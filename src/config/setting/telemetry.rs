//! Settings of metrics and drift.

use super::Setting;

pub const RETENTION: Setting = Setting {
    key: "metrics.retention",
    flag: "metrics-retention",
    short: None,
    env: "FLOWGATE_METRICS_RETENTION",
    env_known: None,
    default: Some("5m"),
    expected: "a time; 0 for not at all",
    meaning: "How long what was counted of a version is told after it is unloaded, at most 16 \
              versions of a model; one that is loaded again meanwhile counts on.",
};

pub const SERIES_MAX: Setting = Setting {
    key: "metrics.series_max",
    flag: "metrics-series-max",
    short: None,
    env: "FLOWGATE_METRICS_SERIES_MAX",
    env_known: None,
    default: Some("20000"),
    expected: "a number from 1000 to 10000000",
    meaning: "Series in one scrape, at most; those of drift are left out first, and \
              `flowgate_metrics_series_dropped_total` counts them.",
};

pub const DURATION_BUCKETS: Setting = Setting {
    key: "metrics.duration_buckets",
    flag: "metrics-duration-buckets",
    short: None,
    env: "FLOWGATE_METRICS_DURATION_BUCKETS",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or up to 64 ascending times, separated by commas",
    meaning: "Upper ends of the buckets of requests' and stages' durations; `auto` is 50 us and \
              its doubles up to 52 s, and a minute.",
};

pub const DRIFT: Setting = Setting {
    key: "drift.enabled",
    flag: "drift",
    short: None,
    env: "FLOWGATE_DRIFT",
    env_known: None,
    default: Some("on"),
    expected: "`on` or `off`",
    meaning: "Whether requests and answers are compared with the reference of their version, where \
              it has one.",
};

pub const DRIFT_WINDOWS: Setting = Setting {
    key: "drift.windows",
    flag: "drift-windows",
    short: None,
    env: "FLOWGATE_DRIFT_WINDOWS",
    env_known: None,
    default: Some("5m,1h,24h"),
    expected: "up to 4 ascending times of whole minutes, from 1m to 7d, separated by commas",
    meaning: "The windows that are compared with the reference.",
};

pub const DRIFT_ROWS_MIN: Setting = Setting {
    key: "drift.rows_min",
    flag: "drift-rows-min",
    short: None,
    env: "FLOWGATE_DRIFT_ROWS_MIN",
    env_known: None,
    default: Some("500"),
    expected: "a number from 1 to 1000000000",
    meaning: "A window of fewer rows has no scores.",
};

pub const DRIFT_FEATURES_MAX: Setting = Setting {
    key: "drift.features_max",
    flag: "drift-features-max",
    short: None,
    env: "FLOWGATE_DRIFT_FEATURES_MAX",
    env_known: None,
    default: Some("64"),
    expected: "a number from 1 to 1024",
    meaning: "Features of the requests that are looked at, and of the answers, the first ones of \
              the reference.",
};

pub const DRIFT_FEATURES_EXPORTED_MAX: Setting = Setting {
    key: "drift.features_exported_max",
    flag: "drift-features-exported-max",
    short: None,
    env: "FLOWGATE_DRIFT_FEATURES_EXPORTED_MAX",
    env_known: None,
    default: Some("all"),
    expected: "`all` or a number from 1 to 1024",
    meaning: "Features with series of their own: those of the highest PSI in each window.",
};

pub const DRIFT_BINS: Setting = Setting {
    key: "drift.bins",
    flag: "drift-bins",
    short: None,
    env: "FLOWGATE_DRIFT_BINS",
    env_known: None,
    default: Some("off"),
    expected: "`on` or `off`",
    meaning: "Whether values are counted by scoring bin for whoever scrapes, so that the drift of \
              all replicas together can be computed.",
};

pub const DRIFT_LIVE_ROWS: Setting = Setting {
    key: "drift.live_rows",
    flag: "drift-live-rows",
    short: None,
    env: "FLOWGATE_DRIFT_LIVE_ROWS",
    env_known: None,
    default: Some("off"),
    expected: "`off` or a number from 500 to 100000",
    meaning: "A version without a reference learns one from so many of its first rows, and is \
              compared with that.",
};
