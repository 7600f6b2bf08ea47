//! Whose turn it is: which request a thread's idle connections send next, and when it is due.
//!
//! Open loop: a request that is due is taken by the connection that waits longest. When none
//! waits, it is taken by the next one that becomes free, late; nothing is queued but a number.
//! Connections take turns in order rather than the warmest first, because a server spreads
//! connections over its threads once, when they open.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use super::arrivals::{Arrivals, Share};
use super::timer::Timer;

/// The time of a run. Requests due in `window` are measured; at its end no more are sent.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) start: Instant,
    pub(crate) window: Range<Instant>,
}

/// One request to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Its number within the run, from 0.
    pub(crate) number: u64,
    /// When it should be sent: latency counts from here.
    pub(crate) due: Instant,
    /// When it is taken to be sent.
    pub(crate) taken: Instant,
}

/// The turns of one thread.
pub(crate) struct Turns {
    times: Times,
    share: Share,
    /// `None` is the closed loop: a request is due when a connection is free.
    arrivals: Option<Arrivals>,
    /// Index of the thread's next request.
    next: AtomicU64,
    /// One permit when a request falls due.
    due: Notify,
    /// Connections that wait for one.
    waiting: AtomicU64,
    /// One permit when a connection begins to wait.
    idle: Notify,
}

impl Turns {
    pub(crate) fn new(times: Times, share: Share, arrivals: Option<Arrivals>) -> Self {
        let (next, waiting) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { times, share, arrivals, next, due: Notify::new(), waiting, idle: Notify::new() }
    }

    /// The next request, when it is due; `None` when the run is over.
    pub(crate) async fn next(&self) -> Option<Turn> {
        loop {
            // One thread has them all: nothing comes between.
            let index = self.next.load(Ordering::Relaxed);
            let taken = Instant::now();
            if taken >= self.times.window.end {
                return None;
            }
            let due = self.arrivals.map_or(taken, |arrivals| self.moment(&arrivals, index));
            if due <= taken {
                self.next.store(index + 1, Ordering::Relaxed);
                return Some(Turn { number: self.share.number(index), due, taken });
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.idle.notify_one();
            self.due.notified().await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Wakes a waiting connection for each request that falls due, and all at the end of the run.
    /// In the closed loop none waits, and this returns at once.
    ///
    /// # Errors
    /// When the system's timer fails.
    pub(crate) async fn call(&self) -> io::Result<()> {
        let Some(arrivals) = &self.arrivals else { return Ok(()) };
        let mut timer = Timer::new()?;
        let end = self.times.window.end;
        let mut index = 0;
        while Instant::now() < end {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                // A server that is asked for too much: timers would only take its time.
                tokio::select! {
                    () = self.idle.notified() => {}
                    ended = timer.until(end) => ended?,
                }
                continue;
            }
            // Busy connections take what is due when they become free, without being called.
            index = self.next.load(Ordering::Relaxed).max(index);
            let due = self.moment(arrivals, index);
            timer.until(due.min(end)).await?;
            if due < end {
                self.due.notify_one();
            }
            index += 1;
        }
        self.due.notify_waiters();
        Ok(())
    }

    /// How many requests were due in the window and never sent, because every connection was busy
    /// until the end.
    pub(crate) fn unsent(&self) -> u64 {
        let Some(arrivals) = &self.arrivals else { return 0 };
        let count = |moment: Instant| arrivals.count_before(moment - self.times.start);
        let first = count(self.times.window.start).max(self.next.load(Ordering::Relaxed));
        count(self.times.window.end).saturating_sub(first)
    }

    /// The measured window.
    pub(crate) fn window(&self) -> Range<Instant> {
        self.times.window.clone()
    }

    fn moment(&self, arrivals: &Arrivals, index: u64) -> Instant {
        self.times.start + arrivals.due(index)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn turns(rate: Option<f64>, length: Duration) -> Turns {
        let share = Share { thread: 0, threads: NonZeroU64::MIN };
        let start = Instant::now();
        let times = Times { start, window: start..start + length };
        Turns::new(times, share, rate.map(|rate| Arrivals::new(rate, share).unwrap()))
    }

    #[tokio::test]
    async fn every_request_is_taken_once_in_order_and_not_before_it_is_due() {
        let turns = Arc::new(turns(Some(2_000.0), Duration::from_millis(50)));
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    while let Some(turn) = turns.next().await {
                        assert!(turn.taken >= turn.due);
                        taken.push(turn.number);
                        tokio::task::yield_now().await;
                    }
                    taken
                })
            })
            .collect();
        turns.call().await.unwrap();
        let mut numbers = Vec::new();
        for taker in takers {
            numbers.extend(taker.await.unwrap());
        }
        numbers.sort_unstable();
        // A machine that stalls at the end leaves some unsent, and says so.
        assert_eq!(numbers.len() as u64 + turns.unsent(), 100);
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    }

    #[tokio::test]
    async fn what_nobody_takes_is_unsent() {
        let turns = turns(Some(1_000.0), Duration::from_millis(20));
        turns.call().await.unwrap();
        assert!(turns.next().await.is_none());
        assert_eq!(turns.unsent(), 20);
    }

    #[tokio::test]
    async fn in_a_closed_loop_every_request_is_due_when_it_is_taken() {
        let turns = turns(None, Duration::from_mins(1));
        turns.call().await.unwrap();
        for number in 0..3 {
            let turn = turns.next().await.unwrap();
            assert_eq!((turn.number, turn.due), (number, turn.taken));
        }
        assert_eq!(turns.unsent(), 0);
    }
}
