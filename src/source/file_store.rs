//! MLflow's file store, read directly: `./mlruns`.
//!
//! ```text
//! models/NAME/meta.yaml                 the model
//! models/NAME/aliases/ALIAS             a version's number, one file an alias
//! models/NAME/version-N/meta.yaml       stage, status, where the files are
//! EXPERIMENT/RUN/meta.yaml              where a run's artifacts are
//! EXPERIMENT/models/m-ID/meta.yaml      a logged model (MLflow 3)
//! ```
//!
//! Nothing is ever written. MLflow writes its files in place, so one that is cut short is possible:
//! an error, and another look a moment later.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::mlflow::{DuplicateKeys, read_yaml};
use crate::model::{ModelName, Selector, Stage, VersionId};
use crate::store::local_path;

use super::location::Locations;
use super::records::{self, DELETED, LOGGED_READY, LoggedRecord, READY, Records, VersionRecord};
use super::sqlite::DEFAULT_WORKSPACE;
use super::{Aspired, SourceError, Wanted};

const META: &str = "meta.yaml";
/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Entries of one folder.
const ENTRIES_MAX: usize = 10_000;
/// The folder beside the store where a tracking server keeps artifacts unless told otherwise.
const SERVED_ARTIFACTS: &str = "mlartifacts";

/// What a [`FileStoreSource`] follows.
#[derive(Clone, Debug)]
pub struct FileStoreOptions {
    /// A path or `file:` URI of the store's folder.
    pub root: String,
    pub wanted: Wanted,
    /// Without one: `default`.
    pub workspace: Option<String>,
    /// What `mlflow-artifacts:/` stands for, a path or URI; relative to the folder that holds the
    /// store. Without one: `mlartifacts`.
    pub artifact_root: Option<String>,
}

/// Follows a model in MLflow's file store.
#[derive(Debug)]
pub struct FileStoreSource {
    store: Store,
    wanted: Wanted,
    locations: Locations,
}

impl FileStoreSource {
    /// Prepares to read a store, which is not looked at yet.
    ///
    /// # Errors
    /// When the root is no local path.
    pub fn new(options: FileStoreOptions) -> Result<Self, SourceError> {
        let unusable = |cause: &dyn std::fmt::Display| SourceError::Unreadable(cause.to_string());
        let root = local_path(&options.root).map_err(|cause| unusable(&cause))?;
        let root = std::path::absolute(root).map_err(|cause| unusable(&cause))?;
        let base = root.parent().unwrap_or(Path::new("/")).to_owned();
        let artifact_root = options.artifact_root.unwrap_or_else(|| SERVED_ARTIFACTS.to_owned());
        let workspace = options.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
        Ok(Self {
            store: Store { root, workspace },
            wanted: options.wanted,
            locations: Locations::new(base, artifact_root),
        })
    }

