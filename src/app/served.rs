//! What there is to say about a model.

use std::fmt;
use std::time::{Instant, SystemTime};

use crate::batch::InferencePool;
use crate::lifecycle::{Happening, ModelReport, ModelState, PinCause, Purpose, Version};
use crate::servable::Pending;
use crate::server::{
    BatchingStatus, LifecycleStatus, ModelStatus, RefusedStatus, ServingStatus, VersionStatus,
};
use crate::source::Aspired;
use crate::tune::Batching;

/// A version that serves, for people.
pub(super) struct Served<'a>(pub(super) &'a Version);

/// What the admin port says at this moment.
pub(super) fn status(report: &ModelReport, pool: &InferencePool<Pending>) -> ModelStatus {
    ModelStatus {
        name: report.name.clone(),
        serving: report.version.as_deref().map(|version| serving(version, pool)),
        lifecycle: lifecycle(&report.state, &Clocks::read()),
    }
}

fn serving(version: &Version, pool: &InferencePool<Pending>) -> ServingStatus {
    let Version { servable, engine, provider, tuning, .. } = version;
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
    ServingStatus {
        version: servable.id().version,
        engine: engine.clone(),
        provider: provider.clone(),
        io: runner.model().io().clone(),
        batching,
    }
}

/// One moment by both clocks: the lifecycle goes by one that never jumps, people by the other.
struct Clocks {
    steady: Instant,
    wall: SystemTime,
}

impl Clocks {
    fn read() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    fn wall(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.steady) {
            Some(ahead) => self.wall + ahead,
            None => self.wall - (self.steady - at),
        }
    }
}

fn lifecycle(state: &ModelState, clocks: &Clocks) -> LifecycleStatus {
    let number = |aspired: &Aspired| aspired.version;
    let serving = state.serving().map(|attempt| attempt.id);
    let versions = state.attempts().iter().map(|attempt| VersionStatus {
        version: attempt.version.version,
        state: format!("{:?}", attempt.state),
        since: clocks.wall(attempt.since),
        reason: reason(attempt.purpose),
        is_serving: serving == Some(attempt.id),
        is_loading: attempt.state.is_loading(),
    });
    let refused = state.refusals().iter().map(|(version, refusal)| RefusedStatus {
        version: *version,
        at: format!("{:?}", refusal.at),
        cause: refusal.cause.clone(),
        since: clocks.wall(refusal.since),
        retry_at: refusal.opens_at().map(|at| clocks.wall(at)),
    });
    let history =
        state.history().map(|note| (clocks.wall(note.at), note.version, told(&note.happening)));
    LifecycleStatus {
        aspired: state.aspired().map(number),
        registry_error: state.trouble().map(str::to_owned),
        versions: versions.collect(),
        predecessor: state.predecessor().map(number),
        is_pinned: state.pin().is_some(),
        probation_until: state.probation_until().map(|at| clocks.wall(at)),
        refused: refused.collect(),
        history: history.collect(),
    }
}

fn reason(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Wish => "the registry names it",
        Purpose::Return => "it is gone back to",
        Purpose::Fallback => "what should serve cannot",
    }
}

fn told(happening: &Happening) -> String {
    match happening {
        Happening::Aspired => "named by the registry".to_owned(),
        Happening::Published(purpose) => format!("serves: {}", reason(*purpose)),
        Happening::Refused(at, cause) => format!("refused at {at:?}: {cause}"),
        Happening::Cancelled => "not wanted any more before it was loaded".to_owned(),
        Happening::Pinned(PinCause::Operator) => "gone back to by an operator".to_owned(),
        Happening::Pinned(PinCause::Worse(cause)) => format!("gone back to: {cause}"),
        Happening::Unpinned => "no longer gone back to: the registry is followed".to_owned(),
        Happening::Confirmed => "has passed its probation".to_owned(),
        Happening::Withdrawn => "withdrawn to make room".to_owned(),
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
