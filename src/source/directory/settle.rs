//! Whether a directory is still being written.
//!
//! Nobody tells when a copy is complete, so it is taken for complete when nothing has changed for a
//! while: either by its own times, or between two looks. Times that another machine's clock gave
//! may lie in the future; then two looks decide.

use std::time::{Duration, Instant, SystemTime};

use super::look::Look;

/// The present, by the clock on the wall (which files are stamped with) and one that never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

/// What is known about one directory from one look to the next.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    look: Look,
    /// Since when every look saw the same.
    since: Instant,
}

/// Whether a directory may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Yes,
    /// Not before this long from now, if nothing changes.
    In(Duration),
}

impl Now {
    pub(super) fn read() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }
}

impl Watch {
    /// Takes in what a look saw.
    pub(super) fn update(before: Option<&Self>, look: Look, now: Now) -> Self {
        let since = match before {
            Some(before) if before.look.stamp == look.stamp => before.since,
            _ => now.steady,
        };
        Self { look, since }
    }

    pub(super) fn stamp(&self) -> &str {
        &self.look.stamp
    }

    /// Whether nothing has changed for `settle`, or someone found just this state whole.
    pub(super) fn settled(&self, verified: Option<&str>, settle: Duration, now: Now) -> Settled {
        let unchanged = now.steady.saturating_duration_since(self.since);
        // A time in the future is no age.
        let age = now.wall.duration_since(self.look.newest).unwrap_or_default();
        match settle.checked_sub(unchanged.max(age)) {
            Some(left) if !left.is_zero() && verified != Some(self.stamp()) => Settled::In(left),
            _ => Settled::Yes,
        }
    }
}
