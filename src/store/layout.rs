//! The directory registry: where a model's versions lie, and which one a selector means.
//!
//! ```text
//! ROOT/NAME/VERSION/MLmodel      versions are numbers from 1
//! ROOT/NAME/registry.yaml        stages and aliases, if there are any
//! ```
//!
//! A path may name any of the three levels: one model directory, one model's folder, or the root.
//! A version without an `MLmodel` file does not exist yet: it is being copied, or is not ours.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::{ModelName, ModelNameError, Selector, Stage, VersionId};

use super::model_dir::MLMODEL_FILE;
use super::registry_file::{REGISTRY_BYTES_MAX, REGISTRY_FILE, RegistryFile, RegistryFileError};
use super::source_path::{SourcePathError, local_path};

/// The version of a model directory that lies in no registry.
const ONLY_VERSION: VersionId = VersionId(1);

/// A model directory with the identity that its place gives it. Its content is not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedModel {
    pub name: ModelName,
    pub version: VersionId,
    /// Absolute.
    pub dir: PathBuf,
}

/// Why no version of a model could be found. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Source(#[from] SourcePathError),
    #[error("`{}` does not exist; give a model directory or a folder of models", .path.display())]
    Missing { path: PathBuf },
    #[error("`{}` is not a directory; give the directory that holds it", .path.display())]
    NotADirectory { path: PathBuf },
    #[error("`{}` cannot be read: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error(
        "`{}` holds no model: expected an MLmodel file, versions (1/MLmodel, 2/MLmodel, ...) or \
         models (NAME/1/MLmodel)",
        .path.display()
    )]
    NoModel { path: PathBuf },
    #[error("`{}`: {cause}; rename the folder", .path.display())]
    Name { path: PathBuf, cause: ModelNameError },
    #[error("`{}`: {cause}", .path.display())]
    RegistryFile { path: PathBuf, cause: RegistryFileError },
    #[error(
        "`{}` is one model directory, where {selector} cannot be looked up; give the folder that \
         holds the model's versions",
        .path.display()
    )]
    OneVersionOnly { path: PathBuf, selector: Selector },
    #[error("{selector} of model {name} is assigned to no version in `{}`", .path.display())]
    Unassigned { path: PathBuf, name: ModelName, selector: Selector },
    #[error(
        "{selector} of model {name} means version {version}, but `{}` has no {version}/MLmodel \
         (its versions: {})",
        .path.display(), list(.found)
    )]
    NoSuchVersion {
        path: PathBuf,
        name: ModelName,
        selector: Selector,
        version: VersionId,
        found: Vec<VersionId>,
    },
    #[error(
        "`{}` holds several models ({}); give the folder of one",
        .path.display(), list(.names)
    )]
    SeveralModels { path: PathBuf, names: Vec<ModelName> },
}

/// Finds the one model that a path or `file:` URI means, in the version that the selector picks.
/// Without a selector that is the version in stage Production, or else the highest one.
///
/// # Errors
/// When the path names no model or several, or the selector no version.
pub fn resolve(uri: &str, selector: Option<&Selector>) -> Result<ResolvedModel, LayoutError> {
    let mut models = resolve_all(uri, selector)?;
    match models.pop() {
        Some(model) if models.is_empty() => Ok(model),
        last => {
            let names = models.into_iter().chain(last).map(|model| model.name).collect();
            Err(LayoutError::SeveralModels { path: local_path(uri)?, names })
        }
    }
}

/// Like [`resolve`], but a root with several models gives one version of each, sorted by name.
///
/// # Errors
/// When the path names no model, or the selector no version of one of them.
pub fn resolve_all(
    uri: &str,
    selector: Option<&Selector>,
) -> Result<Vec<ResolvedModel>, LayoutError> {
    let named = local_path(uri)?;
    let path = canonical_dir(&named)?;
    if has_file(&path, MLMODEL_FILE) {
        return Ok(vec![one_directory(path, selector)?]);
    }
    if let Some(folder) = ModelFolder::read(&path)? {
        return Ok(vec![folder.pick(selector)?]);
    }
    let mut models = Vec::new();
    for child in subdirectories(&path)? {
        if let Some(folder) = ModelFolder::read(&child)? {
            models.push(folder.pick(selector)?);
        }
    }
    if models.is_empty() { Err(LayoutError::NoModel { path: named }) } else { Ok(models) }
}

/// The folder of one model in a registry.
struct ModelFolder {
    path: PathBuf,
    name: ModelName,
    /// Never empty, unless there is a `registry.yaml`.
    versions: BTreeMap<VersionId, PathBuf>,
    registry: RegistryFile,
}

