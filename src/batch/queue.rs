//! What waits for one model version.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::policy::{Decision, QueueView, decide};
use super::split::Split;
use super::{Admission, BatchLimits, Job, Request, Runner};

/// Bodies that one thread decodes before it runs anything: small ones together up to this many
/// bytes, so that they share a batch, or a single larger one.
const DECODE_BYTES_MAX: usize = 64 << 10;
/// Jobs that do not fit a batch are passed over, this many at most.
const LOOK_AHEAD: usize = 64;

/// Something for an idle thread to do.
pub(super) enum Work<R> {
    Decode(Vec<Undecoded<R>>),
    /// Jobs that join each other.
    Batch(Vec<Job<R>>),
    /// One part of a large request.
    Part(Arc<Split<R>>, usize),
}

/// A request whose body is still bytes.
pub(super) struct Undecoded<R> {
    pub(super) request: R,
    pub(super) bytes: usize,
    pub(super) since: Instant,
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
}

/// Requests that wait for one runner, first come first served but for what fits in a batch.
pub(super) struct Queue<R> {
    pub(super) runner: Arc<Runner>,
    undecoded: VecDeque<Undecoded<R>>,
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
            undecoded: VecDeque::new(),
            entries: VecDeque::new(),
            rows: 0,
            has_decoded: false,
        }
    }

    /// Requests that wait.
    pub(super) fn requests(&self) -> usize {
        self.undecoded.len() + self.entries.len()
    }

    /// Whether something waits that is decoded.
    #[cfg(test)]
    pub(super) fn has_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// What a new request would find.
    pub(super) fn admission(&self, threads: usize) -> Admission {
        let wait = self.backlog() / u32::try_from(threads).unwrap_or(u32::MAX);
        Admission { requests: self.requests(), rows: self.rows, wait }
    }

    /// What it takes to run all that waits; an undecoded request counts as one row.
    pub(super) fn backlog(&self) -> Duration {
        let requests = self.requests();
        let rows = self.rows + self.undecoded.len();
        if requests == 0 {
            Duration::ZERO
        } else if self.runner.merges() {
            self.runner.estimate(rows)
        } else {
            self.runner.estimate(rows.div_ceil(requests)).saturating_mul(requests as u32)
        }
    }

    pub(super) fn push_undecoded(&mut self, undecoded: Undecoded<R>) {
        self.undecoded.push_back(undecoded);
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

    /// Drops requests that nobody waits for any more.
    pub(super) fn sweep(&mut self) {
        self.undecoded.retain(|undecoded| !undecoded.request.is_abandoned());
        let rows = &mut self.rows;
        self.entries.retain(|entry| {
            let (abandoned, weight) = match entry {
                Entry::Job(job) => (job.request.is_abandoned(), job.weight()),
                Entry::Parts(split, next) => (split.is_abandoned(), split.rows_from(*next)),
            };
            *rows -= if abandoned { weight } else { 0 };
            !abandoned
        });
    }

    /// The next work, or when to look again; `None` when there is nothing that may be done.
    /// `may_decode` is false while enough threads decode already.
    pub(super) fn next(
        &mut self,
        may_decode: bool,
        now: Instant,
    ) -> Option<Result<Work<R>, Instant>> {
        let decision = self.view().map(|view| decide(&view, &self.limits(), now));
        let can_decode = may_decode && !self.undecoded.is_empty();
        match decision {
            Some(Decision::Take) if !can_decode || self.has_decoded => {
                self.has_decoded = false;
                self.take().map(Ok)
            }
            _ if can_decode => {
                self.has_decoded = true;
                Some(Ok(Work::Decode(self.take_undecoded())))
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
        let (since, deadline) = match self.entries.front()? {
            Entry::Job(job) => (job.since, job.request.deadline()),
            Entry::Parts(split, _) => (split.since(), split.since()),
        };
        Some(QueueView { rows: self.rows, since, deadline })
    }

    fn take_undecoded(&mut self) -> Vec<Undecoded<R>> {
        let mut taken: Vec<Undecoded<R>> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.undecoded.front() {
            if !taken.is_empty() && bytes + next.bytes > DECODE_BYTES_MAX {
                break;
            }
            bytes += next.bytes;
            taken.extend(self.undecoded.pop_front());
        }
        taken
    }

    fn take(&mut self) -> Option<Work<R>> {
        match self.entries.pop_front()? {
            Entry::Job(job) => {
                self.rows -= job.weight();
                Some(Work::Batch(self.fill(job)))
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

    /// A batch that starts with `first`.
    fn fill(&mut self, first: Job<R>) -> Vec<Job<R>> {
        let rows_max = self.limits().rows_max;
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
