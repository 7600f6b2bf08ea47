//! What goes into a servable and what comes out of it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::backend::RunError;
use crate::batch::{Failure, Rejected, Stages};
use crate::wire::coding::{Coding, CodingError};
use crate::wire::invocations::WireError;

use super::{Exhausted, Share};

/// One request as it came over the wire, its body read but not looked at.
pub struct Request {
    pub content_type: Option<Cow<'static, str>>,
    pub body: Bytes,
    /// How the body is compressed.
    pub coding: Option<Coding>,
    /// Bound on the decompressed body.
    pub body_bytes_max: usize,
    /// When the body was there: its decoding counts from here.
    pub since: Instant,
    /// When the reply is worth nothing any more.
    pub deadline: Instant,
    pub compress: Option<Compress>,
    /// What the request holds of the memory for all; its body is counted in.
    pub share: Share,
}

/// How answers of at least `bytes_min` bytes are to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compress {
    pub coding: Coding,
    pub bytes_min: usize,
}

/// A computed answer, ready to be sent.
pub struct Answer {
    pub body: Vec<u8>,
    pub coding: Option<Coding>,
    pub timing: Timing,
    /// To be kept until the body is sent.
    pub share: Share,
}

/// Where the time of an answered request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Body to tensors.
    pub decode: Duration,
    pub stages: Stages,
    /// Outputs to body, compressed.
    pub encode: Duration,
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
    /// The model's queue is full.
    #[error(transparent)]
    Rejected(Rejected),
    /// All requests together hold as much as they may.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The process is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// The request was lost to a panic beyond its own; the log has the details.
    #[error("the request was lost")]
    Lost,
    /// The deadline passed, waiting or running.
    #[error("the deadline passed")]
    Expired,
    /// Something of ours panicked; the log has the details under this id.
    #[error("internal error {id}")]
    Panicked { id: u64 },
}

impl From<Failure> for ScoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Run(error) => Self::Run(error),
            Failure::Expired => Self::Expired,
            Failure::Rejected(rejected) => rejected.into(),
            Failure::Panicked { id } => Self::Panicked { id },
        }
    }
}

impl From<Rejected> for ScoreError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Closed => Self::Closed,
            full => Self::Rejected(full),
        }
    }
}
