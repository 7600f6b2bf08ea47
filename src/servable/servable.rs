//! One model version that answers requests.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::backend::LoadedModel;
use crate::model::{ModelId, Output, OutputRows};
use crate::tensor::Tensor;
use crate::wire::invocations::{Decoded, Scoring};

use super::answer::{Compress, Form};
use super::contain::contain;
use super::job::{Job, Work};
use super::{Answer, InferencePool, Request, ScoreError};

/// Usual bodies up to this size are decoded where they arrive. At the 7 ns a byte of a slow decode
/// that is half a millisecond, the most that anything may block an event loop. What pandas makes
/// of an unusual body may be thousands of times its size, so those wait for an inference thread.
const DECODE_INLINE_BYTES_MAX: usize = 64 << 10;

/// One loaded version: its identity, its protocol, its graph. Immutable and shared.
pub struct Servable {
    id: ModelId,
    scoring: Scoring,
    model: Arc<dyn LoadedModel>,
}

impl Servable {
    /// Puts a loaded graph behind its protocol.
    #[must_use]
    pub fn new(id: ModelId, scoring: Scoring, model: Arc<dyn LoadedModel>) -> Self {
        Self { id, scoring, model }
    }

    /// The model and its version.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// Answers one request. May be dropped at any await: the work is then skipped if it has not
    /// begun.
    ///
    /// # Errors
    /// Whatever can become of a request, see [`ScoreError`].
    pub async fn score(
        self: &Arc<Self>,
        pool: &InferencePool,
        request: Request,
    ) -> Result<Answer, ScoreError> {
        let (deadline, compress) = (request.deadline, request.compress);
        let work = match contain(&self.id, || Ok(self.decode_inline(&request)))? {
            Some(decoded) => {
                // Its memory is free from here on; the wait may be long.
                drop(request);
                Work::Decoded(decoded)
            }
            None => Work::Body(Box::new(request)),
        };
        let (reply, answer) = oneshot::channel();
        pool.push(Job { servable: Arc::clone(self), work, compress, deadline, reply })?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_dropped)) => Err(ScoreError::Closed),
            Err(_elapsed) => Err(ScoreError::Expired),
        }
    }

    /// Sends the model's own example request through the whole path, so that the first client
    /// does not pay for lazily made state.
    ///
    /// # Errors
    /// When the example does not go through.
    pub fn warm_up(&self, example: &[u8]) -> Result<(), ScoreError> {
        contain(&self.id, || {
            let decoded = self.scoring.decode(Some("application/json"), example)?;
            let form = Form::of(&decoded, None);
            let outputs = self.run(decoded.feeds)?;
            self.encode(&outputs, form).map(drop)
        })
    }

    /// Body to feeds, if that is sure to be quick.
    fn decode_inline(&self, request: &Request) -> Option<Decoded> {
        let is_small = request.body.len() <= DECODE_INLINE_BYTES_MAX;
        if !is_small || request.coding.is_some() {
            return None;
        }
        self.scoring.decode_usual(request.content_type.as_deref(), &request.body)
    }

    /// Body to feeds.
    pub(super) fn decode(&self, request: &Request) -> Result<Decoded, ScoreError> {
        let content_type = request.content_type.as_deref();
        let decoded = match request.coding {
            None => self.scoring.decode(content_type, &request.body)?,
            Some(coding) => {
                let plain = coding.decode(&request.body, request.body_bytes_max)?;
                self.scoring.decode(content_type, &plain)?
            }
        };
        Ok(decoded)
    }

    /// Feeds to outputs.
    pub(super) fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, ScoreError> {
        self.model.run(feeds).map_err(|error| {
            tracing::debug!(model = %self.id, %error, "the runtime refused a request");
            error.into()
        })
    }

    /// Outputs to body.
    pub(super) fn encode(&self, outputs: &[Output], form: Form) -> Result<Answer, ScoreError> {
        let mut body = Vec::new();
        self.scoring.encode(&OutputRows::all(outputs), form.layout, &mut body)?;
        if let Some(Compress { coding, bytes_min }) = form.compress
            && body.len() >= bytes_min
            && let Some(packed) = coding.encode(&body)
        {
            return Ok(Answer { body: packed, coding: Some(coding) });
        }
        Ok(Answer { body, coding: None })
    }
}
