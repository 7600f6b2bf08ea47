//! Settings of what runs models.

use super::{KnownVariable, Setting};

pub const PROFILE: Setting = Setting {
    key: "inference.profile",
    flag: "profile",
    short: None,
    env: "FLOWGATE_PROFILE",
    env_known: None,
    default: Some("throughput"),
    expected: "`throughput` or `latency`",
    meaning: "What `auto` settings of threads aim at: most rows a second, or the shortest single \
              run, for which one run at a time has all cores and their threads wait by spinning.",
};

pub const THREADS: Setting = Setting {
    key: "inference.threads",
    flag: "inference-threads",
    short: None,
    env: "FLOWGATE_INFERENCE_THREADS",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a number from 1 to 1024",
    meaning: "Threads that run models; `auto` is the number of cores that the process may use, or \
              1 with the profile `latency`.",
};

pub const QUEUE_REQUESTS_MAX: Setting = Setting {
    key: "inference.queue_requests_max",
    flag: "queue-requests-max",
    short: None,
    env: "FLOWGATE_QUEUE_REQUESTS_MAX",
    env_known: None,
    default: Some("1024"),
    expected: "a number from 1 to 1000000",
    meaning: "Requests that may wait for one model; one more is answered 429.",
};

pub const QUEUE_ROWS_MAX: Setting = Setting {
    key: "inference.queue_rows_max",
    flag: "queue-rows-max",
    short: None,
    env: "FLOWGATE_QUEUE_ROWS_MAX",
    env_known: None,
    default: Some("1000000"),
    expected: "a number from 1 to 1000000000",
    meaning: "Rows that may wait for one model; a request beyond them is answered 429, unless \
              no other row waits.",
};

pub const QUEUE_WAIT_MAX: Setting = Setting {
    key: "inference.queue_wait_max",
    flag: "queue-wait-max",
    short: None,
    env: "FLOWGATE_QUEUE_WAIT_MAX",
    env_known: None,
    default: Some("1s"),
    expected: "a time above zero, in seconds or with a unit (`1`, `250ms`)",
    meaning: "A request that would have to wait longer than this, by what the work before it is \
              expected to take, is answered 429. A configured one is below \
              `server.request_timeout`.",
};

pub const QUEUE_DELAY_MAX: Setting = Setting {
    key: "inference.queue_delay_max",
    flag: "queue-delay-max",
    short: None,
    env: "FLOWGATE_QUEUE_DELAY_MAX",
    env_known: None,
    default: Some("0s"),
    expected: "a time, in seconds or with a unit (`0`, `2ms`)",
    meaning: "How long a batch that is not full waits for further requests, as far as their \
              deadlines allow; below `server.request_timeout`. 0 takes what is there; batches fill \
              by themselves while the one before runs.",
};

pub const BATCH_ROWS_MAX: Setting = Setting {
    key: "inference.batch_rows_max",
    flag: "batch-rows-max",
    short: None,
    env: "FLOWGATE_BATCH_ROWS_MAX",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a number from 1 to 1000000",
    meaning: "Rows in one run of a model. `auto` is what measuring at load finds best; 1 runs \
              every request on its own.",
};

pub const LANE: Setting = Setting {
    key: "inference.lane",
    flag: "lane",
    short: None,
    env: "FLOWGATE_LANE",
    env_known: None,
    default: Some("auto"),
    expected: "`auto`, `express` or `queue`",
    meaning: "Where models run: `express` on the HTTP workers, `queue` on the inference threads; \
              `auto` is `express` for models whose run takes less than a change of threads.",
};

pub const TUNE_TIME_MAX: Setting = Setting {
    key: "inference.tune_time_max",
    flag: "tune-time-max",
    short: None,
    env: "FLOWGATE_TUNE_TIME_MAX",
    env_known: None,
    default: Some("2s"),
    expected: "a time, in seconds or with a unit (`2`, `500ms`)",
    meaning: "Time for measuring a model at load, at batches of 1, 2, 4, ... rows.",
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
