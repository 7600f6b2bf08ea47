//! By what the time of a run is taken.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time that passes. For runs that other threads or a device have a part in.
    Wall,
    /// The processor time of the calling thread, for runs that stay on it: other work on the
    /// machine adds nothing to it, such as requests that are answered meanwhile.
    Thread,
}

impl Clock {
    /// The time since a moment that does not change.
    pub(super) fn now(self) -> Duration {
        let clock = match self {
            Self::Wall => ClockId::Monotonic,
            Self::Thread => ClockId::ThreadCPUTime,
        };
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn time_that_a_thread_waits_passes_on_the_wall_only() {
        let wait = Duration::from_millis(50);
        let [wall, thread] = [Clock::Wall, Clock::Thread].map(|clock| {
            let start = clock.now();
            sleep(wait);
            clock.now().saturating_sub(start)
        });
        assert!(wall >= wait && thread < wait / 2, "{wall:?} {thread:?}");
    }

    #[test]
    fn time_that_a_thread_works_passes_by_both() {
        for clock in [Clock::Wall, Clock::Thread] {
            let start = clock.now();
            let mut sum = 0_u64;
            while clock.now() == start {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
        }
    }
}
