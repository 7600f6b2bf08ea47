//! Reading request bodies, with three bounds: bytes of one body, bytes of all of them, time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::servable::ScoreError;

use super::error::Failure;

/// Memory that request bodies may hold at once, in bytes, shared by all workers.
pub(super) struct BodyBudget {
    free: AtomicUsize,
}

/// A body and the memory it holds in the budget, given back when dropped.
struct Body {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Part of a budget.
struct Share {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl BodyBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { free: AtomicUsize::new(bytes) }
    }

    /// An empty share.
    fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Share {
    /// Takes `bytes` more; `false` if the budget does not have them.
    fn grow(&mut self, bytes: usize) -> bool {
        let free = &self.budget.free;
        let taken = free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes))
            .is_ok();
        self.bytes += if taken { bytes } else { 0 };
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

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

/// Reads a whole body of at most `bytes_max` bytes. The bytes hold their part of the budget for
/// as long as they live, in the queue of a client that has left as well.
///
/// # Errors
/// `BodyTooLarge` before anything is read when the client announces more, else as soon as more
/// has come; `BodiesTooLarge` when the budget is spent; `Expired` when the deadline passes first;
/// `BodyBroken` when the body ends early or is framed wrongly.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    bytes_max: usize,
    budget: &Arc<BodyBudget>,
    deadline: Instant,
) -> Result<Bytes, Failure> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0);
    if announced > bytes_max as u64 {
        return Err(Failure::BodyTooLarge { bytes_max });
    }
    let collect = collect(payload, announced as usize, bytes_max, budget.share());
    tokio::time::timeout_at(deadline.into(), collect)
        .await
        .map_err(|_elapsed| ScoreError::Expired)?
}

async fn collect(
    payload: &mut Payload,
    announced: usize,
    bytes_max: usize,
    mut share: Share,
) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::BodyBroken)?;
        let read = first.len().max(rest.len());
        if read + chunk.len() > bytes_max {
            return Err(Failure::BodyTooLarge { bytes_max });
        }
        if !share.grow(chunk.len()) {
            return Err(Failure::BodiesTooLarge);
        }
        // Most bodies come in one piece, which is kept as it is.
        if read == 0 {
            first = chunk;
        } else {
            if rest.is_empty() {
                // What a client announces is not yet sent: memory follows what has come.
                rest.reserve(announced.min(2 * (read + chunk.len())));
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Bytes::from_owner(Body { bytes, _share: share }))
}
