//! Settings of the log.

use super::Setting;

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
