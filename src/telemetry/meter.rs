//! What is counted of one model version: requests by how they ended, where their time went,
//! batches.
//!
//! Found once, when a request has found its version; from there on counting takes no look-up, no
//! lock and no memory.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::exemplar::{Exemplar, Exemplars, TraceId};
use super::histogram::{Bounds, Histogram, Totals};
use super::slots::{Count, PerThread};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// It is the request's own fault.
    Invalid,
    /// There is no such model.
    Unknown,
    /// No version of the model can serve, or the process is about to end.
    Unavailable,
    /// Refused for want of room.
    Rejected,
    /// The deadline passed.
    Expired,
    /// The client left before its answer.
    Abandoned,
    /// The model's fault, or ours.
    Failed,
}

/// Where a request's time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Decode,
    Queue,
    Assemble,
    Execute,
    Encode,
}

/// Why a request was refused at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    QueueFull,
    /// It would have to wait for too long.
    Deadline,
    Draining,
    BodyTooLarge,
    Memory,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Invalid,
        Self::Unknown,
        Self::Unavailable,
        Self::Rejected,
        Self::Expired,
        Self::Abandoned,
        Self::Failed,
    ];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        }
    }
}

impl Stage {
    pub const ALL: [Self; 5] =
        [Self::Decode, Self::Queue, Self::Assemble, Self::Execute, Self::Encode];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Queue => "queue",
            Self::Assemble => "assemble",
            Self::Execute => "execute",
            Self::Encode => "encode",
        }
    }
}

impl Rejection {
    pub const ALL: [Self; 5] =
        [Self::QueueFull, Self::Deadline, Self::Draining, Self::BodyTooLarge, Self::Memory];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Draining => "draining",
            Self::BodyTooLarge => "body_too_large",
            Self::Memory => "memory",
        }
    }
}

/// Counts of one version, or of what reached none.
pub struct Meter {
    cells: PerThread<Cells>,
    rejected: Arc<Rejected>,
    times: Bounds,
    rows: Bounds,
    exemplars: Exemplars,
}

/// Refusals of one model, whatever its version. Rare, and so shared.
#[derive(Debug, Default)]
pub struct Rejected([AtomicU64; Rejection::ALL.len()]);

/// One thread's counts.
struct Cells {
    begun: Count,
    requests: [Histogram; Outcome::ALL.len()],
    stages: [Histogram; Stage::ALL.len()],
    batches: Histogram,
}

impl Cells {
    fn new(times: &Bounds, rows: &Bounds) -> Self {
        Self {
            begun: Count::default(),
            requests: std::array::from_fn(|_| Histogram::new(times.clone())),
            stages: std::array::from_fn(|_| Histogram::new(times.clone())),
            batches: Histogram::new(rows.clone()),
        }
    }
}

impl Meter {
    /// Nothing counted yet; `times` and `rows` are the buckets of durations and of batches.
    #[must_use]
    pub fn new(times: Bounds, rows: Bounds, rejected: Arc<Rejected>) -> Self {
        let own = (times.clone(), rows.clone());
        let cells = PerThread::new(move || Cells::new(&own.0, &own.1));
        Self { cells, rejected, times, rows, exemplars: Exemplars::default() }
    }

    /// A request begins. Until it ends it is in flight.
    pub fn begin(&self) -> Passage<&Self> {
        let (cells, writer) = self.cells.own();
        cells.begun.add(1, writer);
        let outcome = Some(Outcome::Abandoned);
        Passage { meter: self, since: Instant::now(), outcome, trace: None }
    }

    /// A request that is refused for want of room.
    pub fn reject(&self, why: Rejection) {
        self.rejected.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Where the time of a computed request went that is not shared with others of its batch.
    pub fn note_request(&self, decode: Duration, queue: Duration, encode: Duration) {
        let (cells, writer) = self.cells.own();
        cells.stages[Stage::Decode as usize].add_time(decode, writer);
        cells.stages[Stage::Queue as usize].add_time(queue, writer);
        cells.stages[Stage::Encode as usize].add_time(encode, writer);
    }

    /// A run of the graph that went well.
    pub fn note_batch(&self, rows: usize, assemble: Duration, execute: Duration) {
        let (cells, writer) = self.cells.own();
        cells.batches.add(rows as u64, writer);
        cells.stages[Stage::Assemble as usize].add_time(assemble, writer);
        cells.stages[Stage::Execute as usize].add_time(execute, writer);
    }

    fn end(&self, outcome: Outcome, took: Duration, trace: Option<TraceId>) {
        let (cells, writer) = self.cells.own();
        cells.requests[outcome as usize].add_time(took, writer);
        if let Some(trace) = trace {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            let bucket = [self.times.bucket(nanos), self.times.buckets()];
            self.exemplars.keep(outcome, bucket, trace, took);
        }
    }

    /// A request in each bucket of [`took`](Self::took) that had one with a trace.
    pub(super) fn exemplars(&self, outcome: Outcome) -> Vec<Option<Exemplar>> {
        self.exemplars.of(outcome)
    }

    /// Requests that have ended so.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.cells.all().map(|cells| cells.requests[outcome as usize].count()).sum()
    }

