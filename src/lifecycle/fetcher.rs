//! From where a registry says that a version's files are to a directory on this machine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{ModelName, VersionId};
use crate::source::{Aspired, Client, ObjectDir, ObjectOptions, Origin, ProxyDir};
use crate::store::{
    About, Cache, CacheKey, FetchError, Held, LastKnown, RemoteError, without_secrets,
};

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

/// Why a version's files are not here.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("there is no directory to fetch models into; name one with --cache-dir")]
    NoCache,
    #[error(
        "`{}` is read through an MLflow server; name it with MLFLOW_TRACKING_URI",
        without_secrets(.0)
    )]
    NoServer(String),
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

fn about(model: &ModelName, version: VersionId, uri: &str) -> About {
    About { model: model.clone(), version, origin: uri.to_owned() }
}
