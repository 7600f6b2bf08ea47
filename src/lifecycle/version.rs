//! A version in memory.

use std::sync::Arc;

use crate::model::Signature;
use crate::servable::{Loaded, Servable, Tuning, WarmUp};
use crate::store::Held;

/// A loaded version of a model: what answers, and what there is to say about it.
pub struct Version {
    pub servable: Arc<Servable>,
    /// The engine and its version.
    pub engine: String,
    /// The execution provider.
    pub provider: String,
    /// Names and types of the inputs, shortened.
    pub inputs: String,
    pub tuning: Tuning,
    /// What its clients rely on.
    pub signature: Signature,
    /// How it took its own example.
    pub warm_up: WarmUp,
    pub origin: VersionOrigin,
    /// Keeps its files in the cache, if that is where they are.
    _files: Option<Held>,
}

/// How a version came to be what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionOrigin {
    /// The alias or stage that selected it; empty where none did.
    pub selected_by: String,
    /// The MLflow run that made it; empty where none is known.
    pub run_id: String,
    /// Memory that it takes at most, by an estimate.
    pub memory_bytes: u64,
}

impl Version {
    /// What was loaded, from files that are to be kept as long.
    #[must_use]
    pub fn new(loaded: Loaded, origin: VersionOrigin, files: Option<Held>) -> Self {
        let Loaded { servable, engine, provider, inputs, warm_up, tuning, signature, .. } = loaded;
        let servable = Arc::new(servable);
        Self {
            servable,
            engine,
            provider,
            inputs,
            tuning,
            signature,
            warm_up,
            origin,
            _files: files,
        }
    }

    /// Whether a request still has it.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.servable) > 1
    }
}
