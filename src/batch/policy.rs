//! When a batch starts and when a request is turned away: pure decisions about one queue.

use std::time::{Duration, Instant};

/// What a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Rows in one batch, at least 1. A request with more is split into parts.
    pub rows_max: usize,
    /// How long the first request of a batch that is not full waits for others.
    pub delay_max: Duration,
}

/// What of a queue decides about its next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueView {
    /// Rows that wait, at least 1.
    pub(super) rows: usize,
    /// Since when the first request waits.
    pub(super) since: Instant,
    /// When a run has to start, so that no request in it expires before it ends.
    pub(super) latest: Instant,
}

/// What an idle thread does about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Run what there is, up to the limit.
    Take,
    /// Look again then, or when something new has come.
    WaitUntil(Instant),
}

/// A full batch runs at once; one that is not full waits for the delay, if there is one, but
/// never until it is too late for a request in it.
pub(super) fn decide(view: &QueueView, limits: &BatchLimits, now: Instant) -> Decision {
    let until = (view.since + limits.delay_max).min(view.latest);
    if view.rows >= limits.rows_max || now >= until {
        Decision::Take
    } else {
        Decision::WaitUntil(until)
    }
}

/// How much may wait for one model version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Requests.
    pub requests_max: usize,
    /// Rows. A single request with more is admitted to an empty queue: its body is bounded.
    pub rows_max: usize,
    /// Time that a new request is expected to wait.
    pub wait_max: Duration,
}

/// What waits in a queue already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) requests: usize,
    pub(super) rows: usize,
    /// Until a new request's turn, by what the work before it is expected to take.
    pub(super) wait: Duration,
}

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("{0} requests wait, the most that may")]
    Requests(usize),
    #[error("{0} rows wait, the most that may")]
    Rows(usize),
    #[error("requests wait for {} ms, the longest they may", .0.as_millis())]
    Wait(Duration),
    /// The queue takes nothing any more.
    #[error("the queue is closed")]
    Closed,
}

impl Backlog {
    /// Whether a request of `rows` rows may join.
    ///
    /// # Errors
    /// The bound that it would break.
    pub(super) fn check(&self, rows: usize, limits: &QueueLimits) -> Result<(), Rejected> {
        if self.requests >= limits.requests_max {
            return Err(Rejected::Requests(limits.requests_max));
        }
        self.check_rows(rows, limits)?;
        if self.requests > 0 && self.wait > limits.wait_max {
            return Err(Rejected::Wait(limits.wait_max));
        }
        Ok(())
    }

    /// Whether a request that has waited as a body, and turns out to have `rows` rows, may stay.
    ///
    /// # Errors
    /// `Rows`.
    pub(super) fn check_rows(&self, rows: usize, limits: &QueueLimits) -> Result<(), Rejected> {
        if self.rows > 0 && self.rows.saturating_add(rows) > limits.rows_max {
            return Err(Rejected::Rows(limits.rows_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_batch_starts_when_it_is_full_or_has_waited_long_enough() {
        let start = Instant::now();
        let at = |ms: u32| start + ms * MS;
        // rows that wait, delay in ms, latest start, now -> decision
        for (rows, delay, latest, now, want) in [
            (1, 0, 100, 0, Decision::Take),
            (8, 5, 100, 0, Decision::Take),
            (9, 5, 100, 0, Decision::Take),
            (7, 5, 100, 0, Decision::WaitUntil(at(5))),
            (7, 5, 100, 4, Decision::WaitUntil(at(5))),
            (7, 5, 100, 5, Decision::Take),
            (7, 5, 3, 0, Decision::WaitUntil(at(3))),
            (7, 5, 3, 3, Decision::Take),
        ] {
            let view = QueueView { rows, since: start, latest: at(latest) };
            let limits = BatchLimits { rows_max: 8, delay_max: delay * MS };
            assert_eq!(decide(&view, &limits, at(now)), want, "{rows} rows at {now} ms");
        }
    }

    #[test]
    fn a_queue_is_bounded_in_requests_rows_and_time() {
        let limits = QueueLimits { requests_max: 3, rows_max: 10, wait_max: 5 * MS };
        // requests, rows and milliseconds that wait, rows of the new one -> verdict
        for (requests, rows, wait, new, want) in [
            (0, 0, 0, 1, Ok(())),
            (2, 9, 5, 1, Ok(())),
            (3, 3, 0, 1, Err(Rejected::Requests(3))),
            (2, 9, 0, 2, Err(Rejected::Rows(10))),
            (0, 0, 0, 11, Ok(())),
            (1, 1, 6, 1, Err(Rejected::Wait(5 * MS))),
            (0, 0, 6, 1, Ok(())),
            (1, usize::MAX, 0, 1, Err(Rejected::Rows(10))),
        ] {
            let backlog = Backlog { requests, rows, wait: wait * MS };
            assert_eq!(backlog.check(new, &limits), want, "{backlog:?}");
        }
    }
}
