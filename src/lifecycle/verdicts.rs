//! Telling what became of versions: the log, the metrics, and the registry that named them.

use std::collections::HashMap;

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::model::{ModelName, VersionId};
use crate::source::Told;

use super::metrics::Metrics;
use super::{Answer, Event, Lifecycle, ModelState, Verdict};

/// Verdicts that wait to be told to one registry. Beyond it the newest is not told there; the log
/// has it.
const UNTOLD_MAX: usize = 16;

/// A version and what became of it.
pub type ToldOf = (VersionId, Told);

/// Ways to the registries, by model.
#[derive(Default)]
pub struct Tellers(HashMap<ModelName, Sender<ToldOf>>);

impl Tellers {
    /// A way to the registry of that model; who asks it has the other end.
    pub fn add(&mut self, model: ModelName) -> Receiver<ToldOf> {
        let (sender, receiver) = mpsc::channel(UNTOLD_MAX);
        self.0.insert(model, sender);
        receiver
    }

    fn tell(&self, model: &ModelName, version: VersionId, told: Told) {
        let Some(teller) = self.0.get(model) else { return };
        if teller.try_send((version, told)).is_err() {
            tracing::warn!(%model, %version, "the registry is not told what became of it");
        }
    }
}

/// Where verdicts go.
pub(super) struct Verdicts {
    pub(super) metrics: Metrics,
    pub(super) tellers: Tellers,
}

impl Verdicts {
    /// Takes note of what has happened, before it changes the state.
    pub(super) fn heard(&self, event: &Event, state: &Lifecycle) {
        let model = |name| state.model(name);
        match event {
            Event::Aspired { model: name, answer } => {
                self.metrics.polled(name, answer);
                // At the start it is said by who waits for the first version.
                if let (Answer::Error(cause), Some(model)) = (answer, model(name))
                    && model.trouble() != Some(cause)
                    && model.serving().is_some()
                {
                    tracing::warn!(
                        model = %name, cause,
                        "the registry gave no answer; what serves goes on serving"
                    );
                }
            }
            Event::Progress { model: name, attempt, .. }
            | Event::Loaded { model: name, attempt }
            | Event::Failed { model: name, attempt, .. } => {
                let loading = model(name).and_then(ModelState::loading);
                if let Some(loading) = loading.filter(|loading| loading.id == *attempt) {
                    self.metrics.left(name, loading.state, loading.since);
                }
            }
            _ => {}
        }
    }

    /// Tells what became of a version. `state` is the model's after it, `replaced` the version that
    /// served just before.
    pub(super) fn tell(
        &self,
        model: &ModelName,
        version: VersionId,
        verdict: &Verdict,
        state: &ModelState,
        replaced: Option<VersionId>,
    ) {
        log(model, version, verdict, state);
        self.metrics.told(model, verdict, state);
        let tell = |version, told| self.tellers.tell(model, version, told);
        match verdict {
            Verdict::Accepted => {
                if let Some(replaced) = replaced.filter(|replaced| *replaced != version) {
                    tell(replaced, Told::Replaced);
                }
                tell(version, Told::Serving);
            }
            Verdict::Refused { cause, retry_at: None, .. } => {
                tell(version, Told::Refused { reason: cause.clone() });
            }
            // It may still serve.
            Verdict::Refused { retry_at: Some(_), .. } => {}
            Verdict::RolledBack { to, cause } => {
                tell(version, Told::RolledBack { reason: cause.clone() });
                tell(*to, Told::Serving);
            }
        }
    }
}

fn log(model: &ModelName, version: VersionId, verdict: &Verdict, state: &ModelState) {
    let serves = state.serving().map(|serving| serving.version.version.0);
    match verdict {
        Verdict::Accepted if state.is_fallback() => tracing::error!(
            %model, %version,
            "the last known version serves; the one that should could not be asked for, or loaded"
        ),
        Verdict::Accepted => tracing::info!(%model, %version, "serving"),
        Verdict::Refused { at, cause, retry_at: None } => {
            tracing::error!(%model, %version, ?at, cause, serves, "refused");
        }
        Verdict::Refused { at, cause, retry_at: Some(_) } => {
            tracing::warn!(%model, %version, ?at, cause, serves, "not loaded; it is tried again");
        }
        Verdict::RolledBack { to, cause } => {
            tracing::warn!(%model, %version, %to, cause, "rolled back");
        }
    }
}
