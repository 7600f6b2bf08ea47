//! Directories that lie elsewhere: what the cache of fetched versions needs of an artifact store.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

/// A file of a remote directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Relative to the directory, with `/` between names. Not yet known to be harmless.
    pub path: String,
    /// As the store tells; `None` where it does not.
    pub bytes: Option<u64>,
}

/// The content of a file, piece by piece.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, RemoteError>>>>;

/// A directory of an artifact store. Calls are made on one thread, with a tokio runtime.
pub trait RemoteDir {
    /// All files under the directory, in no order.
    ///
    /// # Errors
    /// `Missing` when there is no such directory.
    fn list(&self) -> impl Future<Output = Result<Vec<RemoteFile>, RemoteError>>;

    /// The content of one of them.
    ///
    /// # Errors
    /// `Missing` when there is no such file.
    fn read(&self, path: &str) -> impl Future<Output = Result<ByteStream, RemoteError>>;
}

/// Why something remote was not had. The texts are for the operator; they hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It answered that there is no such thing.
    #[error("{0} does not exist")]
    Missing(String),
    /// It answered that we may not.
    #[error("{0}")]
    Denied(String),
    /// No answer, or none in time, or one that says to come again.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that makes no sense.
    #[error("{0}")]
    Garbled(String),
    /// What was asked can never work: a scheme that nobody speaks, a setting that is missing.
    #[error("{0}")]
    Unusable(String),
}

impl RemoteError {
    /// Whether the same may work a little later, with nothing changed by anybody here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Garbled(_))
    }
}
