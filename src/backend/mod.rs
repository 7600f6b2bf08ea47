//! Inference runtimes behind one trait.
//!
//! A [`Backend`] is a factory; a [`LoadedModel`] is the prepared graph: immutable, shared, run by
//! many threads at once. Per-thread state, if a runtime needs any, stays inside it. Values that
//! leave `run` are owned by us, so an unloaded model leaves nothing behind.

#[cfg(all(feature = "ort", target_os = "linux"))]
mod elf;
#[cfg(any(feature = "ort", feature = "tract"))]
mod feeds;
mod library;
#[cfg(feature = "ort")]
mod ort;
mod select;
#[cfg(feature = "tract")]
mod tract;

pub use library::{LibrarySearch, PINNED_VERSION};
#[cfg(feature = "ort")]
pub use ort::OrtBackend;
pub use select::{Choice, ChoiceError, OrtOptions, select};
#[cfg(feature = "tract")]
pub use tract::TractBackend;

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{GraphIo, Output, Provider, SessionOptions};
use crate::tensor::Tensor;

/// An inference runtime.
pub trait Backend: Send + Sync {
    /// The runtime's name and version for people: `onnxruntime 1.31.1`, `tract 0.23`.
    fn describe(&self) -> String;

    /// Prepares the graph in `spec.path` (external data is found beside it).
    ///
    /// # Errors
    /// When the file is missing, damaged, or holds something this runtime cannot run; the error
    /// names it.
    fn load(&self, spec: &LoadSpec) -> Result<Arc<dyn LoadedModel>, LoadError>;
}

/// A prepared graph.
pub trait LoadedModel: Send + Sync {
    /// The graph's inputs and outputs.
    fn io(&self) -> &GraphIo;

    /// The execution provider in use, in ONNX Runtime's words (`CPUExecutionProvider`), or the
    /// runtime's name where it has none.
    fn provider(&self) -> &str;

    /// Runs the graph once. `feeds` holds one tensor for each of the graph's inputs, in order.
    /// Called by many threads at once.
    ///
    /// # Errors
    /// When the runtime refuses the feeds or fails while it computes.
    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError>;
}

/// Which graph to load, and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// The `.onnx` file.
    pub path: PathBuf,
    /// Execution providers in order of preference, with their options as text.
    pub providers: Vec<Provider>,
    pub session: SessionOptions,
}

/// Why a graph could not be loaded. The text is for the operator: it may hold paths.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The runtime itself is not there.
    #[error("{0}")]
    RuntimeMissing(String),
    /// The graph holds something that this runtime cannot run.
    #[error("{runtime} cannot run this model: {what}; {advice}")]
    Unsupported { runtime: &'static str, what: String, advice: String },
    /// The file, or its external data, is missing or damaged.
    #[error("{0}")]
    Invalid(String),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A feed does not fit its input: type, rank or size. The reason is in our words and holds no
    /// value of the feed, so a client may read it.
    #[error("input `{input}`: {reason}")]
    Input { input: String, reason: String },
    /// The graph failed on these values. The text is the runtime's own: for the log, never for
    /// the client.
    #[error("{0}")]
    Failed(String),
}
