//! What waits for one model version.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bodies::{Bodies, Undecoded};
use super::lane::HAND_OVER;
use super::policy::{Decision, QueueView, decide};
use super::split::Split;
use super::{BatchLimits, Job, Request, Runner};

/// What an event loop takes to read a small request and write its answer.
const REQUEST: Duration = Duration::from_micros(10);

/// Jobs that do not fit a batch are passed over, this many at most.
const LOOK_AHEAD: usize = 64;

/// Something for an idle thread to do.
pub(super) enum Work<R> {
    /// One large body, or several small ones.
    Decode(Vec<Undecoded<R>>),
    /// Jobs that join each other.
    Batch(Vec<Job<R>>),
    /// One part of a large request.
    Part(Arc<Split<R>>, usize),
}

enum Entry<R> {
    Job(Job<R>),
    /// A large request, with the part that is next.
    Parts(Arc<Split<R>>, usize),
}

impl<R: Request> Entry<R> {
    fn since(&self) -> Instant {
        match self {
            Self::Job(job) => job.since,
            Self::Parts(split, _) => split.since(),
        }
    }

    /// Rows that are still to run.
    fn rows(&self) -> usize {
        match self {
            Self::Job(job) => job.weight(),
            Self::Parts(split, next) => split.rows_from(*next),
        }
    }
}

/// What a sweep took out.
pub(super) struct Swept<R> {
    _bodies: Vec<Undecoded<R>>,
    _entries: VecDeque<Entry<R>>,
}

/// Requests that wait for one runner, first come first served but for what fits in a batch.
pub(super) struct Queue<R> {
    pub(super) runner: Arc<Runner>,
    bodies: Bodies<R>,
    entries: VecDeque<Entry<R>>,
    /// Rows of all entries.
    rows: usize,
    /// Whether the last work was to decode: then it is the turn of a batch, if there is one.
    has_decoded: bool,
}

impl<R: Request> Queue<R> {
    pub(super) fn new(runner: Arc<Runner>) -> Self {
        Self {
            runner,
            bodies: Bodies::new(),
            entries: VecDeque::new(),
            rows: 0,
            has_decoded: false,
        }
    }

    /// Requests that wait.
    pub(super) fn requests(&self) -> usize {
        self.bodies.len() + self.entries.len()
    }

    /// Whether something waits that is decoded.
    #[cfg(test)]
    pub(super) fn has_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Rows that wait decoded.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Requests that wait as they came.
    pub(super) fn undecoded(&self) -> usize {
        self.bodies.len()
    }

