//! Reading request bodies, with three bounds: bytes of one body, bytes of all requests, time.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use actix_http::Payload;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

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

/// Reads a whole body of at most `bytes_max` bytes into the request's share of the memory.
///
/// # Errors
/// `BodyTooLarge` before anything is read when the client announces more, else as soon as more
/// has come; `Exhausted` when the memory for requests is taken; `Expired` when the deadline passes
/// first; `BodyBroken` when the body ends early or is framed wrongly.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    bytes_max: usize,
    share: &mut Share,
    pool: &InferencePool<Pending>,
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
    let mut collect = pin!(collect(payload, announced as usize, bytes_max, share, pool));
    // Most bodies arrive with their heads, and are there at the second look: to set a timer for
    // them would cost as much as to read them.
    let mut looks = 0;
    let arrived = poll_fn(|context| {
        looks += 1;
        match collect.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if looks > 1 => Poll::Ready(None),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    });
    if let Some(result) = arrived.await {
        return result;
    }
    tokio::time::timeout_at(deadline.into(), collect)
        .await
        .map_err(|_elapsed| ScoreError::Expired)?
}

async fn collect(
    payload: &mut Payload,
    announced: usize,
    bytes_max: usize,
    share: &mut Share,
    pool: &InferencePool<Pending>,
) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::BodyBroken)?;
        let read = first.len().max(rest.len());
        if read + chunk.len() > bytes_max {
            return Err(Failure::BodyTooLarge { bytes_max });
        }
        pool.or_sweep(|| share.grow(chunk.len())).map_err(ScoreError::Exhausted)?;
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
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
