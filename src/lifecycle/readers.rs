//! The threads that look at registries of files.
//!
//! A file system that is gone (NFS), or a database that somebody locks, holds up whoever looks at
//! it: for ever at worst, and out of reach of any signal. So the main thread never looks itself.
//!
//! The models of one registry lie on one file system, and are looked at by one thread, one after
//! the other: a folder of a hundred models needs no hundred threads. The thread exists while there
//! is something to look at. Where a look hangs, another thread takes over what waits behind it, up
//! to [`THREADS_MAX`] of them; when so many hang, it is the registry that does, and the rest of its
//! models wait. Other registries have threads of their own and notice nothing.
//!
//! Owned by who serves: [`Readers::close`] ends the threads, but for those that hang, which the end
//! of the process takes along. (`tokio`'s own threads for such work would be waited for.)

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Threads of one registry.
const THREADS_MAX: usize = 4;

/// A look that takes so long is taken to hang: others are not to wait for it.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// What panicked, in its own words.
pub(super) type Panic = Box<dyn Any + Send>;

/// All of these threads. A handle: clones are the same threads.
#[derive(Clone)]
pub struct Readers {
    shared: Arc<Shared>,
    hangs_after: Duration,
}

/// The threads of one registry.
#[derive(Clone)]
pub(super) struct Lane {
    readers: Readers,
    registry: PathBuf,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when a thread ends.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    registries: HashMap<PathBuf, Registry>,
    /// Threads that were ever started, for their numbers.
    started: usize,
    /// What is left of threads that ended.
    ended: Vec<JoinHandle<()>>,
    is_closed: bool,
}

#[derive(Default)]
struct Registry {
    /// One question a model at most.
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: Vec<Thread>,
}

struct Thread {
    number: usize,
    /// Since when it looks at what it looks at.
    since: Instant,
    handle: JoinHandle<()>,
}

impl Default for Readers {
    fn default() -> Self {
        Self::new(HANGS_AFTER)
    }
}

impl Readers {
    pub(super) fn new(hangs_after: Duration) -> Self {
        Self { shared: Arc::default(), hangs_after }
    }

    /// What looks at one registry.
    pub(super) fn lane(&self, registry: PathBuf) -> Lane {
        Lane { readers: self.clone(), registry }
    }

