//! From the location that a server names to the files themselves.
//!
//! A location may be that of a run, of a logged model or of another version, whose location is
//! asked for in turn. A directory that is not on this machine can often be read through the
//! tracking server: its path tells the run or the logged model whose files it holds.

use std::path::{Path, PathBuf};

use url::Url;

use super::answers::LoggedModel;
use super::client::Client;
use crate::mlflow::{ModelUri, RunUri};
use crate::model::{ModelName, Selector};
use crate::source::Origin;
use crate::store::RemoteError;

/// Most locations that lead to one another.
const HOPS_MAX: usize = 5;
/// Schemes that readers of artifacts know.
const ARTIFACTS: [&str; 11] = [
    "mlflow-artifacts",
    "s3",
    "s3a",
    "gs",
    "wasb",
    "wasbs",
    "abfs",
    "abfss",
    "az",
    "http",
    "https",
];

/// What a location names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    Found(Origin),
    Version(ModelName, u64),
    LoggedModel(String),
    Run(RunUri),
}

impl Location {
    /// # Errors
    /// `Unusable` for a scheme that nobody here knows, a relative path, another host's files.
    pub(super) fn of(uri: &str) -> Result<Self, RemoteError> {
        let shown = without_query(uri);
        let unusable = |why: &str| Err(RemoteError::Unusable(format!("location `{shown}`: {why}")));
        if uri.starts_with('/') {
            return Ok(Self::Found(Origin::Directory(PathBuf::from(uri))));
        }
        if ModelUri::is_claimed_by(uri) {
            return match ModelUri::parse(uri) {
                Ok(ModelUri::Logged { id }) => Ok(Self::LoggedModel(id)),
                Ok(ModelUri::Registered { name, selector: Selector::Version(version) }) => {
                    Ok(Self::Version(name, version.0))
                }
                Ok(_) => unusable("names no one version"),
                Err(error) => unusable(&error.to_string()),
            };
        }
        if RunUri::is_claimed_by(uri) {
            return match RunUri::parse(uri) {
                Ok(run) => Ok(Self::Run(run)),
                Err(error) => unusable(&error.to_string()),
            };
        }
        match Url::parse(uri) {
            Ok(url) if url.scheme() == "file" && uri.starts_with("file:/") => {
                match url.to_file_path() {
                    Ok(path) => Ok(Self::Found(Origin::Directory(path))),
                    Err(()) => unusable("is not on this host"),
                }
            }
            Ok(url) if ARTIFACTS.contains(&url.scheme()) => {
                Ok(Self::Found(Origin::Artifacts(uri.to_owned())))
            }
            Ok(url) if url.scheme() != "file" => unusable(&format!(
                "nobody here reads `{}:`; known are file, {}",
                url.scheme(),
                ARTIFACTS.join(", ")
            )),
            _ => unusable("is relative to a directory of the server that named it"),
        }
    }
}

impl Client {
    /// Follows a location to the files.
    pub(super) async fn origin(&self, location: &str) -> Result<Origin, RemoteError> {
        let mut uri = location.to_owned();
        for _ in 0..HOPS_MAX {
            uri = match Location::of(&uri)? {
                Location::Found(origin) => return Ok(here_or_through_the_server(origin)),
                Location::Version(name, version) => self.download_uri(&name, version).await?,
                Location::LoggedModel(id) => self.logged_model(&id).await?.info.artifact_uri,
                Location::Run(uri) => self.location_of(&uri).await?,
            };
        }
        Err(RemoteError::Unusable(format!(
            "location `{}` leads to more than {HOPS_MAX} others",
            without_query(location)
        )))
    }

    async fn location_of(&self, uri: &RunUri) -> Result<String, RemoteError> {
        let run = self.run(&uri.run_id).await?;
        Ok(match self.model_of_run(&run, uri).await? {
            Some(model) => {
                ready_model(&model)?;
                match uri.path.split_once('/') {
                    Some((_, rest)) => joined(&model.info.artifact_uri, rest),
                    None => model.info.artifact_uri,
                }
            }
            None => joined(&run.info.artifact_uri, &uri.path),
        })
    }
}

pub(super) fn ready_model(model: &LoggedModel) -> Result<(), RemoteError> {
    let what = format!("logged model {}", model.info.model_id);
    ready(&what, model.info.status.as_deref(), None)
}

/// Of the states only `READY` is served, which MLflow writes with or without a prefix; servers
/// without states have nothing else to offer.
pub(super) fn ready(
    what: &str,
    status: Option<&str>,
    why: Option<&str>,
) -> Result<(), RemoteError> {
    let status = status.unwrap_or("READY");
    if status.ends_with("READY") || status.ends_with("UNSPECIFIED") {
        return Ok(());
    }
    let why = why.filter(|why| !why.is_empty()).map_or(String::new(), |why| format!(": {why}"));
    let text = format!("{what} is {status}, not READY{why}");
    Err(if status.contains("PENDING") {
        RemoteError::Unreachable(text)
    } else {
        RemoteError::Unusable(text)
    })
}

/// A query may hold a signature, which is nobody else's business.
pub(super) fn without_query(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

fn joined(uri: &str, path: &str) -> String {
    format!("{}/{path}", uri.trim_end_matches('/'))
}

/// One look at the file system, which is short.
fn here_or_through_the_server(origin: Origin) -> Origin {
    match origin {
        Origin::Directory(path) if !path.exists() => {
            owner(&path).map_or(Origin::Directory(path), Origin::Artifacts)
        }
        origin => origin,
    }
}

/// The logged model or the run whose artifacts a directory holds, told by its path; MLflow's layout
/// is `.../models/m-<32 hex digits>/artifacts` and `.../<32 hex digits>/artifacts/<path>`.
pub(super) fn owner(path: &Path) -> Option<String> {
    let names: Vec<_> = path.iter().map(|name| name.to_str()).collect::<Option<_>>()?;
    let at = names.iter().rposition(|name| *name == "artifacts")?;
    let id = *names.get(at.checked_sub(1)?)?;
    let rest = names[at + 1..].join("/");
    let is_hex = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if id.strip_prefix("m-").is_some_and(is_hex) {
        Some(format!("models:/{id}/{rest}").trim_end_matches('/').to_owned())
    } else if is_hex(id) && !rest.is_empty() {
        Some(format!("runs:/{id}/{rest}"))
    } else {
        None
    }
}
