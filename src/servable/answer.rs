//! What goes into a servable and what comes out of it.

use std::time::Instant;

use bytes::Bytes;

use crate::backend::RunError;
use crate::wire::coding::{Coding, CodingError};
use crate::wire::invocations::{Decoded, Layout, WireError};

/// One request as it came over the wire, its body read but not looked at.
#[derive(Clone, Debug)]
pub struct Request {
    pub content_type: Option<String>,
    pub body: Bytes,
    /// How the body is compressed.
    pub coding: Option<Coding>,
    /// Bound on the decompressed body.
    pub body_bytes_max: usize,
    /// When the reply is worth nothing any more.
    pub deadline: Instant,
    pub compress: Option<Compress>,
}

/// How answers of at least `bytes_min` bytes are to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compress {
    pub coding: Coding,
    pub bytes_min: usize,
}

/// How an answer is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) layout: Layout,
    pub(super) compress: Option<Compress>,
}

impl Form {
    /// The form that a request asks for.
    pub(super) fn of(decoded: &Decoded, compress: Option<Compress>) -> Self {
        Self { layout: decoded.layout, compress }
    }
}

/// A computed answer, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub body: Vec<u8>,
    pub coding: Option<Coding>,
}

/// How a request ended, if not with an answer.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The request, or the answer in the form it asks for, breaks the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The compressed body is damaged or too large.
    #[error(transparent)]
    Coding(#[from] CodingError),
    /// The runtime refused the request's data.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The queue is full.
    #[error("the queue of {queue_requests_max} requests is full")]
    Rejected { queue_requests_max: usize },
    /// The process is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// The deadline passed, waiting or running.
    #[error("the deadline passed")]
    Expired,
    /// Something of ours panicked; the log has the details under this id.
    #[error("internal error {id}")]
    Panicked { id: u64 },
}