    /// What it takes to run what waits, `turns_max` runs at most: the number of runs, and their
    /// time. An undecoded request counts as one row; nothing counts where nothing is known.
    pub(super) fn runs(&self, turns_max: usize) -> (usize, Duration) {
        let requests = self.requests();
        let rows = self.rows + self.bodies.len();
        let rows_max = self.runner.limits().rows_max;
        let (runs, rows_of_one) = if self.runner.merges() {
            (rows.div_ceil(rows_max), rows.min(rows_max))
        } else {
            (requests, rows.div_ceil(requests.max(1)))
        };
        let one = self.runner.estimate(rows_of_one).unwrap_or_default();
        let turns = runs.min(turns_max);
        (turns, one.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX)))
    }

    /// What it takes to decode what waits.
    pub(super) fn decode_time(&self) -> Duration {
        self.bodies.decode_time()
    }

    pub(super) fn push_undecoded(&mut self, undecoded: Undecoded<R>) {
        self.bodies.push(undecoded);
    }

    pub(super) fn push(&mut self, job: Job<R>) {
        self.rows += job.weight();
        let entry = self.entry(job);
        self.entries.push_back(entry);
    }

    /// A job that has waited as a body already goes before all that came after it.
    pub(super) fn push_decoded(&mut self, job: Job<R>) {
        self.rows += job.weight();
        let since = job.since;
        let entry = self.entry(job);
        let younger = self.entries.iter().position(|entry| entry.since() > since);
        self.entries.insert(younger.unwrap_or(self.entries.len()), entry);
    }

    /// Takes the parts of a large request out that have not run.
    pub(super) fn remove(&mut self, split: &Arc<Split<R>>) {
        let rows = &mut self.rows;
        self.entries.retain(|entry| match entry {
            Entry::Parts(of, next) if Arc::ptr_eq(of, split) => {
                *rows -= split.rows_from(*next);
                false
            }
            _ => true,
        });
    }

    fn entry(&self, job: Job<R>) -> Entry<R> {
        if !self.runner.merges() {
            return Entry::Job(job);
        }
        match Split::new(job, self.runner.part_rows()) {
            Ok(split) => Entry::Parts(Arc::new(split), 0),
            Err(job) => Entry::Job(job),
        }
    }

    /// Takes out requests that nobody waits for any more, for the caller to drop: that may take
    /// longer than a lock should be held.
    pub(super) fn sweep(&mut self) -> Swept<R> {
        let is_dead = |entry: &Entry<R>| match entry {
            Entry::Job(job) => job.request.is_abandoned(),
            Entry::Parts(split, _) => split.is_abandoned(),
        };
        let entries = std::mem::take(&mut self.entries);
        let (dead, kept) = entries.into_iter().partition(is_dead);
        self.entries = kept;
        self.rows = self.entries.iter().map(Entry::rows).sum();
        Swept { _bodies: self.bodies.sweep(), _entries: dead }
    }

    /// The next work, or when to look again; `None` when there is nothing that may be done.
    /// `may_take_large` is false while enough threads decode large bodies already.
    pub(super) fn next(
        &mut self,
        may_take_large: bool,
        idle: usize,
        now: Instant,
    ) -> Option<Result<Work<R>, Instant>> {
        let decision = self.view().map(|view| decide(&view, &self.limits(), now));
        let can_decode = self.bodies.has_some(may_take_large);
        match decision {
            Some(Decision::Take) if !can_decode || self.has_decoded => {
                self.has_decoded = false;
                self.take(idle).map(Ok)
            }
            _ if can_decode => {
                self.has_decoded = true;
                Some(Ok(Work::Decode(self.bodies.take(may_take_large))))
            }
            Some(Decision::WaitUntil(at)) => Some(Err(at)),
            Some(Decision::Take) | None => None,
        }
    }

    fn limits(&self) -> BatchLimits {
        let limits = self.runner.limits();
        // Waiting for others is in vain where requests run alone.
        if self.runner.merges() { limits } else { BatchLimits { rows_max: 1, ..limits } }
    }

    fn view(&self) -> Option<QueueView> {
        let (since, latest) = match self.entries.front()? {
            Entry::Job(job) => (job.since, self.latest_start(job.since)),
            Entry::Parts(split, _) => (split.since(), split.since()),
        };
        Some(QueueView { rows: self.rows, since, latest })
    }

    /// When a batch of what waits has to start for all in it to be in time.
    fn latest_start(&self, since: Instant) -> Instant {
        let BatchLimits { rows_max, delay_max } = self.limits();
        if delay_max.is_zero() {
            return since;
        }
        let run = self.runner.estimate(self.rows.min(rows_max)).unwrap_or_default();
        let deadlines = self.entries.iter().take(LOOK_AHEAD).filter_map(|entry| match entry {
            Entry::Job(job) => Some(job.request.deadline()),
            Entry::Parts(..) => None,
        });
        deadlines.min().and_then(|deadline| deadline.checked_sub(run)).unwrap_or(since)
    }

    fn take(&mut self, idle: usize) -> Option<Work<R>> {
        match self.entries.pop_front()? {
            Entry::Job(job) => {
                let rows_max = self.limits().rows_max.min(self.fair_rows(idle));
                self.rows -= job.weight();
                Some(Work::Batch(self.fill(job, rows_max)))
            }
            Entry::Parts(split, part) => {
                self.rows -= split.part_rows(part);
                if part + 1 < split.parts() {
                    // To the back: a large request takes turns with small ones.
                    self.entries.push_back(Entry::Parts(Arc::clone(&split), part + 1));
                }
                Some(Work::Part(split, part))
            }
        }
    }

    /// Rows for one thread, while `idle` others have nothing to do: an even share, if that is done
    /// notably sooner than everything. Of rows that are as cheap as the requests they came in, one
    /// share more is left for later: while it runs, the first answers go out and the next requests
    /// come in, where else the event loops and the threads would wait for each other in turns.
    fn fair_rows(&self, idle: usize) -> usize {
        let all = self.rows;
        let Some(alone) = self.runner.estimate(all) else { return all };
        let is_cheap = u32::try_from(all).is_ok_and(|rows| alone <= REQUEST * rows);
        let even = all.div_ceil(idle + 1 + usize::from(is_cheap));
        match self.runner.estimate(even) {
            Some(shared) if alone >= shared * 4 / 3 + HAND_OVER => even,
            _ => all,
        }
    }

    /// A batch that starts with `first`, of `rows_max` rows at most.
    fn fill(&mut self, first: Job<R>, rows_max: usize) -> Vec<Job<R>> {
        let mut rows = first.weight();
        let mut batch = vec![first];
        let mut at = 0;
        while rows < rows_max && at < self.entries.len().min(LOOK_AHEAD) {
            let fits = match &self.entries[at] {
                Entry::Job(job) => rows + job.weight() <= rows_max && job.joins(&batch[0]),
                Entry::Parts(..) => false,
            };
            if !fits {
                at += 1;
                continue;
            }
            if let Some(Entry::Job(job)) = self.entries.remove(at) {
                rows += job.weight();
                self.rows -= job.weight();
                batch.push(job);
            }
        }
        batch
    }
}
