//! Reading request bodies, with three bounds: bytes of one body, bytes of all of them, time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

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
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) share: Share,
}

/// Part of a budget.
pub(super) struct Share {
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

/// Reads a whole body of at most `bytes_max` bytes.
///
/// # Errors
/// `BodyTooLarge` before anything is read when the client announces more, else as soon as more
/// has come; `BodiesTooLarge` when the budget is spent; `Expired` when the deadline passes first;
/// `BodyBroken` when the body ends early or is framed wrongly.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    bytes_max: usize,
    budget: &Arc<BodyBudget>,
    deadline: Instant,
) -> Result<Body, Failure> {
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
    mut payload: Payload,
    announced: usize,
    bytes_max: usize,
    mut share: Share,
) -> Result<Body, Failure> {
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
    Ok(Body { bytes, share })
}
