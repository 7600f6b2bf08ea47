//! What waits in a queue.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::backend::RunError;
use crate::model::OutputRows;
use crate::tensor::Tensor;

use super::Rejected;

/// A request as the batcher sees it: somebody who waits for rows.
pub trait Request: Send + 'static {
    /// How a request can fail beyond what the batcher knows: in the protocol it came by.
    type Error: From<Failure>;

    /// When an answer is worth nothing any more.
    fn deadline(&self) -> Instant;

    /// Whether nobody waits any more.
    fn is_abandoned(&self) -> bool;

    /// Body to tensors, one for each of the graph's inputs. Called once at most, on an inference
    /// thread, for requests that were pushed without tensors.
    ///
    /// # Errors
    /// When the body breaks the protocol.
    fn decode(&mut self) -> Result<Vec<Tensor>, Self::Error>;

    /// Counts memory that the request's rows of the outputs will take, before they are computed.
    ///
    /// # Errors
    /// When the memory for requests is taken.
    fn reserve(&mut self, bytes: usize) -> Result<(), Self::Error>;

    /// Takes what became of the request. Called once, unless the request was abandoned.
    fn answer(self, result: Result<Computed<'_>, Self::Error>);
}

/// What a graph computed for one request.
#[derive(Debug)]
pub struct Computed<'a> {
    pub rows: OutputRows<'a>,
    pub stages: Stages,
    pub lap: &'a Lap,
}

/// Times what is done one after the other: the clock is read once between two.
#[derive(Debug)]
pub struct Lap(Cell<Instant>);

impl Lap {
    /// The first lap begins `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self(Cell::new(now))
    }

    /// Ends a lap, which took so long, and begins the next.
    pub fn end(&self) -> Duration {
        let now = Instant::now();
        now - self.0.replace(now)
    }
}

/// Where a request's time went before its answer was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// From the push until a thread took it.
    pub queue: Duration,
    /// Laying the rows of its batch end to end.
    pub assemble: Duration,
    /// The run of its batch; for a request of several parts, the sum of their runs.
    pub execute: Duration,
    /// Rows of that run, its own and those of others; for a request of several parts, its own.
    pub rows: usize,
}

/// Why a request was not computed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The runtime refused the request's tensors.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The deadline passed while it waited.
    #[error("the deadline passed")]
    Expired,
    /// Decoded, it has more rows than the queue has room for.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Something panicked; the log has the details under this id.
    #[error("internal error {id}")]
    Panicked { id: u64 },
}

/// A request with its tensors.
pub struct Job<R> {
    pub request: R,
    /// One tensor for each of the graph's inputs, in the graph's order.
    pub feeds: Vec<Tensor>,
    /// Rows that all feeds share; `None` where they do not agree, so that it runs alone.
    pub(super) rows: Option<usize>,
    weight: usize,
    pub(super) since: Instant,
}

impl<R: Request> Job<R> {
    /// A job that begins to wait `now`.
    pub fn new(request: R, feeds: Vec<Tensor>, now: Instant) -> Self {
        let rows = shared_rows(&feeds);
        let weight = rows.unwrap_or_else(|| most_rows(&feeds));
        Self { request, feeds, rows, weight, since: now }
    }

    /// The same job, to be run as a whole whatever its rows.
    pub(super) fn whole(request: R, feeds: Vec<Tensor>, since: Instant) -> Self {
        Self { rows: None, ..Self::new(request, feeds, since) }
    }

    /// The rows that its run costs, at least 1.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Elements of all feeds.
    pub(super) fn elements(&self) -> usize {
        self.feeds.iter().map(Tensor::len).sum()
    }

    /// Whether both can run in one batch.
    pub(super) fn joins(&self, other: &Self) -> bool {
        self.rows.is_some()
            && other.rows.is_some()
            && self.feeds.len() == other.feeds.len()
            && self.feeds.iter().zip(&other.feeds).all(|(own, others)| own.stacks_with(others))
    }

    /// The job, unless it is not worth running any more: then it is dropped if its client has
    /// gone, and answered if it has expired.
    pub(super) fn unless_over(self, now: Instant) -> Option<Self> {
        if self.request.is_abandoned() {
            return None;
        }
        if now >= self.request.deadline() {
            self.request.answer(Err(Failure::Expired.into()));
            return None;
        }
        Some(self)
    }
}

/// The number of rows that all feeds agree on, if they have any.
fn shared_rows(feeds: &[Tensor]) -> Option<usize> {
    let rows = feeds.first()?.rows()?;
    (rows > 0 && feeds.iter().all(|feed| feed.rows() == Some(rows))).then_some(rows)
}

/// The most rows that any feed has, at least 1.
fn most_rows(feeds: &[Tensor]) -> usize {
    feeds.iter().filter_map(Tensor::rows).max().unwrap_or(1).max(1)
}
