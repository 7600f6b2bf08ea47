//! The folder of one model in a directory registry: its versions, and what is assigned to them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::{ModelName, Selector, Stage, VersionId};

use super::layout::{LayoutError, folder_name, has_file, subdirectories, version_of};
use super::model_dir::MLMODEL_FILE;
use super::registry_file::{REGISTRY_BYTES_MAX, REGISTRY_FILE, RegistryFile, RegistryFileError};

/// The folder of one model, as it was at one look.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    name: ModelName,
    /// Those with an `MLmodel` file. Never empty, unless there is a `registry.yaml`.
    versions: BTreeMap<VersionId, PathBuf>,
    registry: RegistryFile,
}

/// What a selector means in a folder. Whether the version is there is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Version(VersionId),
    /// The highest version that can be served.
    Highest,
    /// The selector is assigned to no version.
    Nothing,
}

impl ModelFolder {
    /// Reads a folder; `None` when it has neither a version nor a `registry.yaml`.
    ///
    /// # Errors
    /// When it cannot be read, its name is no model's, or its `registry.yaml` is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>, LayoutError> {
        let versions = versions(path)?;
        let Some(name) = name(path, &versions)? else { return Ok(None) };
        let registry = read_registry_file(path)?;
        Ok(Some(Self { path: path.to_owned(), name, versions, registry }))
    }

    /// The model of a folder, whatever its `registry.yaml` says; `None` as in [`read`](Self::read).
    pub(super) fn name_at(path: &Path) -> Result<Option<ModelName>, LayoutError> {
        name(path, &versions(path)?)
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// The versions that have an `MLmodel` file, and their directories.
    pub fn versions(&self) -> &BTreeMap<VersionId, PathBuf> {
        &self.versions
    }

    pub fn registry(&self) -> &RegistryFile {
        &self.registry
    }

    /// What a selector means here. Without one that is the version in stage Production, or else
    /// the highest one.
    pub fn meaning(&self, selector: Option<&Selector>) -> Meaning {
        let production = || self.registry.assigned_to(&Selector::Stage(Stage::Production));
        match selector {
            None => production().map_or(Meaning::Highest, Meaning::Version),
            Some(Selector::Latest) => Meaning::Highest,
            Some(Selector::Version(version)) => Meaning::Version(*version),
            Some(assigned) => {
                self.registry.assigned_to(assigned).map_or(Meaning::Nothing, Meaning::Version)
            }
        }
    }

    /// The refusal of a version that is not there.
    #[must_use]
    pub fn no_such_version(self, selector: Option<&Selector>, version: VersionId) -> LayoutError {
        LayoutError::NoSuchVersion {
            path: self.path,
            name: self.name,
            selector: spelt(selector),
            version,
            found: self.versions.into_keys().collect(),
        }
    }
}

fn versions(path: &Path) -> Result<BTreeMap<VersionId, PathBuf>, LayoutError> {
    let with_mlmodel = subdirectories(path)?.into_iter().filter(|dir| has_file(dir, MLMODEL_FILE));
    Ok(with_mlmodel.filter_map(|dir| Some((version_of(&dir)?, dir))).collect())
}

fn name(
    path: &Path,
    versions: &BTreeMap<VersionId, PathBuf>,
) -> Result<Option<ModelName>, LayoutError> {
    if versions.is_empty() && !has_file(path, REGISTRY_FILE) {
        return Ok(None);
    }
    let name = ModelName::new(folder_name(path));
    name.map(Some).map_err(|cause| LayoutError::Name { path: path.to_owned(), cause })
}

/// What no selector stands for where a version was assigned.
fn spelt(selector: Option<&Selector>) -> Selector {
    selector.cloned().unwrap_or(Selector::Stage(Stage::Production))
}

/// Reads the `registry.yaml` of a model's folder. A folder without the file has nothing assigned.
///
/// # Errors
/// When the file cannot be read, or says what it cannot mean.
pub fn read_registry_file(folder: &Path) -> Result<RegistryFile, LayoutError> {
    let path = folder.join(REGISTRY_FILE);
    let unreadable = |cause| LayoutError::Unreadable { path: path.clone(), cause };
    let invalid = |cause| LayoutError::RegistryFile { path: path.clone(), cause };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(RegistryFile::default());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(REGISTRY_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > REGISTRY_BYTES_MAX {
        return Err(invalid(RegistryFileError::TooLarge));
    }
    let text = str::from_utf8(&bytes).map_err(|_| invalid(RegistryFileError::NotUtf8))?;
    RegistryFile::parse(text).map_err(invalid)
}
