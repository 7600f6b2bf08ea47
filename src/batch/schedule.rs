//! The queues of all model versions, and whose turn it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{Queue, Undecoded, Work};
use super::split::Split;
use super::{Job, QueueLimits, Rejected, Request, Runner};

/// All queues under one lock, which is held for moving pointers only.
pub(super) struct Schedule<R> {
    queues: Mutex<Queues<R>>,
    changed: Condvar,
    /// Requests whose clients left since somebody last looked.
    left: AtomicUsize,
    limits: QueueLimits,
    threads: usize,
}

pub(super) struct Queues<R> {
    /// The queues that hold something.
    pub(super) filled: Vec<Queue<R>>,
    /// The queue whose turn it is.
    turn: usize,
    /// Threads that decode bodies.
    pub(super) decoding: usize,
    /// Threads that wait: without one there is nobody to wake.
    idle: usize,
    closed: bool,
}

/// What a thread is to do.
pub(super) enum Next<R> {
    Work(Arc<Runner>, Work<R>),
    WaitUntil(Instant),
    Wait,
    /// Closed and empty.
    End,
}

impl<R: Request> Schedule<R> {
    pub(super) fn new(limits: QueueLimits, threads: usize) -> Self {
        let (queues, changed) = (Mutex::new(Queues::new()), Condvar::new());
        Self { queues, changed, left: AtomicUsize::new(0), limits, threads }
    }

    /// Requests that wait.
    pub(super) fn requests(&self) -> usize {
        self.lock().filled.iter().map(Queue::requests).sum()
    }

    /// Requests that wait for one runner.
    pub(super) fn requests_for(&self, runner: &Arc<Runner>) -> usize {
        self.lock().find(runner).map_or(0, |queue| queue.requests())
    }

