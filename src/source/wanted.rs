//! What of a registry is followed.

use std::fmt;

use crate::mlflow::{ModelUri, ModelUriError, RunUri, RunUriError};

/// A model of a registry, as its URI names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `models:/NAME/SELECTOR`, `models:/NAME@ALIAS` or `models:/MODEL_ID`.
    Model(ModelUri),
    /// `runs:/RUN_ID/PATH`.
    Run(RunUri),
}

/// Why a text names nothing that can be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    #[error(transparent)]
    Model(#[from] ModelUriError),
    #[error(transparent)]
    Run(#[from] RunUriError),
}

impl Wanted {
    /// Whether a text claims to be such a URI.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        ModelUri::is_claimed_by(text) || RunUri::is_claimed_by(text)
    }

    /// Reads a `models:/` or `runs:/` URI.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, WantedError> {
        if RunUri::is_claimed_by(text) {
            Ok(Self::Run(RunUri::parse(text)?))
        } else {
            Ok(Self::Model(ModelUri::parse(text)?))
        }
    }
}

/// Reads as the object of a sentence.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(ModelUri::Registered { name, selector }) => {
                write!(f, "{selector} of model {name}")
            }
            Self::Model(ModelUri::Logged { id }) => write!(f, "the logged model {id}"),
            Self::Run(uri) => write!(f, "{uri}"),
        }
    }
}
