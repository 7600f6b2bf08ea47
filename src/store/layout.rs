//! The directory registry: where a model's versions lie, and which one a selector means.
//!
//! ```text
//! ROOT/NAME/VERSION/MLmodel      versions are numbers from 1
//! ROOT/NAME/registry.yaml        stages and aliases, if there are any
//! ```
//!
//! A path may name any of the three levels: one model directory, one model's folder, or the root.
//! A directory of its own may be a bare graph, `model.onnx`. In a folder of versions it may not: a
//! version without an `MLmodel` file does not exist yet: it is being copied, or is not ours.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{ModelName, ModelNameError, Selector, VersionId};

use super::model_dir::{BARE_GRAPH_FILE, MLMODEL_FILE};
use super::model_folder::ModelFolder;
use super::registry_file::RegistryFileError;
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
        "`{}` holds no model: expected an MLmodel file, model.onnx, versions (1/MLmodel, \
         2/MLmodel, ...) or models (NAME/1/MLmodel)",
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

/// What a path of a directory registry names.
#[derive(Clone, Debug)]
pub enum Place {
    /// One model directory, in no registry. Absolute.
    Directory(PathBuf),
    /// The versions of one model.
    Folder(Box<ModelFolder>),
    /// Models, at least one, sorted by name, and the folder of each. What their `registry.yaml` say
    /// is not known yet: a damaged one is the fault of its own model.
    Root { path: PathBuf, models: Vec<(ModelName, PathBuf)> },
}

impl Place {
    /// Looks at what a path or `file:` URI names.
    ///
    /// # Errors
    /// When it names no model, or cannot be read.
    pub fn of(uri: &str) -> Result<Self, LayoutError> {
        let named = local_path(uri)?;
        let path = canonical_dir(&named)?;
        if has_file(&path, MLMODEL_FILE) {
            return Ok(Self::Directory(path));
        }
        if let Some(folder) = ModelFolder::read(&path)? {
            return Ok(Self::Folder(Box::new(folder)));
        }
        if has_file(&path, BARE_GRAPH_FILE) {
            return Ok(Self::Directory(path));
        }
        let mut models = Vec::new();
        for child in subdirectories(&path)? {
            let name = ModelFolder::name_at(&child)?;
            models.extend(name.map(|name| (name, child)));
        }
        if models.is_empty() {
            return Err(LayoutError::NoModel { path: named });
        }
        Ok(Self::Root { path, models })
    }
}

/// A directory that is a model itself. Its place says what it is called: `NAME/VERSION` as in a
/// registry, or any other name, which then is version 1.
///
/// # Errors
/// When the selector means something that only a registry can know.
pub fn one_directory(
    dir: PathBuf,
    selector: Option<&Selector>,
) -> Result<ResolvedModel, LayoutError> {
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
pub(super) fn version_of(dir: &Path) -> Option<VersionId> {
    let name = dir.file_name()?.to_str()?;
    let number: u64 = name.parse().ok()?;
    (number > 0 && number.to_string() == name).then_some(VersionId(number))
}

pub(super) fn folder_name(path: &Path) -> String {
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
pub(super) fn subdirectories(path: &Path) -> Result<Vec<PathBuf>, LayoutError> {
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

pub(super) fn has_file(dir: &Path, name: &str) -> bool {
    dir.join(name).exists()
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
