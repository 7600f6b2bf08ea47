//! All servables by name, and which of them serve now.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::model::ModelName;

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
    /// `None`: no version of the model can serve now.
    servables: HashMap<String, Option<Arc<Servable>>>,
    default_name: ModelName,
    default: Option<Arc<Servable>>,
}

impl ServingTable {
    /// A table of models that all serve. The default is the one named `default`, else the first.
    ///
    /// # Errors
    /// When there is none, or two have the same name.
    pub fn new(servables: Vec<Arc<Servable>>) -> Result<Self, TableError> {
        let named = |servable: Arc<Servable>| (servable.id().name.clone(), Some(servable));
        Self::of(servables.into_iter().map(named).collect())
    }

    /// A table of models, some of which may have no version that can serve.
    ///
    /// # Errors
    /// When there is none, or two have the same name.
    pub fn of(models: Vec<(ModelName, Option<Arc<Servable>>)>) -> Result<Self, TableError> {
        let (default_name, default) = models
            .iter()
            .find(|(name, _)| name.as_str() == DEFAULT_NAME)
            .or(models.first())
            .cloned()
            .ok_or(TableError::Empty)?;
        let mut servables = HashMap::with_capacity(models.len());
        for (name, servable) in models {
            let name = name.as_str().to_owned();
            if servables.insert(name.clone(), servable).is_some() {
                return Err(TableError::Duplicate(name));
            }
        }
        Ok(Self { servables, default_name, default })
    }

    /// The servable of that name, if the model has one now.
    pub fn get(&self, name: &str) -> Option<Arc<Servable>> {
        self.servables.get(name)?.clone()
    }

    /// Whether there is a model of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.servables.contains_key(name)
    }

    /// The model behind `/invocations`.
    pub fn default_name(&self) -> &ModelName {
        &self.default_name
    }

    /// The servable behind `/invocations`, if that model has one now.
    pub fn default_servable(&self) -> Option<Arc<Servable>> {
        self.default.clone()
    }
}

/// The table that serves now. Readers take no lock and never wait; a writer replaces the table as
/// a whole, so that a reader sees the one before or the one after and nothing between.
pub struct LiveTable(ArcSwap<ServingTable>);

impl LiveTable {
    /// Serves `table` until another is stored.
    pub fn new(table: ServingTable) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// The table as it is now, for a look-up or two. To be dropped before any await: while it is
    /// held, a table that was replaced stays in memory. What a request keeps is the one
    /// `Arc<Servable>` that it found.
    pub fn load(&self) -> Guard<Arc<ServingTable>> {
        self.0.load()
    }

    /// Serves `table` from now on. Requests that found their servable in the one before finish
    /// on it.
    pub fn store(&self, table: ServingTable) {
        self.0.store(Arc::new(table));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::backend::{LoadedModel, RunError};
    use crate::batch::{BatchLimits, Lane, LaneChoice, RunnerOptions};
    use crate::model::{GraphIo, ModelId, Output, Signature, VersionId};
    use crate::tensor::Tensor;
    use crate::tune::Costs;
    use crate::wire::invocations::{RecordShape, Scoring, ScoringOptions};

    use super::*;

    /// Takes nothing, gives nothing.
    struct Empty(GraphIo);

    impl LoadedModel for Empty {
        fn io(&self) -> &GraphIo {
            &self.0
        }

        fn provider(&self) -> &'static str {
            "test"
        }

        fn run(&self, _feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
            Ok(Vec::new())
        }
    }

    fn servable(name: &str, version: u64) -> Arc<Servable> {
        let id = ModelId { name: ModelName::new(name).unwrap(), version: VersionId(version) };
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        let options = ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 0 };
        let scoring = Scoring::new(Signature::default(), io.clone(), options);
        let options = RunnerOptions {
            limits: BatchLimits { rows_max: 1, delay_max: std::time::Duration::ZERO },
            is_tuned: false,
            merges: false,
            lane: LaneChoice::Always(Lane::Queue),
            costs: Costs::default(),
            row_elements: 1,
        };
        Arc::new(Servable::new(id, scoring, Arc::new(Empty(io)), options))
    }

    fn table(names: &[&str], version: u64) -> Result<ServingTable, TableError> {
        ServingTable::new(names.iter().map(|name| servable(name, version)).collect())
    }

    #[test]
    fn the_default_is_the_model_of_that_name_else_the_first() {
        for (names, default) in [(["b", "a"], "b"), (["b", "default"], "default")] {
            let table = table(&names, 1).unwrap();
            assert_eq!(table.default_servable().unwrap().id().name.as_str(), default);
            assert!(names.iter().all(|name| table.contains(name)));
            assert!(table.get("c").is_none());
        }
        let named = |name: &str| ModelName::new(name).unwrap();
        let without = vec![(named("a"), None), (named("b"), Some(servable("b", 1)))];
        let without = ServingTable::of(without).unwrap();
        assert!(without.default_servable().is_none(), "no other model stands in for the default");
        assert!(without.contains("a") && without.get("a").is_none() && without.get("b").is_some());
        assert_eq!(table(&[], 1).err(), Some(TableError::Empty));
        assert_eq!(table(&["a", "a"], 1).err(), Some(TableError::Duplicate("a".to_owned())));
    }

    #[test]
    fn a_table_that_was_replaced_is_freed_but_for_what_requests_hold() {
        let live = LiveTable::new(table(&["a", "b"], 1).unwrap());
        let held = live.load().get("a").unwrap();
        let idle = Arc::downgrade(&live.load().get("b").unwrap());
        live.store(table(&["a"], 2).unwrap());
        assert!(idle.upgrade().is_none());
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(held.id().version, VersionId(1));
        assert_eq!(live.load().default_servable().unwrap().id().version, VersionId(2));
    }

    #[test]
    fn readers_see_whole_tables_only_and_never_an_older_one_again() {
        const LAST: u64 = 500;
        let live = LiveTable::new(table(&["a", "b"], 1).unwrap());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut seen = 1;
                    while seen < LAST {
                        let table = live.load();
                        let versions = ["a", "b"].map(|name| table.get(name).unwrap().id().version);
                        assert_eq!(versions[0], versions[1]);
                        assert!(versions[0] >= VersionId(seen));
                        seen = versions[0].0;
                    }
                });
            }
            for version in 2..=LAST {
                live.store(table(&["a", "b"], version).unwrap());
            }
        });
    }
}
