//! The queues of all model versions, and whose turn it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bodies::Undecoded;
use super::policy::Backlog;
use super::queue::{Queue, Swept, Work};
use super::split::Split;
use super::{Failure, Job, QueueLimits, Rejected, Request, Runner};

/// All queues under one lock. It is held for moving what waits and for looking through a queue,
/// never for running, decoding or dropping.
pub(super) struct Schedule<R> {
    queues: Mutex<Queues<R>>,
    changed: Condvar,
    /// Requests whose clients went away since somebody last looked.
    departed: AtomicUsize,
    limits: QueueLimits,
    threads: usize,
}

/// What waits for one runner.
pub struct Waiting {
    pub runner: Arc<Runner>,
    pub requests: usize,
    /// A request that is not decoded counts as one.
    pub rows: usize,
}

pub(super) struct Queues<R> {
    /// The queues that hold something.
    pub(super) filled: Vec<Queue<R>>,
    /// The queue whose turn it is.
    turn: usize,
    /// Threads that decode bodies, and those of them that decode a large one.
    pub(super) decoding: usize,
    pub(super) decoding_large: usize,
    /// What all threads are doing.
    running: Load,
    /// Threads that wait: without one there is nobody to wake.
    pub(super) idle: usize,
    pub(super) closed: bool,
}

/// Work counts as this long at most.
const TIME_MAX: Duration = Duration::from_hours(24);

/// What work amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Requests that end with it.
    requests: usize,
    /// What it is expected to take.
    time: Duration,
}

/// Work for one thread.
pub(super) struct Task<R> {
    pub(super) runner: Arc<Runner>,
    pub(super) work: Work<R>,
    pub(super) load: Load,
}

/// What a thread is to do.
pub(super) enum Next<R> {
    Work(Task<R>),
    WaitUntil(Instant),
    Wait,
    /// Closed and empty.
    End,
}

impl<R: Request> Schedule<R> {
    pub(super) fn new(limits: QueueLimits, threads: usize) -> Self {
        let (queues, changed) = (Mutex::new(Queues::new()), Condvar::new());
        Self { queues, changed, departed: AtomicUsize::new(0), limits, threads }
    }

    /// Requests that wait.
    pub(super) fn requests(&self) -> usize {
        self.lock().filled.iter().map(Queue::requests).sum()
    }

    /// Requests that wait for one runner.
    pub(super) fn requests_for(&self, runner: &Arc<Runner>) -> usize {
        self.lock().find(runner).map_or(0, Queue::requests)
    }

