//! Settings of what says which version serves.

use super::{Setting, known};

pub const TRACKING_URI: Setting = Setting {
    key: "registry.tracking_uri",
    flag: "tracking-uri",
    short: None,
    env: "FLOWGATE_TRACKING_URI",
    env_known: Some(known("MLFLOW_TRACKING_URI")),
    default: None,
    expected: "the `http:` or `https:` URI of an MLflow server, `sqlite:///FILE`, or the directory \
               of a file store",
    meaning: "Where models of the form `models:/...` and `runs:/...` are looked up.",
};

pub const REGISTRY_URI: Setting = Setting {
    key: "registry.uri",
    flag: "registry-uri",
    short: None,
    env: "FLOWGATE_REGISTRY_URI",
    env_known: Some(known("MLFLOW_REGISTRY_URI")),
    default: None,
    expected: "the `http:` or `https:` URI of an MLflow server",
    meaning: "Where registered models are looked up, if not on the tracking server.",
};

pub const POLL_INTERVAL: Setting = Setting {
    key: "registry.poll_interval",
    flag: "poll-interval",
    short: None,
    env: "FLOWGATE_POLL_INTERVAL",
    env_known: None,
    default: Some("5s"),
    expected: "a time of at least 100ms",
    meaning: "How often each model's registry is asked which version should serve; a directory is \
              looked at as soon as it changes as well.",
};

pub const SIGNATURES: Setting = Setting {
    key: "registry.signatures",
    flag: "signatures",
    short: None,
    env: "FLOWGATE_SIGNATURES",
    env_known: None,
    default: Some("compatible"),
    expected: "`compatible` or `any`",
    meaning: "Whether a version may replace another only if it takes the requests of its clients \
              and its answers have what they had.",
};

pub const KEEP_PREDECESSOR: Setting = Setting {
    key: "registry.keep_predecessor",
    flag: "keep-predecessor",
    short: None,
    env: "FLOWGATE_KEEP_PREDECESSOR",
    env_known: None,
    default: Some("60s"),
    expected: "a time; 0 for not at all",
    meaning: "How long a version that was replaced stays in memory, so that going back to it takes \
              no load.",
};

pub const TAGS: Setting = Setting {
    key: "registry.tags",
    flag: "registry-tags",
    short: None,
    env: "FLOWGATE_REGISTRY_TAGS",
    env_known: None,
    default: Some("on"),
    expected: "`on` or `off`",
    meaning: "Whether an MLflow server is told what became of a version, as its tags \
              `flowgate.status` and `flowgate.reason`.",
};

pub const WEBHOOK_SECRET_FILE: Setting = Setting {
    key: "registry.webhook_secret_file",
    flag: "webhook-secret-file",
    short: None,
    env: "FLOWGATE_WEBHOOK_SECRET_FILE",
    env_known: None,
    default: None,
    expected: "the path of a file, and an admin port for it to be used on",
    meaning: "Holds the secret of the webhooks that tell the admin port that a model has changed; \
              without it none are taken.",
};
