//! What a registry has not been told yet.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::model::ModelName;

use super::ToldOf;
use super::ask::Ask;

/// Verdicts that are kept while a registry does not answer. Beyond it the oldest is forgotten.
const KEPT_MAX: usize = 16;

/// Longest time between two questions that goes to verdicts.
const TELL_TIME_MAX: Duration = Duration::from_secs(2);

/// Verdicts on their way to one registry, the oldest first.
pub(super) struct Untold {
    /// `None`: no more will come.
    arriving: Option<Receiver<ToldOf>>,
    kept: VecDeque<ToldOf>,
}

impl Untold {
    pub(super) fn new(arriving: Option<Receiver<ToldOf>>) -> Self {
        Self { arriving, kept: VecDeque::new() }
    }

    /// Waits for a verdict and keeps it. May be dropped while it waits: nothing is lost.
    pub(super) async fn arrived(&mut self) {
        while let Some(arriving) = &mut self.arriving {
            match arriving.recv().await {
                Some(verdict) => return self.keep(verdict),
                None => self.arriving = None,
            }
        }
        std::future::pending::<()>().await;
    }

    /// Of a version only the last verdict counts.
    fn keep(&mut self, verdict: ToldOf) {
        self.kept.retain(|(version, _)| *version != verdict.0);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(verdict);
    }

    /// Tells what is kept, until something does not arrive for the moment, or time is up: then it
    /// is kept. To ask is more urgent.
    pub(super) async fn tell(&mut self, model: &ModelName, registry: &mut impl Ask) {
        let end = Instant::now() + TELL_TIME_MAX;
        while let Some((version, told)) = self.kept.front() {
            match tokio::time::timeout_at(end, registry.tell(*version, told)).await {
                Err(_elapsed) => return,
                Ok(Err(error)) if error.is_transient() => {
                    tracing::debug!(%model, %version, %error, "the registry is told later");
                    return;
                }
                Ok(Err(error)) => {
                    let status = told.status();
                    tracing::warn!(%model, %version, status, %error, "the registry is not told");
                }
                Ok(Ok(())) => {}
            }
            self.kept.pop_front();
        }
    }
}
