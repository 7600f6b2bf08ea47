//! Whether the process is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A word to everybody who answers requests that the process is about to end. It is not taken back.
///
/// Whoever sends requests has to hear of it before the ports close, or some of them find nobody: so
/// probes say it, and each answer closes its connection, which has its client make another one, to
/// a process that stays.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// Says it.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was said.
    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
