//! Counts that each thread keeps for itself: a request adds to numbers that no other thread writes,
//! so that counting costs a few instructions and never waits. Who reads sums over the threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Threads that have a slot of their own; further ones share the last, with locked additions.
const OWN_SLOTS: usize = 64;

/// Slots of threads that have ended.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SLOT: Slot = Slot::take();
}

/// A thread's place in every [`PerThread`], given back when the thread ends.
struct Slot(usize);

impl Slot {
    fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(free.unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed)).min(OWN_SLOTS))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.0 < OWN_SLOTS {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
        }
    }
}

/// The calling thread's place; `None` once the thread is ending.
fn slot() -> Option<usize> {
    SLOT.try_with(|slot| slot.0).ok()
}

/// Who else may write to the numbers at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Nobody.
    Sole,
    /// Other threads.
    Shared,
}

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `more`. Wraps after 2^64.
    pub fn add(&self, more: u64, writer: Writer) {
        match writer {
            // A locked addition would cost ten times as much.
            Writer::Sole => {
                let sum = self.0.load(Ordering::Relaxed).wrapping_add(more);
                self.0.store(sum, Ordering::Release);
            }
            Writer::Shared => {
                self.0.fetch_add(more, Ordering::Release);
            }
        }
    }

    /// What it is now. Who sees a count sees all that its writer counted before.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One `T` for each thread that asks for its own, made when it first does.
pub struct PerThread<T> {
    slots: Box<[OnceLock<Box<T>>]>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> PerThread<T> {
    /// Nothing yet; `make` makes what a thread gets.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let slots = std::iter::repeat_with(OnceLock::new).take(OWN_SLOTS + 1).collect();
        Self { slots, make: Box::new(make) }
    }

    /// The calling thread's own, and whether others write to it.
    pub fn own(&self) -> (&T, Writer) {
        let at = slot().unwrap_or(OWN_SLOTS);
        let writer = if at < OWN_SLOTS { Writer::Sole } else { Writer::Shared };
        (self.slots[at].get_or_init(|| Box::new((self.make)())), writer)
    }

    /// Those of all threads that have asked.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(OnceLock::get).map(|boxed| &**boxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_whoever_counts() {
        let counts = PerThread::new(Count::default);
        // More threads than slots, all there at once: some share.
        let threads = OWN_SLOTS + 20;
        let all_there = Barrier::new(threads);
        let shared = Count::default();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let (count, writer) = counts.own();
                    shared.add(u64::from(writer == Writer::Shared), Writer::Shared);
                    all_there.wait();
                    (0..10_000).for_each(|_| count.add(1, writer));
                });
            }
        });
        let sum: u64 = counts.all().map(Count::get).sum();
        assert_eq!(sum, 10_000 * threads as u64);
        assert!(shared.get() >= 20, "no thread has shared");
    }

    #[test]
    fn a_slot_serves_the_next_thread_when_its_own_has_ended() {
        let counts = PerThread::new(Count::default);
        for _ in 0..3 * OWN_SLOTS {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (count, writer) = counts.own();
                    assert_eq!(writer, Writer::Sole);
                    count.add(1, writer);
                });
            });
        }
        assert_eq!(counts.all().map(Count::get).sum::<u64>(), 3 * OWN_SLOTS as u64);
    }
}
