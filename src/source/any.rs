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
    Mlflow(Box<MlflowSource>),
    Files(FileSource),
}

/// A registry that is read as files. Its calls block, on a file system that does not answer for
/// ever: they are not for a thread that has anything else to do.
#[derive(Debug)]
pub enum FileSource {
    Directory(DirectorySource),
    Sqlite(SqliteSource),
    FileStore(FileStoreSource),
}

impl Source {
    /// The version that should serve now; `None` when nothing is selected. Blocks while it looks
    /// at files.
    ///
    /// # Errors
    /// When the registry gave no answer, or none of use.
    pub async fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        match self {
            Self::Mlflow(source) => source.aspired().await,
            Self::Files(source) => source.aspired(),
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
            Self::Files(_) => Ok(()),
        }
    }

    /// How long after the last question another one is worth it, before the next regular one.
    #[must_use]
    pub fn settles_in(&self) -> Option<Duration> {
        match self {
            Self::Mlflow(_) => None,
            Self::Files(source) => source.settles_in(),
        }
    }
}

impl FileSource {
    /// The version that should serve now; `None` when nothing is selected.
    ///
    /// # Errors
    /// When the files cannot be read, or say nothing of use.
    pub fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        match self {
            Self::Directory(source) => source.aspired(),
            Self::Sqlite(source) => source.aspired(),
            Self::FileStore(source) => source.aspired(),
        }
    }

    /// Where changes show, for a [`Hint`](super::Hint).
    #[must_use]
    pub fn places(&self) -> Vec<PathBuf> {
        match self {
            Self::Directory(source) => source.places(),
            Self::Sqlite(source) => source.places(),
            Self::FileStore(source) => source.places(),
        }
    }

    /// What it shares with the other models of its registry: the folder that holds them, or the
    /// database. Where that does not answer, none of them does.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        match self {
            Self::Directory(source) => {
                let folder = source.places().pop().unwrap_or_default();
                folder.parent().map(PathBuf::from).unwrap_or(folder)
            }
            Self::Sqlite(source) => source.places().pop().unwrap_or_default(),
            Self::FileStore(source) => source.root().to_owned(),
        }
    }

    /// How long after the last look another one is worth it, before the next regular one.
    #[must_use]
    pub fn settles_in(&self) -> Option<Duration> {
        match self {
            Self::Directory(source) => source.settles_in(),
            Self::Sqlite(_) | Self::FileStore(_) => None,
        }
    }
}

impl From<DirectorySource> for Source {
    fn from(source: DirectorySource) -> Self {
        Self::Files(FileSource::Directory(source))
    }
}

impl From<SqliteSource> for Source {
    fn from(source: SqliteSource) -> Self {
        Self::Files(FileSource::Sqlite(source))
    }
}

impl From<FileStoreSource> for Source {
    fn from(source: FileStoreSource) -> Self {
        Self::Files(FileSource::FileStore(source))
    }
}