impl ModelFolder {
    /// Reads a folder; `None` when it has neither a version nor a `registry.yaml`.
    fn read(path: &Path) -> Result<Option<Self>, LayoutError> {
        let versions: BTreeMap<_, _> = subdirectories(path)?
            .into_iter()
            .filter(|dir| has_file(dir, MLMODEL_FILE))
            .filter_map(|dir| version_of(&dir).map(|version| (version, dir)))
            .collect();
        if versions.is_empty() && !has_file(path, REGISTRY_FILE) {
            return Ok(None);
        }
        let name = ModelName::new(folder_name(path))
            .map_err(|cause| LayoutError::Name { path: path.to_owned(), cause })?;
        let registry = read_registry_file(&path.join(REGISTRY_FILE))?;
        Ok(Some(Self { path: path.to_owned(), name, versions, registry }))
    }

    fn pick(mut self, selector: Option<&Selector>) -> Result<ResolvedModel, LayoutError> {
        let production = Selector::Stage(Stage::Production);
        let selector = match selector {
            Some(selector) => selector,
            None if self.registry.assigned_to(&production).is_some() => &production,
            None => &Selector::Latest,
        };
        let version = match selector {
            Selector::Version(version) => Some(*version),
            Selector::Latest => self.versions.last_key_value().map(|(version, _)| *version),
            assigned => self.registry.assigned_to(assigned),
        };
        let selector = selector.clone();
        let Some(version) = version else {
            return Err(match selector {
                Selector::Latest => LayoutError::NoModel { path: self.path },
                selector => LayoutError::Unassigned { path: self.path, name: self.name, selector },
            });
        };
        match self.versions.remove(&version) {
            Some(dir) => Ok(ResolvedModel { name: self.name, version, dir }),
            None => Err(LayoutError::NoSuchVersion {
                path: self.path,
                name: self.name,
                selector,
                version,
                found: self.versions.into_keys().collect(),
            }),
        }
    }
}

/// A directory that is a model itself. Its place says what it is called: `NAME/VERSION` as in a
/// registry, or any other name, which then is version 1.
fn one_directory(dir: PathBuf, selector: Option<&Selector>) -> Result<ResolvedModel, LayoutError> {
    let (name, version) = match (version_of(&dir), dir.parent()) {
        (Some(version), Some(folder)) => (folder_name(folder), version),
        _ => (folder_name(&dir), ONLY_VERSION),
    };
    let matches = match selector {
        None | Some(Selector::Latest) => true,
        Some(Selector::Version(wanted)) => *wanted == version,
        Some(Selector::Alias(_) | Selector::Stage(_)) => false,
    };
    if let (false, Some(selector)) = (matches, selector) {
        return Err(LayoutError::OneVersionOnly { path: dir, selector: selector.clone() });
    }
    // Here the folder's name is nobody's promise, so it is made to fit.
    let allowed = |c: char| if matches!(c, '/' | ':') || c.is_control() { '-' } else { c };
    let name: String = name.chars().map(allowed).collect();
    let name = ModelName::new(if name.is_empty() { "model".to_owned() } else { name })
        .map_err(|cause| LayoutError::Name { path: dir.clone(), cause })?;
    Ok(ResolvedModel { name, version, dir })
}

/// The version that a folder's name means: a number from 1, without leading zeros.
fn version_of(dir: &Path) -> Option<VersionId> {
    let name = dir.file_name()?.to_str()?;
    let number: u64 = name.parse().ok()?;
    (number > 0 && number.to_string() == name).then_some(VersionId(number))
}

fn folder_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn canonical_dir(path: &Path) -> Result<PathBuf, LayoutError> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => LayoutError::Missing { path: path.to_owned() },
        _ => LayoutError::Unreadable { path: path.to_owned(), cause },
    };
    let real = path.canonicalize().map_err(unreadable)?;
    if fs::metadata(&real).map_err(unreadable)?.is_dir() {
        Ok(real)
    } else {
        Err(LayoutError::NotADirectory { path: path.to_owned() })
    }
}

/// Sorted by name. Hidden ones are left out, and `lost+found`, which file systems make at the root
/// of a volume and which only its administrator can read.
fn subdirectories(path: &Path) -> Result<Vec<PathBuf>, LayoutError> {
    let unreadable = |cause| LayoutError::Unreadable { path: path.to_owned(), cause };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let is_ours = name != "lost+found" && !name.as_encoded_bytes().starts_with(b".");
        // `Path::is_dir` follows links: a version may be a link to where it really lies.
        if is_ours && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn has_file(dir: &Path, name: &str) -> bool {
    dir.join(name).exists()
}

/// A folder without the file has nothing assigned.
fn read_registry_file(path: &Path) -> Result<RegistryFile, LayoutError> {
    let unreadable = |cause| LayoutError::Unreadable { path: path.to_owned(), cause };
    let invalid = |cause| LayoutError::RegistryFile { path: path.to_owned(), cause };
    let file = match File::open(path) {
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

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
