//! One model version that answers requests.

use std::sync::Arc;
use std::time::Instant;

use crate::backend::LoadedModel;
use crate::batch::{
    BodySize, ExpressLane, Handover, InferencePool, Job, Lane, Runner, RunnerOptions, contain,
};
use crate::drift::Monitor;
use crate::model::{ModelId, OutputRows};
use crate::telemetry::{Lease, Meter};
use crate::wire::coding::Coding;
use crate::wire::invocations::{Decoded, Layout, Scoring};

use super::pending::{Pending, Reply};
use super::{Answer, Compress, Request, ScoreError, Share, Tally};

/// Usual bodies up to this size are decoded where they arrive. At the 7 ns a byte of a slow decode
/// that is less than a millisecond, the most that anything may block an event loop. What pandas
/// makes of an unusual body may be thousands of times its size, so those wait for an inference
/// thread.
const DECODE_INLINE_BYTES_MAX: usize = 128 << 10;

/// One loaded version: its identity, its protocol, its graph. Shared.
pub struct Servable {
    id: ModelId,
    scoring: Scoring,
    runner: Arc<Runner>,
    tally: Tally,
    lease: Lease,
    drift: Option<Arc<Monitor>>,
}

/// Where requests run.
pub struct Lanes<'a> {
    pub pool: &'a InferencePool<Pending>,
    /// Of the caller's event loop: the express lane, and the way to the pool.
    pub express: &'a ExpressLane<Pending>,
    pub handover: &'a Handover<Pending>,
}

impl Servable {
    /// Puts a loaded graph behind its protocol. What it counts nobody reads.
    #[must_use]
    pub fn new(
        id: ModelId,
        scoring: Scoring,
        model: Arc<dyn LoadedModel>,
        options: RunnerOptions,
    ) -> Self {
        let lease = Lease::unread(id);
        Self::watched(lease, None, scoring, model, options)
    }

    /// Puts a loaded graph behind its protocol, as the version that the lease is for. `drift` looks
    /// at its rows.
    #[must_use]
    pub fn watched(
        lease: Lease,
        drift: Option<Arc<Monitor>>,
        scoring: Scoring,
        model: Arc<dyn LoadedModel>,
        options: RunnerOptions,
    ) -> Self {
        let id = lease.id().clone();
        let runner = Runner::new(id.to_string(), model, options);
        let tap = drift.as_ref().and_then(|drift| drift.tap()).cloned();
        let runner = Arc::new(runner.with_meter(Arc::clone(lease.meter())).with_tap(tap));
        Self { id, scoring, runner, tally: Tally::default(), lease, drift }
    }

    /// The model and its version.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// The protocol.
    pub(super) fn scoring(&self) -> &Scoring {
        &self.scoring
    }

    /// What runs the graph.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// What is counted of it for whoever scrapes.
    pub fn meter(&self) -> &Arc<Meter> {
        self.lease.meter()
    }

    /// How what it is asked and answers compares with its reference.
    pub fn drift(&self) -> Option<&Arc<Monitor>> {
        self.drift.as_ref()
    }

    /// How its requests ended, for who judges it.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Answers one request. May be dropped at any await: the work is then skipped if it has not
    /// begun. To be called on a tokio `LocalSet`.
    ///
    /// # Errors
    /// Whatever can become of a request, see [`ScoreError`].
    pub async fn score(
        self: &Arc<Self>,
        lanes: Lanes<'_>,
        request: Request,
    ) -> Result<Answer, ScoreError> {
        if self.runner.lane() == Lane::Queue {
            // Refused before it is decoded.
            lanes.pool.check(&self.runner)?;
        }
        let deadline = request.deadline;
        match self.send(&lanes, request)? {
            // Runs at the end of this turn: no timer is worth setting.
            Sent::Express(reply) => reply.await.unwrap_or(Err(ScoreError::Lost)),
            Sent::Queued(reply) => {
                let received = receive(reply, lanes.pool, deadline).await;
                if matches!(received, Err(ScoreError::Expired)) {
                    self.tally.note_expired();
                }
                received
            }
        }
    }

    /// Decodes a request, if that is quick, and hands it to the batcher.
    fn send(self: &Arc<Self>, lanes: &Lanes<'_>, request: Request) -> Result<Sent, ScoreError> {
        let since = request.since;
        let is_inline = request.body.len() <= DECODE_INLINE_BYTES_MAX && request.coding.is_none();
        let decode = || {
            let usual =
                || self.scoring.decode_usual(request.content_type.as_deref(), &request.body);
            is_inline.then(usual).flatten()
        };
        let Some(decoded) = contain(&self.id, decode)? else {
            let body = BodySize { bytes: request.body.len(), is_packed: request.coding.is_some() };
            let (pending, reply) = Pending::undecoded(self, request, is_inline);
            lanes.pool.push_undecoded(&self.runner, pending, body, since)?;
            return Ok(Sent::Queued(reply));
        };
        let end = Instant::now();
        let (pending, feeds, reply) = Pending::decoded(self, request, decoded, end - since)?;
        let job = Job::new(pending, feeds, end);
        if self.runner.is_express(&job) {
            lanes.express.push(&self.runner, job);
            return Ok(Sent::Express(reply));
        }
        lanes.handover.push(&self.runner, job);
        Ok(Sent::Queued(reply))
    }

    /// Sends the model's own example request through the whole path, so that the first client
    /// does not pay for lazily made state.
    ///
    /// # Errors
    /// When the example does not go through.
    pub fn warm_up(&self, example: &[u8]) -> Result<(), ScoreError> {
        let Decoded { feeds, layout, .. } =
            contain(&self.id, || self.scoring.decode(Some("application/json"), example))??;
        let outputs = self.runner.execute(feeds)?;
        contain(&self.id, || {
            self.scoring.encode(&OutputRows::all(&outputs), layout, &mut Vec::new())
        })??;
        Ok(())
    }

    /// Outputs to body, compressed if it is to be.
    pub(super) fn encode(
        &self,
        outputs: &OutputRows<'_>,
        layout: Layout,
        compress: Option<Compress>,
        share: &mut Share,
    ) -> Result<(Vec<u8>, Option<Coding>), ScoreError> {
        let draft = self.scoring.draft(outputs, layout)?;
        let bytes_max = draft.bytes_max();
        share.grow(bytes_max)?;
        let mut body = Vec::with_capacity(bytes_max);
        draft.write(&mut body);
        share.hold(body.len())?;
        if let Some(Compress { coding, bytes_min }) = compress
            && body.len() >= bytes_min
            && let Some(packed) = coding.encode(&body)
        {
            return Ok((packed, Some(coding)));
        }
        Ok((body, None))
    }
}

/// Where a request waits for its answer.
enum Sent {
    Express(Reply),
    Queued(Reply),
}

/// Waits for the answer of a request in the queue. May be dropped: the request then is not run if
/// its run has not begun.
async fn receive(
    reply: Reply,
    pool: &InferencePool<Pending>,
    deadline: Instant,
) -> Result<Answer, ScoreError> {
    let mut place = Place { pool, is_taken: true };
    let result = tokio::time::timeout_at(deadline.into(), reply).await;
    place.is_taken = result.is_err();
    match result {
        Ok(Ok(result)) => result,
        Ok(Err(_dropped)) => Err(ScoreError::Lost),
        Err(_elapsed) => Err(ScoreError::Expired),
    }
}

/// A request's place in a queue. Dropped before the answer has come, it tells the pool that a place
/// may be free.
struct Place<'a> {
    pool: &'a InferencePool<Pending>,
    is_taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            self.pool.note_departed();
        }
    }
}
