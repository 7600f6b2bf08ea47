//! Names and versions of models.

use std::fmt;

/// Longest accepted model name, in bytes (MLflow's registry column holds 256 characters).
const NAME_BYTES_MAX: usize = 256;

/// The name of a registered model: a stream of versions. Never empty; holds neither `/` nor `:`
/// (MLflow's own rule) nor control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(String);

/// Why a text is not a model name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelNameError {
    #[error("a model name must not be empty")]
    Empty,
    #[error("a model name must not hold '/', ':' or control characters")]
    Character,
    #[error("a model name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
}

impl ModelName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// When the text is empty, too long, or holds a character that MLflow's registry refuses.
    pub fn new(name: impl Into<String>) -> Result<Self, ModelNameError> {
        let name = name.into();
        if name.is_empty() {
            Err(ModelNameError::Empty)
        } else if name.len() > NAME_BYTES_MAX {
            Err(ModelNameError::TooLong)
        } else if name.contains(|c: char| c == '/' || c == ':' || c.is_control()) {
            Err(ModelNameError::Character)
        } else {
            Ok(Self(name))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One immutable version of a model, as the registry counts them: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(pub u64);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A model and one of its versions. Prints as `name/version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    pub name: ModelName,
    pub version: VersionId,
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}
