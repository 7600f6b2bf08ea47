//! A directory in an object store or on a web server.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::store::{ByteStream, RemoteDir, RemoteError, RemoteFile, without_secrets};

use super::address::Address;
use super::failure::failure;
use super::options::ObjectOptions;
use super::stores::{connect, web};
use super::web::named_by_mlmodel;

/// A model directory that is reached through `object_store`.
pub struct ObjectDir {
    store: Arc<dyn ObjectStore>,
    /// A web server is asked for a list without retries: most have none.
    listing: Arc<dyn ObjectStore>,
    address: Address,
    /// The URI without secrets, for messages.
    shown: String,
    files_max: usize,
}

/// As the URI has it, without its secrets.
impl fmt::Debug for ObjectDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectDir({})", self.shown)
    }
}

impl ObjectDir {
    /// The directory at a URI. Nothing is asked yet.
    ///
    /// # Errors
    /// `Unusable` when the URI has another scheme or form, or a setting is missing or wrong.
    pub fn open(uri: &str, options: &ObjectOptions) -> Result<Self, RemoteError> {
        let address = Address::parse(uri)?;
        let store = connect(&address, options)?;
        let listing = match &address {
            Address::Web { site, login, .. } => web(site, login.as_ref(), options, 0)?,
            _ => store.clone(),
        };
        let shown = without_secrets(uri).trim_end_matches('/').to_owned();
        Ok(Self { store, listing, address, shown, files_max: options.files_max })
    }

    /// Everything below the directory, as the store lists it.
    async fn list_all(&self) -> Result<Vec<RemoteFile>, RemoteError> {
        let what = format!("`{}`", self.shown);
        let dir = self.address.path();
        let mut listed = self.listing.list(Some(dir));
        let mut files = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(|error| failure(&what, &error))? {
            let Some(path) = below(dir, &object.location) else { continue };
            if files.len() == self.files_max {
                let max = self.files_max;
                return Err(RemoteError::Unusable(format!("{what} has more than {max} files")));
            }
            files.push(RemoteFile { path, bytes: Some(object.size) });
        }
        Ok(without_folders(files))
    }

    /// A file and its name for messages.
    fn file(&self, path: &str) -> Result<(Path, String), RemoteError> {
        let what = format!("`{}/{path}`", self.shown);
        let dir = self.address.path();
        let whole = if dir.is_root() { path.to_owned() } else { format!("{dir}/{path}") };
        match Path::parse(whole) {
            Ok(whole) => Ok((whole, what)),
            Err(_) => Err(RemoteError::Garbled(format!("{what} is an impossible path"))),
        }
    }
}

impl RemoteDir for ObjectDir {
    async fn list(&self) -> Result<Vec<RemoteFile>, RemoteError> {
        let listed = self.list_all().await;
        if !matches!(self.address, Address::Web { .. }) {
            return match listed {
                Ok(files) if files.is_empty() => {
                    Err(RemoteError::Missing(format!("`{}`", self.shown)))
                }
                listed => listed,
            };
        }
        match listed {
            Ok(files) if files.iter().any(|file| file.path == "MLmodel") => Ok(files),
            // A plain web server.
            _ => named_by_mlmodel(self).await,
        }
    }

    async fn read(&self, path: &str) -> Result<ByteStream, RemoteError> {
        let (whole, what) = self.file(path)?;
        let object = self.store.get(&whole).await.map_err(|error| failure(&what, &error))?;
        Ok(Box::pin(object.into_stream().map_err(move |error| failure(&what, &error))))
    }
}

/// The path of a file relative to the directory; `None` for the directory itself and what a store
/// lists beside it.
fn below(dir: &Path, file: &Path) -> Option<String> {
    let relative = if dir.is_root() {
        file.as_ref()
    } else {
        file.as_ref().strip_prefix(dir.as_ref())?.strip_prefix('/')?
    };
    (!relative.is_empty()).then(|| relative.to_owned())
}

/// Without the empty objects that consoles of object stores make for folders.
fn without_folders(files: Vec<RemoteFile>) -> Vec<RemoteFile> {
    let folders: HashSet<String> = files
        .iter()
        .flat_map(|file| file.path.match_indices('/').map(|(slash, _)| &file.path[..slash]))
        .map(str::to_owned)
        .collect();
    let is_folder = |file: &RemoteFile| file.bytes == Some(0) && folders.contains(&file.path);
    files.into_iter().filter(|file| !is_folder(file)).collect()
}
