//! What there is to say about a model that is served.

use std::fmt;
use std::sync::Arc;

use crate::batch::InferencePool;
use crate::servable::{Loaded, Pending, Servable, Tuning};
use crate::server::{BatchingStatus, ModelStatus};
use crate::tune::Batching;

/// A model in the table, with what was found out when it was loaded.
pub(super) struct Served {
    pub(super) servable: Arc<Servable>,
    engine: String,
    provider: String,
    inputs: String,
    tuning: Tuning,
}

impl From<Loaded> for Served {
    fn from(loaded: Loaded) -> Self {
        let Loaded { servable, engine, provider, inputs, tuning, .. } = loaded;
        Self { servable: Arc::new(servable), engine, provider, inputs, tuning }
    }
}

impl Served {
    /// What the admin port says at this moment.
    pub(super) fn status(&self, pool: &InferencePool<Pending>) -> ModelStatus {
        let runner = self.servable.runner();
        let batching = match &self.tuning.batching {
            Batching::Merged if !runner.merges() => {
                Batching::Alone("a batch of requests could not be split".to_owned())
            }
            batching => batching.clone(),
        };
        let batching = BatchingStatus {
            batching,
            batch_rows_max: self.tuning.limits.rows_max,
            lane: runner.lane().name(),
            lane_reason: runner.lane_reason(),
            costs: self.tuning.costs.clone(),
            source: self.tuning.source,
            queued_requests: pool.queued_for(runner),
        };
        ModelStatus {
            id: self.servable.id().clone(),
            engine: self.engine.clone(),
            provider: self.provider.clone(),
            io: runner.model().io().clone(),
            batching,
        }
    }
}

/// The start-up line.
impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servable, engine, provider, inputs, tuning } = self;
        let (id, lane) = (servable.id(), servable.runner().lane());
        let batches = tuning.describe(lane);
        write!(f, "serving {} version {} on {engine} ({provider}), ", id.name, id.version)?;
        write!(f, "inputs {inputs}; {batches}")
    }
}
