//! Reading request bodies, with three bounds: bytes of one body, bytes of all requests, time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_http::Payload;
use actix_http::error::PayloadError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::{Bytes, BytesMut};
use futures_util::Stream as _;

use crate::batch::InferencePool;
use crate::servable::{Pending, ScoreError, Share};

use super::error::Failure;

/// The body of an answer that may be sent before the request's own body has ended. While the
/// payload lives, actix closes the connection after such an answer; a chunked one that is dropped
/// it would read to its end, which may never come and has no deadline.
struct BeforeTheEnd {
    answer: BoxBody,
    _payload: Payload,
}

/// Ties what is left of a request to its answer.
pub(super) fn with_rest(answer: BoxBody, payload: Payload) -> BoxBody {
    BoxBody::new(BeforeTheEnd { answer, _payload: payload })
}

impl MessageBody for BeforeTheEnd {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// A body on its way in.
pub(super) struct Incoming {
    pieces: Pieces,
    announced: usize,
    bytes_max: usize,
}

/// What has come of a body. Most come in one piece, which is kept as it is.
enum Pieces {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Incoming {
    /// A body of at most `bytes_max` bytes, of which the client announces `announced`.
    ///
    /// # Errors
    /// `BodyTooLarge` when it announces more.
    pub(super) fn new(announced: u64, bytes_max: usize) -> Result<Self, Failure> {
        if announced > bytes_max as u64 {
            return Err(Failure::BodyTooLarge { bytes_max });
        }
        Ok(Self { pieces: Pieces::None, announced: announced as usize, bytes_max })
    }

    /// Reads the whole body into the request's share of the memory. Also returns when it was
    /// there: `now`, unless it had to be waited for.
    ///
    /// # Errors
    /// `BodyTooLarge` as soon as more has come than may; `Exhausted` when the memory for requests
    /// is taken; `Expired` when the deadline passes first; `BodyBroken` when the body ends early
    /// or is framed wrongly.
    pub(super) async fn read(
        mut self,
        payload: &mut Payload,
        share: &mut Share,
        pool: &InferencePool<Pending>,
        now: Instant,
        deadline: Instant,
    ) -> Result<(Bytes, Instant), Failure> {
        // Most bodies arrive with their heads, and are there at the second look: to set a timer
        // for them would cost as much as to read them. The first look would be in vain.
        let mut looks = 0;
        let arrived = poll_fn(|context| {
            looks += 1;
            if looks == 1 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(self.poll(payload, share, pool, context))
        });
        if let Poll::Ready(result) = arrived.await {
            result?;
            return Ok((self.whole(), now));
        }
        let rest = poll_fn(|context| self.poll(payload, share, pool, context));
        let timely = tokio::time::timeout_at(deadline.into(), rest).await;
        timely.map_err(|_elapsed| ScoreError::Expired)??;
        Ok((self.whole(), Instant::now()))
    }

    /// Takes what has come; ready at the end of the body.
    fn poll(
        &mut self,
        payload: &mut Payload,
        share: &mut Share,
        pool: &InferencePool<Pending>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        while let Some(chunk) = ready!(Pin::new(&mut *payload).poll_next(context)) {
            let chunk = chunk.map_err(|error| Failure::BodyBroken {
                is_cut: matches!(error, PayloadError::Incomplete(_)),
            })?;
            let bytes = self.len() + chunk.len();
            if bytes > self.bytes_max {
                return Poll::Ready(Err(Failure::BodyTooLarge { bytes_max: self.bytes_max }));
            }
            pool.or_sweep(|| share.grow(chunk.len())).map_err(ScoreError::Exhausted)?;
            match &mut self.pieces {
                Pieces::None => self.pieces = Pieces::One(chunk),
                Pieces::One(first) => {
                    // What a client announces is not yet sent: memory follows what has come.
                    let mut all = BytesMut::with_capacity(self.announced.min(2 * bytes).max(bytes));
                    all.extend_from_slice(first);
                    all.extend_from_slice(&chunk);
                    self.pieces = Pieces::Many(all);
                }
                Pieces::Many(all) => all.extend_from_slice(&chunk),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn len(&self) -> usize {
        match &self.pieces {
            Pieces::None => 0,
            Pieces::One(first) => first.len(),
            Pieces::Many(all) => all.len(),
        }
    }

    fn whole(self) -> Bytes {
        match self.pieces {
            Pieces::None => Bytes::new(),
            Pieces::One(first) => first,
            Pieces::Many(all) => all.freeze(),
        }
    }
}
