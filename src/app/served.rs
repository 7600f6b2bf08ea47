//! What there is to say about a model that is served.

use std::fmt;

use crate::batch::InferencePool;
use crate::lifecycle::{ModelState, Version};
use crate::servable::Pending;
use crate::server::{BatchingStatus, LifecycleStatus, ModelStatus};
use crate::source::Aspired;
use crate::tune::Batching;

/// A version that serves, for people.
pub(super) struct Served<'a>(pub(super) &'a Version);

impl Served<'_> {
    /// What the admin port says at this moment.
    pub(super) fn status(&self, state: &ModelState, pool: &InferencePool<Pending>) -> ModelStatus {
        let Version { servable, engine, provider, tuning, .. } = self.0;
        let runner = servable.runner();
        let batching = match &tuning.batching {
            Batching::Merged if !runner.merges() => {
                Batching::Alone("a batch of requests could not be split".to_owned())
            }
            batching => batching.clone(),
        };
        let batching = BatchingStatus {
            batching,
            batch_rows_max: tuning.limits.rows_max,
            lane: runner.lane().name(),
            lane_reason: runner.lane_reason(),
            costs: tuning.costs.clone(),
            source: tuning.source,
            queued_requests: pool.queued_for(runner),
        };
        ModelStatus {
            id: servable.id().clone(),
            engine: engine.clone(),
            provider: provider.clone(),
            io: runner.model().io().clone(),
            batching,
            lifecycle: lifecycle(state),
        }
    }
}

/// What is known of the model's other versions.
fn lifecycle(state: &ModelState) -> LifecycleStatus {
    let number = |aspired: &Aspired| aspired.version;
    let refused = state
        .refusals()
        .iter()
        .map(|(version, refusal)| (*version, format!("{:?}", refusal.at), refusal.cause.clone()));
    LifecycleStatus {
        aspired: state.aspired().map(number),
        loading: state
            .loading()
            .map(|attempt| (attempt.version.version, format!("{:?}", attempt.state))),
        predecessor: state.predecessor().map(number),
        is_pinned: state.pin().is_some(),
        refused: refused.collect(),
    }
}

/// The start-up line.
impl fmt::Display for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { servable, engine, provider, inputs, tuning, .. } = self.0;
        let (id, lane) = (servable.id(), servable.runner().lane());
        let batches = tuning.describe(lane);
        write!(f, "serving {} version {} on {engine} ({provider}), ", id.name, id.version)?;
        write!(f, "inputs {inputs}; {batches}")
    }
}
