//! All servables by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Servable;

/// The name that wins `/invocations`, if a model has it.
const DEFAULT_NAME: &str = "default";

/// Why a list of servables is not a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("there is no model to serve")]
    Empty,
    #[error("two models are named `{0}`: give one of them another name with NAME=DIR")]
    Duplicate(String),
}

/// Immutable map of everything that is served. A lookup clones one pointer.
pub struct ServingTable {
    servables: HashMap<String, Arc<Servable>>,
    default: Arc<Servable>,
}

impl ServingTable {
    /// A table of `servables`. The default is the one named `default`, else the first.
    ///
    /// # Errors
    /// When there is none, or two have the same name.
    pub fn new(servables: Vec<Arc<Servable>>) -> Result<Self, TableError> {
        let default = servables
            .iter()
            .find(|servable| servable.id().name.as_str() == DEFAULT_NAME)
            .or(servables.first())
            .cloned()
            .ok_or(TableError::Empty)?;
        let mut by_name = HashMap::with_capacity(servables.len());
        for servable in servables {
            let name = servable.id().name.as_str().to_owned();
            if by_name.insert(name.clone(), servable).is_some() {
                return Err(TableError::Duplicate(name));
            }
        }
        Ok(Self { servables: by_name, default })
    }

    /// The servable of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Servable>> {
        self.servables.get(name).cloned()
    }

    /// Whether there is a servable of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.servables.contains_key(name)
    }

    /// The servable behind `/invocations`.
    pub fn default_servable(&self) -> Arc<Servable> {
        Arc::clone(&self.default)
    }
}
