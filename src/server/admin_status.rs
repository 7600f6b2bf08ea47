//! What the admin port says about a model, and how that looks as JSON (`docs/admin.md`).

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::model::{GraphIo, ModelName, OutputKind, VersionId};
use crate::servable::TuneSource;
use crate::tensor::{DType, Dim, Dims};
use crate::tune::{Batching, Costs};

/// A model, as it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStatus {
    pub name: ModelName,
    /// `None`: no version of it can serve.
    pub serving: Option<ServingStatus>,
    pub lifecycle: LifecycleStatus,
}

/// The version that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct ServingStatus {
    pub version: VersionId,
    /// The engine and its version: `onnxruntime 1.31.1`.
    pub engine: String,
    /// The execution provider.
    pub provider: String,
    /// What the graph takes and gives.
    pub io: GraphIo,
    pub batching: BatchingStatus,
}

/// What is known of a model's versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LifecycleStatus {
    /// The version that the registry names.
    pub aspired: Option<VersionId>,
    /// Why the registry's last answer is of no use, if it is not.
    pub registry_error: Option<String>,
    /// Those that are in memory or on their way there, the oldest first.
    pub versions: Vec<VersionStatus>,
    /// The one that a rollback would go to.
    pub predecessor: Option<VersionId>,
    /// Whether the registry is not followed, since somebody went back.
    pub is_pinned: bool,
    /// Until when the serving version is compared with the one before it.
    pub probation_until: Option<SystemTime>,
    /// Those that may not serve.
    pub refused: Vec<RefusedStatus>,
    /// What happened last, the oldest first: when, to which version, what.
    pub history: Vec<(SystemTime, VersionId, String)>,
}

/// A version that is in memory, or on its way there.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionStatus {
    pub version: VersionId,
    /// `Fetching`, `Loading`, `Available`, ...
    pub state: String,
    pub since: SystemTime,
    /// Why it is to serve.
    pub reason: &'static str,
    pub is_serving: bool,
    /// Whether the loader has it.
    pub is_loading: bool,
}

/// A version that may not serve.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedStatus {
    pub version: VersionId,
    /// The state that it did not get beyond.
    pub at: String,
    pub cause: String,
    pub since: SystemTime,
    /// When it is tried again, if nothing else happens.
    pub retry_at: Option<SystemTime>,
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
        let mut json = json!({"name": self.name.as_str(), "version": null});
        if let (Some(Value::Object(serving)), Some(json)) =
            (self.serving.as_ref().map(ServingStatus::to_json), json.as_object_mut())
        {
            json.extend(serving);
        }
        json["lifecycle"] = self.lifecycle.to_json();
        json
    }
}

impl ServingStatus {
    fn to_json(&self) -> Value {
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
            "version": self.version.0,
            "engine": self.engine,
            "provider": self.provider,
            "inputs": inputs,
            "outputs": outputs,
            "batching": self.batching.to_json(),
        })
    }
}

impl LifecycleStatus {
    fn to_json(&self) -> Value {
        let number = |version: &Option<VersionId>| version.map(|version| version.0);
        let loading = self.versions.iter().find(|one| one.is_loading);
        json!({
            "aspired": number(&self.aspired),
            "registry_error": self.registry_error,
            "versions": self.versions.iter().map(VersionStatus::to_json).collect::<Vec<_>>(),
            "loading": loading.map(|one| json!({"version": one.version.0, "state": one.state})),
            "predecessor": number(&self.predecessor),
            "pinned": self.is_pinned,
            "probation_until": self.probation_until.map(time),
            "refused": self.refused.iter().map(RefusedStatus::to_json).collect::<Vec<_>>(),
            "history": self.history.iter().map(|(at, version, what)| {
                json!({"at": time(*at), "version": version.0, "what": what})
            }).collect::<Vec<_>>(),
        })
    }
}

impl VersionStatus {
    fn to_json(&self) -> Value {
        json!({
            "version": self.version.0,
            "state": self.state,
            "since": time(self.since),
            "reason": self.reason,
            "serving": self.is_serving,
        })
    }
}

impl RefusedStatus {
    fn to_json(&self) -> Value {
        json!({
            "version": self.version.0,
            "at": self.at,
            "cause": self.cause,
            "since": time(self.since),
            "retry_at": self.retry_at.map(time),
        })
    }
}

/// To the millisecond, as RFC 3339 has it.
fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
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
