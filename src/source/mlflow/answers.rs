//! What the servers answer: the fields that matter here.
//!
//! MLflow leaves out what is empty or unset, versions are texts of digits, times are numbers.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::store::without_secrets;

/// `registered-models/get`. Its time of change moves with stages and versions, not with aliases.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RegisteredModel {
    #[serde(default)]
    pub(super) last_updated_timestamp: Time,
    /// The highest version of each stage, in no order.
    #[serde(default)]
    pub(super) latest_versions: Vec<ModelVersion>,
    #[serde(default)]
    pub(super) aliases: Vec<Alias>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias: String,
    #[serde(deserialize_with = "number")]
    pub(super) version: u64,
}

/// A version, without its tags: what is written about it does not change what it is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ModelVersion {
    #[serde(deserialize_with = "number")]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) creation_timestamp: Time,
    #[serde(default)]
    pub(super) last_updated_timestamp: Time,
    pub(super) current_stage: Option<String>,
    pub(super) status: Option<String>,
    pub(super) status_message: Option<String>,
    pub(super) source: Option<String>,
}

/// Milliseconds since 1970 as they were written; only ever compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Time(Option<serde_json::Value>);

/// `logged-models/<id>`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LoggedModel {
    pub(super) info: LoggedModelInfo,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct LoggedModelInfo {
    pub(super) model_id: String,
    #[serde(default)]
    pub(super) artifact_uri: String,
    #[serde(default)]
    pub(super) creation_timestamp_ms: Time,
    pub(super) status: Option<String>,
    pub(super) source_run_id: Option<String>,
}

/// `logged-models/search`.
#[derive(Debug, Deserialize)]
pub(super) struct LoggedModels {
    #[serde(default)]
    pub(super) models: Vec<LoggedModel>,
    pub(super) next_page_token: Option<String>,
}

/// `runs/get`.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunInfo {
    pub(super) experiment_id: String,
    pub(super) artifact_uri: String,
}

/// The names in a directory of artifacts.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(default)]
    pub(super) files: Vec<Listed>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    /// From the directory asked for, or from a root above it: only its last name says the same
    /// everywhere.
    pub(super) path: String,
    #[serde(default)]
    pub(super) is_dir: bool,
    pub(super) file_size: Option<u64>,
}

/// Envelopes.
#[derive(Deserialize)]
pub(super) struct RegisteredModelAnswer {
    pub(super) registered_model: RegisteredModel,
}

#[derive(Deserialize)]
pub(super) struct ModelVersionAnswer {
    pub(super) model_version: ModelVersion,
}

#[derive(Deserialize)]
pub(super) struct ArtifactUriAnswer {
    pub(super) artifact_uri: String,
}

#[derive(Deserialize)]
pub(super) struct LoggedModelAnswer {
    pub(super) model: LoggedModel,
}

#[derive(Deserialize)]
pub(super) struct RunAnswer {
    pub(super) run: Run,
}

/// Everything that the registry says about the version but for its tags.
impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, creation_timestamp, last_updated_timestamp, .. } = self;
        write!(f, "{version} {creation_timestamp} {last_updated_timestamp}")?;
        let source = self.source.as_deref().map_or("-".to_owned(), without_secrets);
        // What is said is kept in files.
        write!(f, " {} {source}", self.status.as_deref().unwrap_or("-"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(serde_json::Value::String(text)) => f.write_str(text),
            Some(value) => write!(f, "{value}"),
            None => f.write_str("-"),
        }
    }
}

/// A number, or a text that holds one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(u64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => text
            .parse()
            .map_err(|_| serde::de::Error::custom(format!("version `{text}` is no number"))),
    }
}
