//! What the admin port says about a model, and how that looks as JSON (`docs/admin.md`).

use serde_json::{Value, json};

use crate::model::{GraphIo, ModelId, OutputKind, VersionId};
use crate::servable::TuneSource;
use crate::tensor::{DType, Dim, Dims};
use crate::tune::{Batching, Costs};

/// A served model version, as it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStatus {
    pub id: ModelId,
    /// The engine and its version: `onnxruntime 1.31.1`.
    pub engine: String,
    /// The execution provider.
    pub provider: String,
    /// What the graph takes and gives.
    pub io: GraphIo,
    pub batching: BatchingStatus,
    pub lifecycle: LifecycleStatus,
}

/// What is known of a model's versions beside the one that serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LifecycleStatus {
    /// The version that the registry names.
    pub aspired: Option<VersionId>,
    /// The one that is on its way, and how far it is.
    pub loading: Option<(VersionId, String)>,
    /// The one that a rollback would go to.
    pub predecessor: Option<VersionId>,
    /// Whether the registry is not followed, since somebody went back.
    pub is_pinned: bool,
    /// Those that may not serve: how far they came, and why they came no further.
    pub refused: Vec<(VersionId, String, String)>,
}

/// How requests for a model are run, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchingStatus {
    pub batching: Batching,
    /// Rows of one run, at most.
    pub batch_rows_max: usize,
    /// The lane's name.
    pub lane: &'static str,
    /// Why this lane, for people.
    pub lane_reason: String,
    pub costs: Costs,
    pub source: TuneSource,
    /// Requests that wait for a run at this moment.
    pub queued_requests: usize,
}

impl ModelStatus {
    pub(super) fn to_json(&self) -> Value {
        let inputs: Vec<_> = self
            .io
            .inputs
            .iter()
            .map(|input| tensor(&input.name, input.dtype, &input.dims))
            .collect();
        let outputs: Vec<_> = self
            .io
            .outputs
            .iter()
            .map(|output| match &output.kind {
                OutputKind::Tensor { dtype, dims } => tensor(&output.name, *dtype, dims),
                OutputKind::Maps => json!({"name": output.name, "type": "maps"}),
            })
            .collect();
        json!({
            "name": self.id.name.as_str(),
            "version": self.id.version.0,
            "engine": self.engine,
            "provider": self.provider,
            "inputs": inputs,
            "outputs": outputs,
            "batching": self.batching.to_json(),
            "lifecycle": self.lifecycle.to_json(),
        })
    }
}

impl LifecycleStatus {
    fn to_json(&self) -> Value {
        let number = |version: &Option<VersionId>| version.map(|version| version.0);
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|(version, at, cause)| json!({"version": version.0, "at": at, "cause": cause}))
            .collect();
        json!({
            "aspired": number(&self.aspired),
            "loading": self.loading.as_ref().map(|(version, state)| {
                json!({"version": version.0, "state": state})
            }),
            "predecessor": number(&self.predecessor),
            "pinned": self.is_pinned,
            "refused": refused,
        })
    }
}

impl BatchingStatus {
    fn to_json(&self) -> Value {
        let (requests, reason) = match &self.batching {
            Batching::Merged => ("merged", None),
            Batching::Alone(reason) => ("alone", Some(reason)),
        };
        // Nanoseconds are the finest that is measured.
        let micros = |nanos: u128| nanos as f64 / 1000.0;
        let points: Vec<_> = self
            .costs
            .points()
            .iter()
            .map(|(rows, time)| json!({"rows": rows, "micros": micros(time.as_nanos())}))
            .collect();
        json!({
            "requests": requests,
            "reason": reason,
            "batch_rows_max": self.batch_rows_max,
            "lane": self.lane,
            "lane_reason": self.lane_reason,
            "points": points,
            "source": self.source.name(),
            "queued_requests": self.queued_requests,
        })
    }
}

/// An input or output; -1 is a dimension of any size, as in a signature.
fn tensor(name: &str, dtype: DType, dims: &Dims) -> Value {
    let shape: Vec<_> = dims
        .0
        .iter()
        .map(|dim| match dim {
            Dim::Any => json!(-1),
            Dim::Fixed(size) => json!(size),
        })
        .collect();
    json!({"name": name, "type": dtype.name(), "shape": shape})
}
