//! Any registry.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::VersionId;
use crate::store::RemoteError;

use super::{
    Aspired, DirectorySource, FileStoreSource, MlflowSource, SourceError, SqliteSource, Told,
};

/// Where it is said which version of a model should serve.
pub enum Source {
    Directory(DirectorySource),
    Mlflow(Box<MlflowSource>),
    Sqlite(SqliteSource),
    FileStore(FileStoreSource),
}

impl Source {
    /// The version that should serve now; `None` when nothing is selected.
    ///
    /// # Errors
    /// When the registry gave no answer, or none of use.
    pub async fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        match self {
            Self::Directory(source) => source.aspired(),
            Self::Mlflow(source) => source.aspired().await,
            Self::Sqlite(source) => source.aspired(),
            Self::FileStore(source) => source.aspired(),
        }
    }

    /// Tells the registry what became of a version, where it has a place for that and we may write
    /// there; elsewhere nothing is done.
    ///
    /// # Errors
    /// When it could not be written. A registry that denies it says so once, and only a transient
    /// failure is worth telling again.
    pub async fn tell(&mut self, version: VersionId, told: &Told) -> Result<(), RemoteError> {
        match self {
            Self::Mlflow(source) => source.tell(version, told).await,
            Self::Directory(_) | Self::Sqlite(_) | Self::FileStore(_) => Ok(()),
        }
    }

    /// That a version serves already, as if this had been the answer: what is about to change on
    /// disk is no reason to step back from it.
    pub fn set_answered(&mut self, version: VersionId) {
        if let Self::Directory(source) = self {
            source.set_answered(version);
        }
    }

    /// Where changes show on this machine, for a [`Hint`](super::Hint). Empty for servers.
    #[must_use]
    pub fn places(&self) -> Vec<PathBuf> {
        match self {
            Self::Directory(source) => source.places(),
            Self::Mlflow(_) => Vec::new(),
            Self::Sqlite(source) => source.places(),
            Self::FileStore(source) => source.places(),
        }
    }

    /// How long after the last look another one is worth it, before the next regular one.
    #[must_use]
    pub fn settles_in(&self) -> Option<Duration> {
        match self {
            Self::Directory(source) => source.settles_in(),
            Self::Mlflow(_) | Self::Sqlite(_) | Self::FileStore(_) => None,
        }
    }
}