    /// Threads that wait.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().idle
    }

    /// Notes that a client left whose request may still wait.
    pub(super) fn note_left(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a request of `rows` rows would be admitted now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, runner: &Arc<Runner>, rows: usize) -> Result<(), Rejected> {
        self.admit(&mut self.lock(), runner, rows)
    }

    pub(super) fn push(&self, runner: &Arc<Runner>, job: Job<R>) -> Result<(), Rejected> {
        self.add(runner, job.weight(), |queue| queue.push(job))
    }

    pub(super) fn push_undecoded(
        &self,
        runner: &Arc<Runner>,
        undecoded: Undecoded<R>,
    ) -> Result<(), Rejected> {
        self.add(runner, 1, |queue| queue.push_undecoded(undecoded))
    }

    fn add(
        &self,
        runner: &Arc<Runner>,
        rows: usize,
        push: impl FnOnce(&mut Queue<R>),
    ) -> Result<(), Rejected> {
        let mut queues = self.lock();
        self.admit(&mut queues, runner, rows)?;
        push(queues.of(runner));
        self.wake_one(queues);
        Ok(())
    }

    fn admit(
        &self,
        queues: &mut Queues<R>,
        runner: &Arc<Runner>,
        rows: usize,
    ) -> Result<(), Rejected> {
        if queues.closed {
            return Err(Rejected::Closed);
        }
        let Some(queue) = queues.find(runner) else { return Ok(()) };
        let verdict = queue.admission(self.threads).check(rows, &self.limits);
        if verdict.is_ok() || self.left.swap(0, Ordering::Relaxed) == 0 {
            return verdict;
        }
        // Somebody left: their places are free.
        for queue in &mut queues.filled {
            queue.sweep();
        }
        queues.drop_empty();
        let Some(queue) = queues.find(runner) else { return Ok(()) };
        queue.admission(self.threads).check(rows, &self.limits)
    }

    /// Jobs whose bodies were decoded join their queue in the order in which they came.
    pub(super) fn put_decoded(&self, runner: &Arc<Runner>, jobs: Vec<Job<R>>) {
        let mut queues = self.lock();
        queues.decoding -= 1;
        for job in jobs {
            queues.of(runner).push_decoded(job);
        }
        // A thread that was not allowed to decode may do so now.
        self.wake_one(queues);
    }

    /// Wakes a thread that waits, if there is one.
    fn wake_one(&self, queues: MutexGuard<'_, Queues<R>>) {
        let idle = queues.idle > 0;
        drop(queues);
        if idle {
            self.changed.notify_one();
        }
    }

    /// Waits for something to do; `None` when the schedule is closed and empty.
    pub(super) fn next(&self) -> Option<(Arc<Runner>, Work<R>)> {
        let mut queues = self.lock();
        loop {
            let wait = match queues.next(Instant::now(), self.threads) {
                Next::Work(runner, work) => {
                    if !queues.filled.is_empty() {
                        self.wake_one(queues);
                    }
                    return Some((runner, work));
                }
                Next::WaitUntil(at) => at.saturating_duration_since(Instant::now()),
                Next::Wait => Duration::MAX,
                Next::End => {
                    // Others may wait for what the last thread was doing.
                    drop(queues);
                    self.changed.notify_all();
                    return None;
                }
            };
            queues.idle += 1;
            let woken = self.changed.wait_timeout(queues, wait);
            queues = woken.unwrap_or_else(PoisonError::into_inner).0;
            queues.idle -= 1;
        }
    }

    /// Takes the parts of a large request that is answered already out of its queue.
    pub(super) fn remove(&self, runner: &Arc<Runner>, split: &Arc<Split<R>>) {
        let mut queues = self.lock();
        if let Some(queue) = queues.find(runner) {
            queue.remove(split);
        }
        queues.drop_empty();
    }

    /// Refuses what comes from now on. Threads end when they have done what waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// No code under the lock can panic half way through a change.
    fn lock(&self) -> MutexGuard<'_, Queues<R>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Request> Queues<R> {
    pub(super) fn new() -> Self {
        Self { filled: Vec::new(), turn: 0, decoding: 0, idle: 0, closed: false }
    }

    pub(super) fn find(&mut self, runner: &Arc<Runner>) -> Option<&mut Queue<R>> {
        self.filled.iter_mut().find(|queue| Arc::ptr_eq(&queue.runner, runner))
    }

    /// The runner's queue, made when there is something to put in.
    pub(super) fn of(&mut self, runner: &Arc<Runner>) -> &mut Queue<R> {
        let known = self.filled.iter().position(|queue| Arc::ptr_eq(&queue.runner, runner));
        let at = known.unwrap_or_else(|| {
            self.filled.push(Queue::new(Arc::clone(runner)));
            self.filled.len() - 1
        });
        &mut self.filled[at]
    }

    fn drop_empty(&mut self) {
        self.filled.retain(|queue| queue.requests() > 0);
    }

    /// What an idle thread does now. Queues take turns; a thread is kept free of large bodies, if
    /// there is more than one, so that small requests need not wait for them.
    pub(super) fn next(&mut self, now: Instant, threads: usize) -> Next<R> {
        let may_decode = self.decoding < threads.saturating_sub(1).max(1);
        let mut soonest: Option<Instant> = None;
        for offset in 0..self.filled.len() {
            let at = (self.turn + offset) % self.filled.len();
            match self.filled[at].next(may_decode, now) {
                None => {}
                Some(Err(until)) => soonest = Some(soonest.map_or(until, |s| s.min(until))),
                Some(Ok(work)) => {
                    let runner = Arc::clone(&self.filled[at].runner);
                    self.turn = at + 1;
                    if self.filled[at].requests() == 0 {
                        self.filled.remove(at);
                        self.turn = at;
                    }
                    self.decoding += usize::from(matches!(work, Work::Decode(_)));
                    return Next::Work(runner, work);
                }
            }
        }
        match soonest {
            Some(until) => Next::WaitUntil(until),
            None if self.closed && self.filled.is_empty() && self.decoding == 0 => Next::End,
            None => Next::Wait,
        }
    }
}
