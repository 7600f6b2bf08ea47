//! One admitted request on its way through the batcher.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::batch::{self, Computed, Stages, contain};
use crate::tensor::Tensor;
use crate::wire::coding::Coding;
use crate::wire::invocations::{Decoded, Layout, Scoring};

use super::answer::Timing;
use super::{Answer, Compress, Request, ScoreError, Servable, Share};

/// What an event loop waits for.
pub(super) type Reply = oneshot::Receiver<Result<Answer, ScoreError>>;

/// An admitted request. Gets exactly one reply, unless the client is gone.
pub struct Pending {
    servable: Arc<Servable>,
    /// Until it is decoded. Boxed: few requests wait so, and every request is moved a few times.
    body: Option<Box<Body>>,
    layout: Layout,
    decode_time: Duration,
    /// Whether it was decoded while it waited: then its wait holds the time for that.
    is_decoded_late: bool,
    compress: Option<Compress>,
    deadline: Instant,
    share: Share,
    reply: oneshot::Sender<Result<Answer, ScoreError>>,
}

/// A body that the event loop could not, or should not, decode.
struct Body {
    bytes: Bytes,
    content_type: Option<Cow<'static, str>>,
    coding: Option<Coding>,
    bytes_max: usize,
    /// Whether the decoder of usual bodies has given it up already.
    is_unusual: bool,
}

impl Pending {
    /// A request that is decoded, and its tensors.
    pub(super) fn decoded(
        servable: &Arc<Servable>,
        request: Request,
        decoded: Decoded,
        decode_time: Duration,
    ) -> Result<(Self, Vec<Tensor>, Reply), ScoreError> {
        // The body's memory is free from here on; the wait may be long.
        let Request { deadline, compress, share, .. } = request;
        let (mut pending, reply) = Self::new(servable, None, deadline, compress, share);
        pending.decode_time = decode_time;
        let feeds = pending.keep(decoded)?;
        Ok((pending, feeds, reply))
    }

    /// A request whose body is decoded when its turn comes. `is_unusual`: it is no usual body, as
    /// was tried.
    pub(super) fn undecoded(
        servable: &Arc<Servable>,
        request: Request,
        is_unusual: bool,
    ) -> (Self, Reply) {
        let Request { content_type, body: bytes, coding, deadline, compress, share, .. } = request;
        let bytes_max = request.body_bytes_max;
        let body = Box::new(Body { bytes, content_type, coding, bytes_max, is_unusual });
        Self::new(servable, Some(body), deadline, compress, share)
    }

    fn new(
        servable: &Arc<Servable>,
        body: Option<Box<Body>>,
        deadline: Instant,
        compress: Option<Compress>,
        share: Share,
    ) -> (Self, Reply) {
        let (reply, answer) = oneshot::channel();
        let pending = Self {
            servable: Arc::clone(servable),
            body,
            layout: Layout::Records,
            decode_time: Duration::ZERO,
            is_decoded_late: false,
            compress,
            deadline,
            share,
            reply,
        };
        (pending, answer)
    }

    /// Takes note of what the body was decoded to.
    fn keep(&mut self, decoded: Decoded) -> Result<Vec<Tensor>, ScoreError> {
        let Decoded { feeds, layout, .. } = decoded;
        self.layout = layout;
        self.share.hold(feeds.iter().map(Tensor::bytes).sum())?;
        Ok(feeds)
    }
}

impl Body {
    /// The memory that each step may take is reserved before the step.
    fn decode(&self, scoring: &Scoring, share: &mut Share) -> Result<Decoded, ScoreError> {
        let content_type = self.content_type.as_deref();
        let unpacked;
        let plain: &[u8] = match self.coding {
            None => &self.bytes,
            Some(coding) => {
                let packed = share.bytes();
                share.grow(self.bytes_max)?;
                unpacked = coding.decode(&self.bytes, self.bytes_max)?;
                share.hold(packed + unpacked.len())?;
                &unpacked
            }
        };
        let held = share.bytes();
        if !self.is_unusual {
            share.hold(held.saturating_add(scoring.usual_bytes_max(plain.len())))?;
            if let Some(decoded) = scoring.decode_usual(content_type, plain) {
                return Ok(decoded);
            }
        }
        share.hold(held.saturating_add(scoring.exact_bytes_max(content_type, plain)))?;
        Ok(scoring.decode_exactly(content_type, plain)?)
    }
}

impl batch::Request for Pending {
    type Error = ScoreError;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn decode(&mut self) -> Result<Vec<Tensor>, ScoreError> {
        let start = Instant::now();
        let Some(body) = self.body.take() else { return Err(ScoreError::Closed) };
        let decoded = body.decode(self.servable.scoring(), &mut self.share)?;
        drop(body);
        self.decode_time = start.elapsed();
        self.is_decoded_late = true;
        self.keep(decoded)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), ScoreError> {
        Ok(self.share.grow(bytes)?)
    }

    fn answer(self, result: Result<Computed<'_>, ScoreError>) {
        let Self { servable, layout, decode_time, is_decoded_late, compress, .. } = self;
        let Self { mut share, reply, .. } = self;
        let waited = |mut stages: Stages| {
            if is_decoded_late {
                stages.queue = stages.queue.saturating_sub(decode_time);
            }
            stages
        };
        let answer = match result {
            Err(error) => {
                servable.tally().note_not_computed(&error);
                // Free when the client knows, who may try again at once.
                drop(share);
                Err(error)
            }
            // A client that left takes no answer, but that it took so long is to be known.
            Ok(Computed { stages, .. }) if reply.is_closed() => {
                let stages = waited(stages);
                let timing = Timing { decode: decode_time, stages, encode: Duration::ZERO };
                servable.tally().note_answered(&timing);
                return;
            }
            Ok(Computed { rows, stages, lap }) => {
                let encode = || servable.encode(&rows, layout, compress, &mut share);
                let encoded = contain(servable.id(), encode).unwrap_or_else(|e| Err(e.into()));
                let stages = waited(stages);
                let timing = Timing { decode: decode_time, stages, encode: lap.end() };
                let Timing { decode, stages, encode } = timing;
                servable.meter().note_request(decode, stages.queue, encode);
                match &encoded {
                    Ok(_) => servable.tally().note_answered(&timing),
                    Err(error) => servable.tally().note_not_written(error),
                }
                encoded.map(|(body, coding)| Answer { body, coding, timing, share })
            }
        };
        // The receiver may be gone by now.
        let _ = reply.send(answer);
    }
}