    /// How long they took, in nanoseconds.
    #[must_use]
    pub fn took(&self, outcome: Outcome) -> Totals {
        Totals::of(&self.times, self.cells.all().map(|cells| &cells.requests[outcome as usize]))
    }

    /// What a stage took, in nanoseconds.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Totals {
        Totals::of(&self.times, self.cells.all().map(|cells| &cells.stages[stage as usize]))
    }

    /// Rows of the runs.
    #[must_use]
    pub fn batches(&self) -> Totals {
        Totals::of(&self.rows, self.cells.all().map(|cells| &cells.batches))
    }

    /// Requests that have begun and not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        // Ends first: what begins and ends between the two looks is not missed as an end.
        let ended: u64 = Outcome::ALL.iter().map(|outcome| self.ended(*outcome)).sum();
        let begun: u64 = self.cells.all().map(|cells| cells.begun.get()).sum();
        begun.saturating_sub(ended)
    }
}

impl Rejected {
    /// How many were refused for this reason.
    #[must_use]
    pub fn count(&self, why: Rejection) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }
}

/// A request from its admission to its end. One that is dropped without an end was abandoned.
#[must_use]
pub struct Passage<M: Borrow<Meter>> {
    meter: M,
    since: Instant,
    /// Counted when dropped, if there is one.
    outcome: Option<Outcome>,
    trace: Option<TraceId>,
}

impl<M: Borrow<Meter>> Passage<M> {
    /// When it was admitted.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The same passage of a request that belongs to this trace.
    pub fn traced(mut self, trace: Option<TraceId>) -> Self {
        self.trace = trace;
        self
    }

    /// Ends it now.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// The same passage with a meter that it owns, to end as `outcome` when it is dropped.
    pub fn into_owned<N: Borrow<Meter>>(mut self, meter: N, outcome: Outcome) -> Passage<N> {
        self.outcome = None;
        Passage { meter, since: self.since, outcome: Some(outcome), trace: self.trace }
    }
}

impl<M: Borrow<Meter>> Drop for Passage<M> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.meter.borrow().end(outcome, self.since.elapsed(), self.trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(Bounds::of_seconds(&[0.001, 60.0]), Bounds::new(&[1, 2]), Arc::default())
    }

    #[test]
    fn a_request_is_counted_once_however_it_ends() {
        let meter = Arc::new(meter());
        meter.begin().end(Outcome::Ok);
        drop(meter.begin());
        let passage = meter.begin().into_owned(Arc::clone(&meter), Outcome::Ok);
        assert_eq!((meter.ended(Outcome::Ok), meter.in_flight()), (1, 1));
        drop(passage);
        assert_eq!(meter.ended(Outcome::Ok), 2);
        assert_eq!(meter.ended(Outcome::Abandoned), 1);
        assert_eq!(meter.in_flight(), 0);
        let took = meter.took(Outcome::Ok);
        assert_eq!(took.count, 2);
    }

    #[test]
    fn batches_and_requests_have_their_stages() {
        let meter = meter();
        let ms = Duration::from_millis;
        meter.note_batch(3, ms(1), ms(2));
        for _ in 0..3 {
            meter.note_request(ms(4), ms(5), ms(6));
        }
        let batches = meter.batches();
        assert_eq!((batches.count, batches.sum), (1, 3));
        let sums = Stage::ALL.map(|stage| meter.stage(stage));
        assert_eq!(sums.each_ref().map(|totals| totals.count), [3, 3, 1, 1, 3]);
        let millis = sums.map(|totals| totals.sum / 1_000_000);
        assert_eq!(millis, [12, 15, 1, 2, 18]);
    }

    #[test]
    fn names_of_labels_are_in_the_order_of_their_numbers() {
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at, "{}", outcome.name());
        }
        for (at, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, at, "{}", stage.name());
        }
        for (at, why) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at, "{}", why.name());
        }
    }
}