    /// The version that should serve now; `None` when nothing is selected. Blocks for about a
    /// millisecond for every 100 versions, and for a `runs:/` or logged model for every 100
    /// experiments.
    ///
    /// # Errors
    /// When the store cannot be read, or what it says leads nowhere.
    pub fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        if !self.store.root.is_dir() {
            return Err(SourceError::Unreadable(format!(
                "`{}` is not a folder; give the mlruns folder of MLflow",
                self.store.root.display()
            )));
        }
        records::aspired(&self.store, &self.locations, &self.wanted)
    }

    /// The store's folder. Absolute.
    pub fn root(&self) -> &Path {
        &self.store.root
    }

    /// Where changes show, for a [`Hint`](super::Hint): the model's folder, not all experiments.
    pub fn places(&self) -> Vec<PathBuf> {
        match &self.wanted {
            Wanted::Model(crate::mlflow::ModelUri::Registered { name, .. }) => {
                inside(&self.store.models(), name.as_str()).into_iter().collect()
            }
            // They never change once they are there.
            Wanted::Model(_) | Wanted::Run(_) => Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Store {
    root: PathBuf,
    workspace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawModel {
    workspace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawVersion {
    version: Option<u64>,
    current_stage: Option<String>,
    status: Option<String>,
    source: Option<String>,
    storage_location: Option<String>,
    last_updated_timestamp: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawLogged {
    artifact_location: Option<String>,
    name: Option<String>,
    source_run_id: Option<String>,
    status: Option<u8>,
    creation_timestamp: Option<i64>,
    last_updated_timestamp: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRun {
    artifact_uri: Option<String>,
    lifecycle_stage: Option<String>,
}

impl Store {
    fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The folder of a model that exists.
    fn model(&self, name: &ModelName) -> Result<PathBuf, SourceError> {
        let found = match inside(&self.models(), name.as_str()) {
            Some(folder) => read_meta::<RawModel>(&folder)?.map(|model| (folder, model)),
            None => None,
        };
        match found {
            Some((folder, model))
                if model.workspace.as_deref().unwrap_or(DEFAULT_WORKSPACE) == self.workspace =>
            {
                Ok(folder)
            }
            _ => Err(SourceError::Unknown(format!(
                "there is no model {name} in `{}` (workspace {})",
                self.root.display(),
                self.workspace
            ))),
        }
    }

    /// All folders of experiments.
    fn experiments(&self) -> Result<Vec<PathBuf>, SourceError> {
        let mut folders = subfolders(&self.root)?;
        folders.retain(|folder| !folder.ends_with("models"));
        Ok(folders)
    }
}

impl Records for Store {
    fn version(
        &self,
        name: &ModelName,
        selector: &Selector,
    ) -> Result<Option<VersionRecord>, SourceError> {
        let folder = self.model(name)?;
        match selector {
            Selector::Version(version) => Ok(read_version(&folder, *version)?.map(|(_, v)| v)),
            Selector::Alias(alias) => match read_alias(&folder, alias)? {
                Some(version) => Ok(read_version(&folder, version)?.map(|(_, record)| record)),
                None => Ok(None),
            },
            Selector::Stage(stage) => highest(&folder, |found| found == Some(*stage)),
            Selector::Latest => highest(&folder, |_| true),
        }
    }

    fn logged(&self, id: &str) -> Result<Option<LoggedRecord>, SourceError> {
        for experiment in self.experiments()? {
            let Some(folder) = inside(&experiment.join("models"), id) else { return Ok(None) };
            if let Some(raw) = read_meta::<RawLogged>(&folder)? {
                return Ok(raw.into_record());
            }
        }
        Ok(None)
    }

    fn logged_by(&self, run_id: &str, name: &str) -> Result<Option<LoggedRecord>, SourceError> {
        let mut newest: Option<RawLogged> = None;
        for experiment in self.experiments()? {
            let is_its = inside(&experiment, run_id).is_some_and(|run| run.join(META).exists());
            if !is_its {
                continue;
            }
            for folder in subfolders(&experiment.join("models"))? {
                let Some(raw) = read_meta::<RawLogged>(&folder)? else { continue };
                if raw.source_run_id.as_deref() == Some(run_id)
                    && raw.name.as_deref() == Some(name)
                    && newest.as_ref().is_none_or(|best| {
                        raw.creation_timestamp.unwrap_or_default()
                            > best.creation_timestamp.unwrap_or_default()
                    })
                {
                    newest = Some(raw);
                }
            }
        }
        Ok(newest.and_then(RawLogged::into_record))
    }

    fn run_artifacts(&self, run_id: &str) -> Result<Option<String>, SourceError> {
        for experiment in self.experiments()? {
            let Some(folder) = inside(&experiment, run_id) else { return Ok(None) };
            if let Some(raw) = read_meta::<RawRun>(&folder)? {
                let is_deleted = raw.lifecycle_stage.as_deref() == Some("deleted");
                return Ok(raw.artifact_uri.filter(|_| !is_deleted));
            }
        }
        Ok(None)
    }
}

impl RawLogged {
    fn into_record(self) -> Option<LoggedRecord> {
        let is_ready = self.status == Some(LOGGED_READY);
        let location = self.artifact_location.filter(|_| is_ready)?;
        let updated = self.last_updated_timestamp.unwrap_or_default().to_string();
        Some(LoggedRecord { location, updated })
    }
}

/// The highest version that is ready, in a stage that will do.
fn highest(
    folder: &Path,
    will_do: impl Fn(Option<Stage>) -> bool,
) -> Result<Option<VersionRecord>, SourceError> {
    let mut versions: Vec<u64> = subfolders(folder)?
        .iter()
        .filter_map(|folder| folder.file_name()?.to_str()?.strip_prefix("version-")?.parse().ok())
        .collect();
    versions.sort_unstable();
    for version in versions.into_iter().rev() {
        if let Some((stage, record)) = read_version(folder, VersionId(version))?
            && record.status == READY
            && will_do(stage)
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// A version and its stage; `None` when there is none or it was deleted.
fn read_version(
    folder: &Path,
    version: VersionId,
) -> Result<Option<(Option<Stage>, VersionRecord)>, SourceError> {
    let folder = folder.join(format!("version-{version}"));
    let Some(raw) = read_meta::<RawVersion>(&folder)? else { return Ok(None) };
    let stage = raw.current_stage.as_deref().unwrap_or(Stage::Unassigned.name());
    if stage == DELETED {
        return Ok(None);
    }
    // A file that was cut short says nothing about itself.
    if raw.version != Some(version.0) {
        return Err(SourceError::Unreadable(format!(
            "`{}` does not say that it is version {version}",
            folder.join(META).display()
        )));
    }
    let location = raw.storage_location.filter(|location| !location.is_empty()).or(raw.source);
    let record = VersionRecord {
        version,
        status: raw.status.unwrap_or_else(|| READY.to_owned()),
        location,
        updated: raw.last_updated_timestamp.unwrap_or_default().to_string(),
    };
    Ok(Some((Stage::from_name(stage), record)))
}

/// The version that an alias is on: the file counts, not what `meta.yaml` repeats of it.
fn read_alias(folder: &Path, alias: &str) -> Result<Option<VersionId>, SourceError> {
    let Some(path) = inside(&folder.join("aliases"), alias) else { return Ok(None) };
    let Some(text) = read_text(&path)? else { return Ok(None) };
    let version = text.trim().parse().map_err(|_| {
        SourceError::Unreadable(format!("`{}` holds no version number", path.display()))
    })?;
    Ok(Some(VersionId(version)))
}

/// What a folder's `meta.yaml` says; `None` without such a file.
fn read_meta<T: Default + DeserializeOwned>(folder: &Path) -> Result<Option<T>, SourceError> {
    let path = folder.join(META);
    let Some(text) = read_text(&path)? else { return Ok(None) };
    // `Option`, because an empty document is null and not an empty mapping.
    let read: Option<T> = read_yaml(&text, DuplicateKeys::LastWins)
        .map_err(|cause| SourceError::Unreadable(format!("`{}`: {cause}", path.display())))?;
    Ok(Some(read.unwrap_or_default()))
}

/// `None` without such a file.
fn read_text(path: &Path) -> Result<Option<String>, SourceError> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => Err(SourceError::Unreadable(format!(
            "`{}` has more than {FILE_BYTES_MAX} bytes",
            path.display()
        ))),
        Ok(_) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// The folders in a folder, hidden ones left out; none when it does not exist.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut found = Vec::new();
    for (count, entry) in listed.enumerate() {
        if count == ENTRIES_MAX {
            return Err(SourceError::Unreadable(format!(
                "`{}` has more than {ENTRIES_MAX} entries, too many to look through again and \
                 again; serve from a database",
                folder.display()
            )));
        }
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The entry of that name in a folder; `None` for a name that means another place.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => Some(folder.join(name)),
        _ => None,
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Unreadable(format!("`{}` cannot be read: {error}", path.display()))
}
