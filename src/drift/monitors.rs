//! The monitors of all versions in memory.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Monitor;

/// Finds the monitors of what is loaded. Clones are the same.
#[derive(Clone)]
pub struct Monitors(Arc<Book>);

struct Book {
    started: Instant,
    monitors: Mutex<Vec<Weak<Monitor>>>,
}

impl Default for Monitors {
    fn default() -> Self {
        Self(Arc::new(Book { started: Instant::now(), monitors: Mutex::default() }))
    }
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitors").finish_non_exhaustive()
    }
}

impl Monitors {
    /// The time that all monitors count by: since these were made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Counts and shows this one too, for as long as somebody has it.
    pub fn add(&self, monitor: &Arc<Monitor>) {
        let mut monitors = self.0.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.retain(|one| one.strong_count() > 0);
        monitors.push(Arc::downgrade(monitor));
    }

    /// Those that there are, in the order in which they came.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Monitor>> {
        let monitors = self.0.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.iter().filter_map(Weak::upgrade).collect()
    }
}
