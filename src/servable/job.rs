//! One admitted request on its way through the queue.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::wire::invocations::Decoded;

use super::answer::{Compress, Form};
use super::contain::contain;
use super::{Answer, Request, ScoreError, Servable};

/// An admitted request. Gets exactly one reply, unless the client is gone.
pub(super) struct Job {
    pub(super) servable: Arc<Servable>,
    pub(super) work: Work,
    pub(super) compress: Option<Compress>,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Answer, ScoreError>>,
}

/// How far a request has come when it is queued.
pub(super) enum Work {
    /// Large, compressed or unusual: decoding it could block the event loop.
    Body(Box<Request>),
    Decoded(Decoded),
}

impl Job {
    /// Runs on an inference thread. Expired and abandoned requests are dropped before anything
    /// is computed for them.
    pub(super) fn run(self) {
        let Self { servable, work, compress, deadline, reply } = self;
        if reply.is_closed() {
            return;
        }
        let result = if Instant::now() >= deadline {
            Err(ScoreError::Expired)
        } else {
            contain(servable.id(), || {
                let decoded = match work {
                    Work::Body(request) => servable.decode(&request)?,
                    Work::Decoded(decoded) => decoded,
                };
                let form = Form::of(&decoded, compress);
                let outputs = servable.run(decoded.feeds)?;
                if reply.is_closed() {
                    return Err(ScoreError::Expired);
                }
                servable.encode(&outputs, form)
            })
        };
        // The receiver may be gone by now: a client that left takes no answer.
        let _ = reply.send(result);
    }
}
