//! What happens to versions and what is to be done about it: the vocabulary between the pure
//! [`step`](super::step) and who feeds it.

use std::time::Instant;

use super::Health;
use crate::model::{ModelName, VersionId};
use crate::source::Aspired;
use crate::store::Quarantined;

/// One try to bring a version to serve. Numbers are never used again within a process, over all
/// models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

/// How far an attempt has come. The order of the states is the order in which they are passed;
/// some are left out, none is returned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VersionState {
    New,
    Fetching,
    Verifying,
    Loading,
    WarmingUp,
    /// Loaded, warm and let through by its gate. One such version of a model is published; another
    /// may be its predecessor, kept until the new one has proved itself.
    Available,
    /// Not published any more: what was admitted is answered, nothing more is admitted.
    Draining,
    Unloading,
    Ended,
    Failed,
}

impl VersionState {
    /// Whether the loader is at work on it.
    #[must_use]
    pub fn is_loading(self) -> bool {
        self < Self::Available
    }
}

/// Something that has happened. Whatever comes at the wrong time, or about an attempt that is not
/// there, changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The model is to be served from now on; before any other event about it. `remembered` are
    /// versions that served before the process began, the latest last: nothing of them is loaded
    /// yet, and they serve only while the registry's own choice cannot. `quarantined` are versions
    /// that did worse than the one before them then.
    Start { model: ModelName, remembered: Vec<Aspired>, quarantined: Vec<Quarantined> },
    /// The registry was asked, whether anything changed or not.
    Aspired { model: ModelName, answer: Answer },
    /// The loader begins with a stage: one of the states before `Available`.
    Progress { model: ModelName, attempt: AttemptId, state: VersionState },
    /// The gate let the version pass: it can be published. Ends a load.
    Loaded { model: ModelName, attempt: AttemptId },
    /// The load came to nothing and holds no memory. Ends a load, a cancelled one as well.
    Failed {
        model: ModelName,
        attempt: AttemptId,
        /// The stage that failed.
        at: VersionState,
        /// A sentence for the operator.
        cause: String,
        /// Whether the same may work a little later, with nothing changed by anybody.
        is_transient: bool,
    },
    /// Everything that a closed version had admitted was answered, or the time for it is over.
    Drained { model: ModelName, attempt: AttemptId },
    /// The version's memory is free.
    Unloaded { model: ModelName, attempt: AttemptId },
    /// How the published version does beside its predecessor. Without effect after its probation.
    Health { model: ModelName, attempt: AttemptId, health: Health },
    /// An operator wants the version that served before. Without effect where there is none, see
    /// [`ModelState::predecessor`](super::ModelState::predecessor).
    Rollback { model: ModelName },
    /// An operator wants what the registry says, now, whatever is held against it: refusals,
    /// quarantine and pin of that version are forgotten. (A webhook only asks the registry again.)
    Poll { model: ModelName },
    /// It is time: see [`Lifecycle::wake_at`](super::Lifecycle::wake_at). One too many changes
    /// nothing.
    Tick,
    /// The process is about to end: loads are cancelled, and nothing new begins. What is published
    /// stays so until the process ends.
    Stop,
}

impl Event {
    /// The model that it is about, unless it is about all.
    #[must_use]
    pub fn model(&self) -> Option<&ModelName> {
        match self {
            Self::Start { model, .. }
            | Self::Aspired { model, .. }
            | Self::Progress { model, .. }
            | Self::Loaded { model, .. }
            | Self::Failed { model, .. }
            | Self::Drained { model, .. }
            | Self::Unloaded { model, .. }
            | Self::Health { model, .. }
            | Self::Rollback { model }
            | Self::Poll { model } => Some(model),
            Self::Tick | Self::Stop => None,
        }
    }
}

/// What a registry says when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This version should serve.
    Version(Aspired),
    /// There is no such version. What serves goes on serving.
    Nothing,
    /// It is about to name one: a directory that somebody may still be copying.
    Soon,
    /// It said nothing that can be used, for the reason in the sentence. What serves goes on
    /// serving.
    Error(String),
}

/// Something to do, in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring a version to serve, up to and with its gate. The loader answers with any `Progress`
    /// and then with one `Loaded` or `Failed`.
    Load {
        model: ModelName,
        attempt: AttemptId,
        version: Aspired,
        /// The published version, whose clients the new one has to understand.
        replaces: Option<AttemptId>,
    },
    /// Nobody wants that load any more. It is still answered, by `Loaded` if it was too late.
    Cancel { attempt: AttemptId },
    /// Put the version into the table in place of the model's present one, if there is one.
    Publish { model: ModelName, attempt: AttemptId },
    /// Take the model out of the table: it has no version until another is published. Only under
    /// [`SwapPolicy::ResourcePreserving`](super::SwapPolicy::ResourcePreserving).
    Withdraw { model: ModelName, attempt: AttemptId },
    /// Admit nothing more to a version that is not in the table any more. Answered by `Drained`.
    Close { attempt: AttemptId },
    /// Free the memory of a version, off the request path. Answered by `Unloaded`.
    Unload { attempt: AttemptId },
    /// Tell log, metrics and registry what became of a version.
    Report { model: ModelName, version: Aspired, verdict: Verdict },
}

/// What became of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It serves.
    Accepted,
    /// It came to nothing. It is tried again at `retry_at`, or, where there is no such time, when
    /// the registry says something new.
    Refused { at: VersionState, cause: String, retry_at: Option<Instant> },
    /// It served, and another one serves again in its place.
    RolledBack { to: VersionId, cause: String },
}