    /// What waits, by runner.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let queues = self.lock();
        let waiting = queues.filled.iter().map(|queue| Waiting {
            runner: Arc::clone(&queue.runner),
            requests: queue.requests(),
            rows: queue.rows() + queue.undecoded(),
        });
        waiting.collect()
    }

    /// Threads that wait.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().idle
    }

    /// Notes that a client went away whose request may still wait.
    pub(super) fn note_departed(&self) {
        self.departed.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that wait or run.
    pub(super) fn unfinished(&self) -> usize {
        let queues = self.lock();
        queues.running.requests + queues.filled.iter().map(Queue::requests).sum::<usize>()
    }

    /// Whether nothing waits or runs. Closed, it is not: what comes then is refused.
    pub(super) fn is_idle(&self) -> bool {
        let queues = self.lock();
        !queues.closed && queues.filled.is_empty() && queues.idle == self.threads
    }

    /// Whether a request of `rows` rows would be admitted now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, runner: &Arc<Runner>, rows: usize) -> Result<(), Rejected> {
        self.admit(self.lock(), runner, rows).map(drop)
    }

    /// Drops requests whose clients went away, if there may be any. Whether it looked.
    pub(super) fn sweep(&self) -> bool {
        if self.departed.swap(0, Ordering::Relaxed) == 0 {
            return false;
        }
        // Dropped after the lock.
        let _swept = self.lock().sweep();
        true
    }

    pub(super) fn push(&self, runner: &Arc<Runner>, job: Job<R>) -> Result<(), Rejected> {
        self.add(runner, job.weight(), |queue| queue.push(job))
    }

    pub(super) fn push_all(&self, jobs: Vec<(Arc<Runner>, Job<R>)>) {
        let mut refused = Vec::new();
        let mut queues = self.lock();
        for (runner, job) in jobs {
            let closed = if queues.closed { Err(Rejected::Closed) } else { Ok(()) };
            let backlog = || queues.backlog(&runner, self.threads);
            match closed.and_then(|()| backlog().check(job.weight(), &self.limits)) {
                Ok(()) => queues.of(&runner).push(job),
                Err(rejected) => refused.push((job, rejected)),
            }
        }
        self.wake_one(queues);
        for (job, rejected) in refused {
            job.request.answer(Err(Failure::Rejected(rejected).into()));
        }
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
        let mut queues = self.admit(self.lock(), runner, rows)?;
        push(queues.of(runner));
        self.wake_one(queues);
        Ok(())
    }

    /// Gives the lock back if a request of `rows` rows may join the runner's queue.
    fn admit<'a>(
        &'a self,
        queues: MutexGuard<'a, Queues<R>>,
        runner: &Arc<Runner>,
        rows: usize,
    ) -> Result<MutexGuard<'a, Queues<R>>, Rejected> {
        if queues.closed {
            return Err(Rejected::Closed);
        }
        let verdict = queues.backlog(runner, self.threads).check(rows, &self.limits);
        let Err(rejected) = verdict else { return Ok(queues) };
        drop(queues);
        // The places of those that went away are free.
        if !self.sweep() {
            return Err(rejected);
        }
        let queues = self.lock();
        queues.backlog(runner, self.threads).check(rows, &self.limits)?;
        Ok(queues)
    }

    /// Jobs whose bodies were decoded join their queue in the order in which they came, unless
    /// they turn out to have more rows than it has room for.
    pub(super) fn put_decoded(&self, runner: &Arc<Runner>, was_large: bool, jobs: Vec<Job<R>>) {
        let mut refused = Vec::new();
        let mut queues = self.lock();
        queues.decoding -= 1;
        queues.decoding_large -= usize::from(was_large);
        for job in jobs {
            let backlog = queues.backlog(runner, self.threads);
            match backlog.check_rows(job.weight(), &self.limits) {
                Ok(()) => queues.of(runner).push_decoded(job),
                Err(rejected) => refused.push((job, rejected)),
            }
        }
        // A thread that was not allowed to decode may do so now.
        self.wake_one(queues);
        for (job, rejected) in refused {
            job.request.answer(Err(Failure::Rejected(rejected).into()));
        }
    }

    /// Wakes a thread that waits, if there is one.
    fn wake_one(&self, queues: MutexGuard<'_, Queues<R>>) {
        let idle = queues.idle > 0;
        drop(queues);
        if idle {
            self.changed.notify_one();
        }
    }

    /// Waits for something to do; `None` when the schedule is closed and empty. `done` is what the
    /// thread did before.
    pub(super) fn next(&self, done: Load) -> Option<Task<R>> {
        let mut queues = self.lock();
        queues.end(done);
        loop {
            let wait = match queues.next(Instant::now(), self.threads) {
                Next::Work(task) => {
                    if !queues.filled.is_empty() {
                        self.wake_one(queues);
                    }
                    return Some(task);
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
        self.lock().remove(runner, split);
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
        Self {
            filled: Vec::new(),
            turn: 0,
            decoding: 0,
            decoding_large: 0,
            running: Load::default(),
            idle: 0,
            closed: false,
        }
    }

    pub(super) fn find(&self, runner: &Arc<Runner>) -> Option<&Queue<R>> {
        self.filled.iter().find(|queue| Arc::ptr_eq(&queue.runner, runner))
    }

    fn find_mut(&mut self, runner: &Arc<Runner>) -> Option<&mut Queue<R>> {
        self.filled.iter_mut().find(|queue| Arc::ptr_eq(&queue.runner, runner))
    }

    /// What a new request for the runner would find. Before its turn come the runs of its own
    /// queue, as many turns of the others, and what the threads are doing.
    pub(super) fn backlog(&self, runner: &Arc<Runner>, threads: usize) -> Backlog {
        let Some(own) = self.find(runner) else { return Backlog::default() };
        let (runs, time) = own.runs(usize::MAX);
        let others = self.filled.iter().filter(|queue| !Arc::ptr_eq(&queue.runner, runner));
        let others =
            others.map(|queue| queue.runs(runs).1).fold(Duration::ZERO, Duration::saturating_add);
        let work = [time, own.decode_time(), others, self.running.time];
        let wait = work.into_iter().fold(Duration::ZERO, Duration::saturating_add)
            / u32::try_from(threads).unwrap_or(1);
        Backlog { requests: own.requests(), rows: own.rows(), wait }
    }

    pub(super) fn remove(&mut self, runner: &Arc<Runner>, split: &Arc<Split<R>>) {
        if let Some(queue) = self.find_mut(runner) {
            queue.remove(split);
        }
        self.drop_empty();
    }

    /// Takes out requests that nobody waits for, for the caller to drop.
    pub(super) fn sweep(&mut self) -> Vec<Swept<R>> {
        let swept = self.filled.iter_mut().map(Queue::sweep).collect();
        self.drop_empty();
        swept
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
        let may_take_large = self.decoding_large < threads.saturating_sub(1).max(1);
        let mut soonest: Option<Instant> = None;
        for offset in 0..self.filled.len() {
            let at = (self.turn + offset) % self.filled.len();
            match self.filled[at].next(may_take_large, self.idle, now) {
                None => {}
                Some(Err(until)) => soonest = Some(soonest.map_or(until, |s| s.min(until))),
                Some(Ok(work)) => {
                    let runner = Arc::clone(&self.filled[at].runner);
                    self.turn = at + 1;
                    if self.filled[at].requests() == 0 {
                        self.filled.remove(at);
                        self.turn = at;
                    }
                    return Next::Work(self.begin(runner, work));
                }
            }
        }
        match soonest {
            Some(until) => Next::WaitUntil(until),
            None if self.closed && self.filled.is_empty() && self.decoding == 0 => Next::End,
            None => Next::Wait,
        }
    }
    /// Takes note of what a thread has done.
    pub(super) fn end(&mut self, done: Load) {
        self.running.requests -= done.requests;
        self.running.time -= done.time;
    }

    /// Takes note of what a thread begins to do.
    fn begin(&mut self, runner: Arc<Runner>, work: Work<R>) -> Task<R> {
        let (requests, time) = match &work {
            Work::Decode(bodies) => {
                self.decoding += 1;
                self.decoding_large += usize::from(bodies.iter().any(Undecoded::is_large));
                (
                    bodies.len(),
                    bodies
                        .iter()
                        .map(Undecoded::decode_time)
                        .fold(Duration::ZERO, Duration::saturating_add),
                )
            }
            Work::Batch(jobs) => {
                let rows = jobs.iter().map(Job::weight).fold(0, usize::saturating_add);
                (jobs.len(), runner.estimate(rows).unwrap_or_default())
            }
            Work::Part(split, part) => {
                let is_last = part + 1 == split.parts();
                let time = runner.estimate(split.part_rows(*part)).unwrap_or_default();
                (usize::from(is_last), time)
            }
        };
        // Bounded, so that the sum of all threads' never runs over.
        let load = Load { requests, time: time.min(TIME_MAX) };
        self.running.requests += load.requests;
        self.running.time += load.time;
        Task { runner, work, load }
    }
}
