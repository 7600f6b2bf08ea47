//! The monitors of all versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{ModelId, ModelName};

use super::Monitor;

/// Unloaded versions of one model that are still shown, at most.
const RETIRED_MAX: usize = 4;

/// Has the monitor of every version, for as long as the version is loaded and a while longer.
/// Clones are the same.
#[derive(Clone)]
pub struct Monitors(Arc<Book>);

struct Book {
    started: Instant,
    retention: Duration,
    monitors: Mutex<HashMap<ModelId, Kept>>,
}

struct Kept {
    monitor: Arc<Monitor>,
    /// Since when nobody else has it.
    retired: Option<Duration>,
}

impl Default for Monitors {
    fn default() -> Self {
        Self::new(Duration::ZERO)
    }
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitors").finish_non_exhaustive()
    }
}

impl Monitors {
    /// Shows what is unloaded for so long.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        let (started, monitors) = (Instant::now(), Mutex::default());
        Self(Arc::new(Book { started, retention, monitors }))
    }

    /// The time that all monitors count by: since these were made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The monitor of a version that is loaded: `new`, or the one that has watched it so far, in
    /// the same way. Counts go on then, also where a version is loaded anew while it still serves.
    #[must_use]
    pub fn watch(&self, new: Monitor) -> Arc<Monitor> {
        let mut monitors = self.monitors();
        if let Some(kept) = monitors.get_mut(new.id())
            && kept.monitor.stands_for(&new)
        {
            kept.retired = None;
            return Arc::clone(&kept.monitor);
        }
        let monitor = Arc::new(new);
        let kept = Kept { monitor: Arc::clone(&monitor), retired: None };
        monitors.insert(monitor.id().clone(), kept);
        monitor
    }

    /// Those that there are, one for each version, by model and version.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Monitor>> {
        let mut all: Vec<_> =
            self.monitors().values().map(|kept| Arc::clone(&kept.monitor)).collect();
        all.sort_by(|a, b| (&a.id().name, a.id().version).cmp(&(&b.id().name, b.id().version)));
        all
    }

    /// Lets go of those whose versions have been unloaded for long enough. To be called now and
    /// then.
    pub fn tend(&self) {
        let now = self.now();
        let mut monitors = self.monitors();
        for kept in monitors.values_mut() {
            // Whoever looks at it has it for a moment, too: only a version takes it back.
            if Arc::strong_count(&kept.monitor) == 1 {
                kept.retired.get_or_insert(now);
            }
        }
        let is_over = |since: Duration| now.saturating_sub(since) >= self.0.retention;
        monitors.retain(|_, kept| !kept.retired.is_some_and(is_over));
        for (_, surplus) in surplus(&monitors) {
            monitors.remove(&surplus);
        }
    }

    /// Nothing that the lock guards can be left half done.
    fn monitors(&self) -> MutexGuard<'_, HashMap<ModelId, Kept>> {
        self.0.monitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of each model the versions that went first, beyond those that may be kept.
fn surplus(monitors: &HashMap<ModelId, Kept>) -> Vec<(Duration, ModelId)> {
    let mut by_model: HashMap<&ModelName, Vec<(Duration, ModelId)>> = HashMap::new();
    for (id, kept) in monitors {
        if let Some(retired) = kept.retired {
            by_model.entry(&id.name).or_default().push((retired, id.clone()));
        }
    }
    let beyond = by_model.into_values().flat_map(|mut retired| {
        retired.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        retired.into_iter().skip(RETIRED_MAX)
    });
    beyond.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{DriftOptions, NoReference, Origin, Reference, WindowLength};
    use crate::model::{GraphIo, VersionId};

    fn id(version: u64) -> ModelId {
        ModelId { name: ModelName::new("wine").unwrap(), version: VersionId(version) }
    }

    fn options() -> DriftOptions {
        DriftOptions {
            is_on: true,
            windows: WindowLength::usual().into(),
            rows_min: 500,
            features_max: 64,
            features_exported_max: 64,
            has_bins: false,
            live_rows: None,
        }
    }

    fn watching(version: u64, digest: &str) -> Monitor {
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        let reference =
            Reference { signature: None, rows: 1, inputs: Vec::new(), outputs: Vec::new() };
        let basis = (Origin::Model, digest.to_owned());
        Monitor::watching(id(version), options(), &io, reference, basis)
    }

    #[test]
    fn a_version_that_is_loaded_again_has_its_monitor_unless_its_reference_is_another() {
        let monitors = Monitors::new(Duration::from_mins(1));
        let first = monitors.watch(watching(1, "a"));
        let beside = monitors.watch(watching(1, "a"));
        assert!(Arc::ptr_eq(&first, &beside));
        let first_at = Arc::as_ptr(&first);
        drop((first, beside));
        monitors.tend();
        let again = monitors.watch(watching(1, "a"));
        assert!(std::ptr::eq(Arc::as_ptr(&again), first_at), "within the retention");
        let changed = monitors.watch(watching(1, "b"));
        assert!(!Arc::ptr_eq(&again, &changed));
        let all = monitors.all();
        assert!(all.len() == 1 && Arc::ptr_eq(&all[0], &changed), "a version is shown once");
        let idle = Monitor::idle(id(1), options(), NoReference::Absent);
        assert!(!Arc::ptr_eq(&changed, &monitors.watch(idle)));
    }

    #[test]
    fn what_is_unloaded_is_shown_for_a_while_and_not_too_many_of_it() {
        let monitors = Monitors::new(Duration::from_mins(1));
        for version in 1..=9 {
            drop(monitors.watch(watching(version, "a")));
            monitors.tend();
        }
        let loaded = monitors.watch(watching(10, "a"));
        monitors.tend();
        let versions: Vec<_> = monitors.all().iter().map(|one| one.id().version.0).collect();
        assert_eq!(versions, [6, 7, 8, 9, 10]);
        let forgetful = Monitors::default();
        drop(forgetful.watch(watching(1, "a")));
        forgetful.tend();
        assert!(forgetful.all().is_empty());
        drop(loaded);
    }
}
