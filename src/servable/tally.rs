//! How a version's requests end, counted where each is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::backend::RunError;
use crate::telemetry::{Latencies, Observed};

use super::{ScoreError, Timing};

/// Counts of one version. An answer costs one addition; who reads sees each number as it is, though
/// not all of one moment.
pub struct Tally {
    failed: AtomicU64,
    /// By class of rows.
    took: Box<[Buckets]>,
}

type Buckets = [AtomicU64; Latencies::BUCKETS];

impl Default for Tally {
    fn default() -> Self {
        let buckets = || -> Buckets { [const { AtomicU64::new(0) }; _] };
        let took = std::iter::repeat_with(buckets).take(Observed::ROW_CLASSES).collect();
        Self { failed: AtomicU64::new(0), took }
    }
}

impl Tally {
    /// Counts a request that was answered, or whose client has left before the answer was written.
    pub(super) fn note_answered(&self, timing: &Timing) {
        let buckets = &self.took[Observed::row_class(timing.stages.rows)];
        buckets[Latencies::bucket(worked(timing))].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was not run, or failed in its run, if that is the version's fault.
    pub(super) fn note_not_computed(&self, error: &ScoreError) {
        if is_fault(error) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request whose client was told that it took too long. Where requests wait for long
    /// they are refused at the door, so that a version that is too slow, or hangs, shows here.
    pub(super) fn note_expired(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose outputs could not be written. A request that breaks the protocol has
    /// no outputs, so only the room for the answer is not the version's own doing.
    pub(super) fn note_not_written(&self, error: &ScoreError) {
        if !matches!(error, ScoreError::Exhausted(_)) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All until now.
    pub fn observed(&self) -> Observed {
        let counts = |buckets: &Buckets| {
            let count = |bucket: usize| buckets[bucket].load(Ordering::Relaxed);
            Latencies::from_counts(std::array::from_fn(count))
        };
        let latencies: Vec<_> = self.took.iter().map(counts).collect();
        let failed = self.failed.load(Ordering::Relaxed);
        let answered = latencies.iter().map(Latencies::count).sum::<u64>() + failed;
        Observed { answered, failed, latencies }
    }
}

/// How long the version was at work on a request. What it waited before depends on who else asked.
fn worked(timing: &Timing) -> Duration {
    let Timing { decode, stages, encode } = timing;
    *decode + stages.assemble + stages.execute + *encode
}

/// Whether a request failed for what the version does: not for its own form, and not for what the
/// server had no room or time for.
fn is_fault(error: &ScoreError) -> bool {
    match error {
        ScoreError::Run(RunError::Failed(_)) | ScoreError::Lost | ScoreError::Panicked { .. } => {
            true
        }
        // The one who waits for the reply counts what expires.
        ScoreError::Run(RunError::Input { .. })
        | ScoreError::Wire(_)
        | ScoreError::Coding(_)
        | ScoreError::Rejected(_)
        | ScoreError::Exhausted(_)
        | ScoreError::Closed
        | ScoreError::Expired => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Stages;
    use crate::servable::Exhausted;
    use crate::wire::invocations::WireError;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_wait_before_the_work_is_not_held_against_a_version() {
        let stages = Stages { queue: MS * 1000, assemble: MS, execute: MS * 4, rows: 5 };
        let tally = Tally::default();
        tally.note_answered(&Timing { decode: MS, stages, encode: MS * 2 });
        let observed = tally.observed();
        assert_eq!((observed.answered, observed.failed), (1, 0));
        let took = observed.latencies[Observed::row_class(5)].percentile(1.0).unwrap();
        assert!(took > MS * 8 && took <= MS * 10, "{took:?}");
    }

    #[test]
    fn only_what_the_version_did_wrong_counts_as_its_failure() {
        let tally = Tally::default();
        tally.note_not_computed(&ScoreError::Run(RunError::Failed("of the graph".to_owned())));
        tally.note_not_computed(&ScoreError::Panicked { id: 1 });
        tally.note_not_written(&ScoreError::Wire(WireError::schema("outputs of unequal length")));
        for other in [
            ScoreError::Wire(WireError::schema("column `a` is missing")),
            ScoreError::Expired,
            ScoreError::Closed,
            RunError::Input { input: "x".to_owned(), reason: "too wide".to_owned() }.into(),
        ] {
            tally.note_not_computed(&other);
        }
        tally.note_not_written(&ScoreError::Exhausted(Exhausted::Bytes));
        let observed = tally.observed();
        assert_eq!((observed.answered, observed.failed), (3, 3));
    }
}