    /// Ends the threads: what waits is dropped, what runs may come to its end until `deadline`.
    /// Returns how many threads hang.
    pub fn close(&self, deadline: Instant) -> usize {
        let mut state = self.shared.state();
        state.is_closed = true;
        for registry in state.registries.values_mut() {
            registry.waiting.clear();
        }
        let running = |state: &State| state.registries.values().map(|one| one.threads.len()).sum();
        loop {
            let left: usize = running(&state);
            let wait = deadline.saturating_duration_since(Instant::now());
            if left == 0 || wait.is_zero() {
                state.join_ended();
                return left;
            }
            let waited = self.shared.ended.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Lane {
    /// Puts a question about `subject` behind those that wait. Comes back with what was asked
    /// about, and with the panic in place of the answer if there was one; never once the threads
    /// are closed. Somebody has to [`relieve`](Self::relieve) while it has not come back.
    pub(super) fn ask<S: Send + 'static, T: Send + 'static>(
        &self,
        mut subject: S,
        question: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> oneshot::Receiver<(S, Result<T, Panic>)> {
        let (reply, back) = oneshot::channel();
        let work = move || {
            // A panic may leave the subject between two states; it is told so by its next look.
            let answer = catch_unwind(AssertUnwindSafe(|| question(&mut subject)));
            // Nobody waits any more: the subject ends here.
            let _ = reply.send((subject, answer));
        };
        let mut state = self.readers.shared.state();
        if !state.is_closed {
            let registry = state.registries.entry(self.registry.clone()).or_default();
            registry.waiting.push_back(Box::new(work));
        }
        drop(state);
        self.relieve();
        back
    }

    /// Starts a thread if questions wait for one that hangs, or for none.
    pub(super) fn relieve(&self) {
        let Readers { shared, hangs_after } = &self.readers;
        let mut state = shared.state();
        state.join_ended();
        let number = state.started;
        let State { registries, is_closed: false, .. } = &mut *state else { return };
        let Some(registry) = registries.get_mut(&self.registry) else { return };
        let now = Instant::now();
        let since: Vec<Instant> = registry.threads.iter().map(|thread| thread.since).collect();
        if registry.waiting.is_empty() || !needs_thread(&since, *hangs_after, now) {
            return;
        }
        match self.start(number) {
            Ok(handle) => {
                registry.threads.push(Thread { number, since: now, handle });
                state.started += 1;
            }
            // Who waits tries again.
            Err(error) => tracing::warn!(%error, "no thread for a look at a registry"),
        }
    }

    fn start(&self, number: usize) -> io::Result<JoinHandle<()>> {
        let lane = self.clone();
        Builder::new().name(format!("registry-{number}")).spawn(move || {
            while let Some(work) = lane.next(number) {
                work();
            }
        })
    }

    /// The next question for a thread, which ends where there is none.
    fn next(&self, number: usize) -> Option<Box<dyn FnOnce() + Send>> {
        let shared = &self.readers.shared;
        let mut state = shared.state();
        let registry = state.registries.get_mut(&self.registry)?;
        let at = registry.threads.iter().position(|thread| thread.number == number)?;
        if let Some(work) = registry.waiting.pop_front() {
            registry.threads[at].since = Instant::now();
            return Some(work);
        }
        let Thread { handle, .. } = registry.threads.swap_remove(at);
        state.ended.push(handle);
        shared.ended.notify_all();
        None
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// They have nothing left to do but to end.
    fn join_ended(&mut self) {
        for thread in self.ended.drain(..) {
            // What it ran was contained.
            let _ = thread.join();
        }
    }
}

/// Whether what waits needs another thread than those, each at its present look since then.
fn needs_thread(since: &[Instant], hangs_after: Duration, now: Instant) -> bool {
    since.len() < THREADS_MAX
        && since.iter().all(|since| now.saturating_duration_since(*since) >= hangs_after)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// Far more than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(future)
    }

    /// Waits for something of a lane as a source does.
    async fn relieved<T>(lane: &Lane, what: impl Future<Output = T>) -> T {
        let relieve = async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                lane.relieve();
            }
        };
        tokio::select! {
            done = what => done,
            () = tokio::time::sleep(PATIENCE) => panic!("nobody looked"),
            () = relieve => unreachable!("it goes on for ever"),
        }
    }

    async fn answer<T: Send + 'static>(lane: &Lane, answer: T) -> T {
        let back = lane.ask((), move |()| answer);
        relieved(lane, back).await.unwrap().1.unwrap()
    }

    /// A question that hangs until its gate is dropped; hangs already.
    async fn hang(lane: &Lane) -> (mpsc::Sender<()>, oneshot::Receiver<((), Result<(), Panic>)>) {
        let (gate, opened) = mpsc::channel();
        let (entered, inside) = oneshot::channel();
        let out = lane.ask((), move |()| {
            entered.send(()).unwrap();
            let _: Result<(), _> = opened.recv();
        });
        relieved(lane, inside).await.unwrap();
        (gate, out)
    }

    #[test]
    fn a_thread_more_is_needed_only_where_all_hang_and_there_are_not_many() {
        let now = Instant::now();
        let [fresh, old] = [now, now.checked_sub(SECOND).unwrap()];
        for (since, needed) in [
            (vec![], true),
            (vec![fresh], false),
            (vec![old], true),
            (vec![old, fresh], false),
            (vec![old; THREADS_MAX - 1], true),
            (vec![old; THREADS_MAX], false),
        ] {
            assert_eq!(needs_thread(&since, SECOND, now), needed, "{}", since.len());
        }
    }

    #[test]
    fn what_hangs_holds_up_neither_its_registry_nor_another_until_all_threads_hang() {
        block_on(async {
            let readers = Readers::new(Duration::from_millis(10));
            let (here, there) = (readers.lane("here".into()), readers.lane("there".into()));
            let mut hanging = Vec::new();
            for _ in 0..THREADS_MAX {
                assert_eq!(answer(&here, "beside those that hang").await, "beside those that hang");
                hanging.push(hang(&here).await);
            }
            // Behind them nothing moves, elsewhere all does.
            let mut behind = here.ask((), |()| "behind");
            here.relieve();
            assert_eq!(answer(&there, "elsewhere").await, "elsewhere");
            assert!(behind.try_recv().is_err());

            for (gate, out) in hanging {
                drop(gate);
                relieved(&here, out).await.unwrap().1.unwrap();
            }
            assert_eq!(relieved(&here, behind).await.unwrap().1.unwrap(), "behind");
            assert_eq!(readers.close(Instant::now() + PATIENCE), 0);
        });
    }

    #[test]
    fn a_panic_is_an_answer_and_what_was_asked_about_comes_back() {
        block_on(async {
            let readers = Readers::default();
            let lane = readers.lane("here".into());
            let back = lane.ask(vec![1], |list| {
                list.push(2);
                panic!("for the test");
            });
            let (list, answer): (_, Result<(), Panic>) = back.await.unwrap();
            assert_eq!(list, [1, 2]);
            assert_eq!(answer.unwrap_err().downcast_ref(), Some(&"for the test"));
            let (list, answer) = lane.ask(list, |list| list.len()).await.unwrap();
            assert_eq!((list.len(), answer.unwrap()), (2, 2));
        });
    }

    #[test]
    fn the_end_waits_for_what_ends_and_not_for_what_hangs() {
        let readers = Readers::default();
        let lane = readers.lane("here".into());
        block_on(async {
            let (gate, out) = hang(&lane).await;
            let behind = lane.ask((), |()| ());
            assert_eq!(readers.close(Instant::now()), 1, "it hangs");
            assert!(behind.await.is_err(), "nobody asks it any more");
            assert!(lane.ask((), |()| ()).await.is_err(), "nor this");
            drop(gate);
            out.await.unwrap().1.unwrap();
        });
        assert_eq!(readers.close(Instant::now() + PATIENCE), 0);
    }
}
