//! What a registry says should serve.

use std::path::PathBuf;

use crate::model::VersionId;
use crate::store::RemoteError;

/// The version of a model that should serve, as its registry says at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspired {
    pub version: VersionId,
    pub origin: Origin,
    /// Differs whenever the registry says anything else about the version: a version that was
    /// refused is tried again then.
    pub stamp: String,
}

/// Where the files of a version are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// On this machine, served where they lie.
    Directory(PathBuf),
    /// In an artifact store, by its URI: `mlflow-artifacts:`, `s3:`, `gs:`, `abfss:`, `https:` ...
    /// Never of a form that has to be resolved again: `models:/m-...` and `runs:/...` are
    /// directories that the tracking server can read and this machine cannot.
    Artifacts(String),
}

/// Why a registry gave no answer. What serves goes on serving.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A directory, a file store or a database file that cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// There is no such model.
    #[error("{0}")]
    Unknown(String),
}
