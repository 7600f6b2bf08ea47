//! What the manager shows of the models.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::model::ModelName;

use super::{ModelState, Outlook, Version};

/// What is known of one model.
#[derive(Clone)]
pub struct ModelReport {
    pub name: ModelName,
    pub state: ModelState,
    /// The published version, if there is one.
    pub version: Option<Arc<Version>>,
}

impl ModelReport {
    /// Whether the model serves, or will.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.state.outlook(Instant::now())
    }
}

/// What the manager shows at any time to any thread.
#[derive(Clone)]
pub struct Reports(watch::Receiver<Vec<ModelReport>>);

/// Where the manager writes what it shows.
pub(super) struct Board(watch::Sender<Vec<ModelReport>>);

impl Reports {
    /// All models, in the order in which they are configured.
    #[must_use]
    pub fn models(&self) -> Vec<ModelReport> {
        self.0.borrow().clone()
    }

    /// Waits until something may be another than at the last call; `false` when nothing ever will,
    /// since the manager is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl Board {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(super) fn reports(&self) -> Reports {
        Reports(self.0.subscribe())
    }

    pub(super) fn show(&self, models: Vec<ModelReport>) {
        self.0.send_replace(models);
    }
}
