//! From where a registry says that a version's files are to a directory on this machine.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;

use crate::drift::{FILE_NAME, REFERENCE_BYTES_MAX};
use crate::model::{ModelName, VersionId};
use crate::source::{Aspired, Client, ObjectDir, ObjectOptions, Origin, ProxyDir, RetryPolicy};
use crate::store::{
    About, Cache, CacheKey, FetchError, Held, LastKnown, Quarantined, ReferenceFile, RemoteError,
    without_secrets,
};

/// A run's drift reference is waited for so long.
const REFERENCE_TIME_MAX: Duration = Duration::from_secs(10);

/// Longest text of an error, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// Fetches versions into the cache.
pub struct Fetcher {
    /// `None`: nothing can be fetched.
    pub cache: Option<Arc<Cache>>,
    /// Of the tracking server, if there is one.
    pub client: Option<Client>,
    pub objects: ObjectOptions,
    /// Which model of which registry a served model is: the same at each start.
    pub identities: HashMap<ModelName, String>,
}

/// A version's files.
pub struct Fetched {
    pub dir: PathBuf,
    /// Keeps them in the cache.
    pub held: Option<Held>,
}

/// Why a version's files are not here: in one line of no more than 500 characters, whatever a store
/// or a server had to say.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    #[error("{}", brief(.0))]
    Fetch(FetchError),
    #[error("{}", brief(.0))]
    Remote(RemoteError),
    #[error("there is no directory to fetch models into; name one with --cache-dir")]
    NoCache,
    #[error(
        "`{}` is read through an MLflow server; name it with MLFLOW_TRACKING_URI",
        without_secrets(.0)
    )]
    NoServer(String),
}

impl From<FetchError> for FetcherError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<RemoteError> for FetcherError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl FetcherError {
    /// Whether the same may work a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_transient(),
            Self::Remote(error) => error.is_transient(),
            Self::NoCache | Self::NoServer(_) => false,
        }
    }
}

/// The name of a version's files in the cache.
fn cache_key(uri: &str, aspired: &Aspired) -> CacheKey {
    // A query may be a signature, another one each time.
    CacheKey::of(&without_secrets(uri), &aspired.version.to_string())
}

impl Fetcher {
    /// The directory of a version: where it lies, or fetched.
    ///
    /// # Errors
    /// When its artifacts cannot be had whole.
    pub async fn fetch(
        &self,
        model: &ModelName,
        aspired: &Aspired,
    ) -> Result<Fetched, FetcherError> {
        let uri = match &aspired.origin {
            Origin::Directory(dir) => return Ok(Fetched { dir: dir.clone(), held: None }),
            Origin::Artifacts(uri) => uri,
        };
        let cache = self.cache.as_ref().ok_or(FetcherError::NoCache)?;
        let key = cache_key(uri, aspired);
        let about = about(model, aspired.version, uri);
        let progress = |bytes, total| tracing::trace!(%model, bytes, total, "fetching");
        let held = if let Some(held) = cache.find(&key) {
            held
        } else if ProxyDir::reads(uri) {
            let client = self.client.as_ref().ok_or_else(|| FetcherError::NoServer(uri.clone()))?;
            cache.fetch(&key, &about, &ProxyDir::new(client, uri)?, progress).await?
        } else {
            cache.fetch(&key, &about, &ObjectDir::open(uri, &self.objects)?, progress).await?
        };
        Ok(Fetched { dir: held.dir().to_owned(), held: Some(held) })
    }

    /// The drift reference that the run of a model logged beside it, if there is one to be had: a
    /// version without it serves all the same.
    pub async fn run_reference(&self, dir: &Path, run_id: &str) -> ReferenceFile {
        let of_files = ReferenceFile::of_run(dir, run_id);
        let Some(client) = self.client.as_ref().filter(|_| of_files == ReferenceFile::Absent)
        else {
            return of_files;
        };
        let client = client.with_retry(RetryPolicy::NEVER);
        let read = async {
            let mut pieces = client.run_file(run_id, FILE_NAME).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.try_next().await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() > REFERENCE_BYTES_MAX {
                    break;
                }
            }
            Ok::<_, RemoteError>(bytes)
        };
        match tokio::time::timeout(REFERENCE_TIME_MAX, read).await {
            Ok(Ok(bytes)) => ReferenceFile::from_run(bytes),
            // Most runs have none, and servers say so in different ways.
            Ok(Err(error)) => {
                tracing::debug!(run_id, %error, "the run has no drift reference");
                ReferenceFile::Absent
            }
            Err(_elapsed) => {
                tracing::warn!(run_id, "the run's drift reference did not come in time");
                ReferenceFile::Absent
            }
        }
    }

    /// Keeps for the next start what a model serves, as far as its files are in the cache.
    pub fn remember(&self, model: &ModelName, aspired: &Aspired) {
        let (Some(cache), Origin::Artifacts(uri)) = (&self.cache, &aspired.origin) else { return };
        let last = LastKnown {
            model: model.clone(),
            version: aspired.version,
            stamp: aspired.stamp.clone(),
            key: cache_key(uri, aspired),
            origin: uri.clone(),
        };
        let Some(identity) = self.identities.get(model) else { return };
        if let Err(error) = cache.remember(identity, &last) {
            tracing::warn!(%model, %error, "a start without the registry would not know the model");
        }
    }

    /// Keeps for the next start which versions of a model may not serve, in place of what was kept;
    /// of more than eight the last ones.
    pub fn keep_quarantined(&self, model: &ModelName, versions: &[Quarantined]) {
        let Some((cache, identity)) = self.kept(model) else { return };
        if let Err(error) = cache.keep_quarantined(identity, versions) {
            tracing::warn!(%model, %error, "after a restart its quarantine would be forgotten");
        }
    }

    /// The versions of a model that may not serve as long as the registry says the same of them,
    /// as they were kept: the latest last.
    #[must_use]
    pub fn quarantined(&self, model: &ModelName) -> Vec<Quarantined> {
        self.kept(model).map_or_else(Vec::new, |(cache, identity)| cache.quarantined(identity))
    }

    /// Where things are kept about a model, and under which name.
    fn kept(&self, model: &ModelName) -> Option<(&Cache, &str)> {
        Some((self.cache.as_deref()?, self.identities.get(model)?))
    }

    /// What a model served last, if its files are still in the cache.
    #[must_use]
    pub fn last_known(&self, model: &ModelName) -> Option<Aspired> {
        let cache = self.cache.as_ref()?;
        let LastKnown { version, stamp, key, origin, .. } =
            cache.recall(self.identities.get(model)?)?;
        cache.find(&key)?;
        Some(Aspired { version, origin: Origin::Artifacts(origin), stamp })
    }
}

/// A text in one line, cut where it is long.
fn brief(text: &dyn Display) -> String {
    let text = text.to_string();
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

fn about(model: &ModelName, version: VersionId, uri: &str) -> About {
    About { model: model.clone(), version, origin: uri.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_of_bounded_length() {
        let page = format!("the store answered 500: <html>\r\n\t<p>{}", "ö".repeat(100_000));
        let text = FetcherError::from(RemoteError::Unreachable(page)).to_string();
        assert!(text.starts_with("the store answered 500: <html> <p>ö"), "{text}");
        assert!(text.ends_with("ö ...") && text.chars().count() < 510, "{text}");
        let short = FetcherError::from(RemoteError::Missing("a file".to_owned()));
        assert_eq!(short.to_string(), "a file does not exist");
    }
}
