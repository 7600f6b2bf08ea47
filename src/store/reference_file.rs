//! The drift reference of a model directory: where it lies, and its bytes.
//!
//! A model without a reference, or with one that cannot be read, serves all the same: nothing here
//! is an error of the model. What the bytes mean is `drift`'s business.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value as Json;

use crate::drift::{FILE_NAME, REFERENCE_BYTES_MAX};

use super::contained::{NotContained, open_contained};

/// The key of the `MLmodel` file's metadata that names a reference.
const METADATA_KEY: &str = "drift_reference";

/// What a model directory holds of a reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReferenceFile {
    #[default]
    Absent,
    /// `name` is the path within the directory.
    Found { name: String, named_by: NamedBy, bytes: Vec<u8> },
    /// Larger than any reference, so left where it is.
    TooLarge { name: String, bytes: u64 },
    /// The reason reads after the file's name, or after the metadata's key.
    Unreadable { name: String, reason: String },
}

/// How a reference was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// It has the usual name, beside the `MLmodel` file.
    Convention,
    /// The `MLmodel` file's metadata name it.
    Metadata,
    /// It is an artifact of the run that made the model.
    Run,
}

/// Folders above a model's in which the folder of its run is looked for: MLflow keeps models within
/// the run's artifacts (2.x) or two folders beside them (3.x).
const ANCESTORS_MAX: usize = 8;

impl ReferenceFile {
    /// Looks for the usual name first, then for what the metadata name. The first that is there is
    /// taken, even if it cannot be read. `root` is canonical.
    pub(super) fn read(root: &Path, metadata: &Json) -> Self {
        match Self::read_named(root, FILE_NAME, NamedBy::Convention) {
            Err(NotContained::Missing) => {}
            found => return found.unwrap_or_else(|cause| unreadable(FILE_NAME, &cause)),
        }
        match metadata.get(METADATA_KEY) {
            None | Some(Json::Null) => Self::Absent,
            Some(Json::String(name)) => Self::read_named(root, name, NamedBy::Metadata)
                .unwrap_or_else(|cause| unreadable(name, &cause)),
            Some(_) => Self::Unreadable {
                name: format!("metadata.{METADATA_KEY}"),
                reason: "is no text, and should be a path within the model directory".to_owned(),
            },
        }
    }

    /// Looks among the artifacts of a run, where a store of files on this machine keeps both the
    /// run and the model in `dir`: `RUN_ID/artifacts/drift_reference.json` in a folder above the
    /// model's.
    #[must_use]
    pub fn of_run(dir: &Path, run_id: &str) -> Self {
        let is_plain = !run_id.is_empty() && run_id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_plain {
            return Self::Absent;
        }
        let above = dir.ancestors().skip(1).take(ANCESTORS_MAX);
        let mut artifacts = above.map(|folder| folder.join(run_id).join("artifacts"));
        let Some(artifacts) = artifacts.find(|folder| folder.join(FILE_NAME).is_file()) else {
            return Self::Absent;
        };
        let found = artifacts
            .canonicalize()
            .map_err(NotContained::Io)
            .and_then(|root| Self::read_named(&root, FILE_NAME, NamedBy::Run));
        found.unwrap_or_else(|cause| unreadable(FILE_NAME, &cause))
    }

    /// What the registry's server gave of a run's artifacts.
    #[must_use]
    pub fn from_run(bytes: Vec<u8>) -> Self {
        let name = FILE_NAME.to_owned();
        if bytes.len() > REFERENCE_BYTES_MAX {
            return Self::TooLarge { name, bytes: bytes.len() as u64 };
        }
        Self::Found { name, named_by: NamedBy::Run, bytes }
    }

    fn read_named(root: &Path, name: &str, named_by: NamedBy) -> Result<Self, NotContained> {
        let opened = open_contained(root, root, name)?;
        let name = name.to_owned();
        let limit = REFERENCE_BYTES_MAX as u64;
        if opened.bytes > limit {
            return Ok(Self::TooLarge { name, bytes: opened.bytes });
        }
        let mut bytes = Vec::new();
        // It may have grown since; one byte more than allowed shows that.
        opened.file.take(limit + 1).read_to_end(&mut bytes).map_err(NotContained::Io)?;
        if bytes.len() > REFERENCE_BYTES_MAX {
            return Ok(Self::TooLarge { name, bytes: bytes.len() as u64 });
        }
        Ok(Self::Found { name, named_by, bytes })
    }
}

fn unreadable(name: &str, cause: &NotContained) -> ReferenceFile {
    ReferenceFile::Unreadable { name: name.to_owned(), reason: cause.to_string() }
}
