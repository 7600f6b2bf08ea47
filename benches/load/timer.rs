//! Waiting for a moment, exactly enough for arrivals a few microseconds apart.
//!
//! The event loop's own timers have a resolution of a millisecond, which would be more than many
//! a latency that is measured here. Linux has timers that are files: they fire within
//! microseconds and wake the event loop like any socket. Elsewhere the event loop's have to do.
//! Rejected: spinning, which would take a core from the server.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
use rustix::fd::OwnedFd;
#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// A timer of one event loop. Made and used within it.
pub(crate) struct Timer {
    #[cfg(target_os = "linux")]
    file: AsyncFd<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Timer {
    #[allow(
        deprecated,
        reason = "its successor is unsafe for what an `OwnedFd` promises by itself"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { file: AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)? })
    }

    /// Returns at `moment` or a little later.
    pub(crate) async fn until(&mut self, moment: Instant) -> io::Result<()> {
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            let once = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
            let once = Itimerspec { it_interval: zero, it_value: once };
            timerfd_settime(self.file.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            // Setting it again forgets that it fired, so the file need not be read.
            self.file.readable().await?.clear_ready();
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at `moment` or up to a few milliseconds later.
    pub(crate) async fn until(&mut self, moment: Instant) -> io::Result<()> {
        tokio::time::sleep_until(moment.into()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_timer_never_returns_early_and_can_be_used_again() {
        let mut timer = Timer::new().unwrap();
        for micros in [0, 1, 300, 20, 2_000] {
            let moment = Instant::now() + Duration::from_micros(micros);
            timer.until(moment).await.unwrap();
            assert!(Instant::now() >= moment);
        }
        let past = Instant::now();
        timer.until(past).await.unwrap();
    }
}
