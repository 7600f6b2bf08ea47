//! Which engine a process uses.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use super::{Backend, LibrarySearch, LoadError};

/// The engine that the operator chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// ONNX Runtime; tract where no library of it is found.
    #[default]
    Auto,
    Ort,
    Tract,
}

impl Choice {
    /// The word for it in configuration files and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ort => "ort",
            Self::Tract => "tract",
        }
    }
}

/// A word that is no engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected auto, ort or tract")]
pub struct ChoiceError;

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(word: &str) -> Result<Self, ChoiceError> {
        [Self::Auto, Self::Ort, Self::Tract]
            .into_iter()
            .find(|choice| choice.name() == word)
            .ok_or(ChoiceError)
    }
}

/// How ONNX Runtime is found and run.
#[derive(Clone, Debug)]
pub struct OrtOptions {
    pub library: LibrarySearch,
    /// Threads within one operator, where the model does not say. With 1 a run stays on the
    /// calling thread.
    pub intra_op_threads: NonZeroUsize,
    /// Whether idle threads wait in a loop: a little faster under load, a core burnt otherwise.
    pub spinning: bool,
}

/// Starts the chosen engine.
///
/// # Errors
/// When the engine is not compiled in, or ONNX Runtime's library is missing or unusable. A
/// library that the user named is never silently replaced by tract.
pub fn select(choice: Choice, options: OrtOptions) -> Result<Arc<dyn Backend>, LoadError> {
    match choice {
        Choice::Ort => ort(options),
        Choice::Tract => tract(),
        Choice::Auto if cfg!(not(feature = "ort")) => tract(),
        Choice::Auto if cfg!(not(feature = "tract")) => ort(options),
        Choice::Auto => {
            let named = options.library.named().is_some();
            ort(options).or_else(|error| {
                if named {
                    return Err(error);
                }
                tracing::warn!(cause = %error, "using tract, which runs fewer models");
                tract()
            })
        }
    }
}

#[cfg(feature = "ort")]
fn ort(options: OrtOptions) -> Result<Arc<dyn Backend>, LoadError> {
    Ok(Arc::new(super::OrtBackend::new(options)?))
}

#[cfg(not(feature = "ort"))]
fn ort(_: OrtOptions) -> Result<Arc<dyn Backend>, LoadError> {
    Err(not_compiled_in("ONNX Runtime", "ort"))
}

#[cfg(feature = "tract")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
fn tract() -> Result<Arc<dyn Backend>, LoadError> {
    Ok(Arc::new(super::TractBackend))
}

#[cfg(not(feature = "tract"))]
fn tract() -> Result<Arc<dyn Backend>, LoadError> {
    Err(not_compiled_in("tract", "tract"))
}

#[cfg(not(all(feature = "ort", feature = "tract")))]
fn not_compiled_in(engine: &str, feature: &str) -> LoadError {
    LoadError::RuntimeMissing(format!(
        "this flowgate was built without {engine}: build it with `--features {feature}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_reads_back_from_its_name() {
        for choice in [Choice::Auto, Choice::Ort, Choice::Tract] {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        assert_eq!("onnx".parse::<Choice>(), Err(ChoiceError));
    }

    #[cfg(not(feature = "tract"))]
    #[test]
    fn an_engine_that_is_not_compiled_in_is_refused_with_its_feature() {
        let options = OrtOptions {
            library: LibrarySearch::default(),
            intra_op_threads: NonZeroUsize::MIN,
            spinning: false,
        };
        let error = select(Choice::Tract, options).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("this flowgate was built without tract: build it with `--features tract`")
        );
    }
}
