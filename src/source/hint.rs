//! That something changed on disk: a reason to look now, never the truth.
//!
//! Changes are lost where the operating system does not tell (network file systems), where its
//! limits are reached, or while a path is away. Whoever uses a hint looks regularly as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// How long changes are gathered: who writes several files is looked at once.
const GATHER: Duration = Duration::from_millis(50);

/// Tells that something has changed.
pub struct Hint {
    changes: Receiver<()>,
    /// A change that was received and not yet told.
    untold: bool,
}

/// Watches paths, which need not exist yet, on a thread of its own, and feeds a [`Hint`].
pub struct Watch {
    /// Absolute, as given: what a link leads to may change.
    paths: Vec<PathBuf>,
    /// `None` when the operating system refused.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Whether a watch was refused before.
    refused: bool,
    /// A path itself came, went or became another one, so that the old watch sees nothing more;
    /// or there was no watch so far.
    moved: Arc<AtomicBool>,
}

impl Hint {
    /// What will tell of everything at and under the paths, and of their parents for what replaces
    /// them, from the first [`Watch::renew`] on. Where the operating system refuses, the log says
    /// so and no change is ever told. Does not look at the paths.
    #[must_use]
    pub fn of(paths: Vec<PathBuf>) -> (Self, Watch) {
        let paths: Vec<PathBuf> =
            paths.into_iter().filter_map(|path| std::path::absolute(path).ok()).collect();
        // One change that waits says as much as many.
        let (sender, changes) = mpsc::channel(1);
        let moved = Arc::new(AtomicBool::new(true));
        let told = Teller { paths: paths.clone(), sender, moved: Arc::clone(&moved) };
        let watcher = notify::recommended_watcher(move |event| told.take(&event));
        let watcher = watcher.map_err(|error| no_watch(&error)).ok();
        let watch = Watch { paths, watcher, watched: BTreeSet::new(), refused: false, moved };
        (Self { changes, untold: false }, watch)
    }

    /// Waits until something has changed since the last call. The watch is to be renewed then. May
    /// be dropped while it waits: nothing is lost.
    pub async fn changed(&mut self) {
        if !self.untold {
            if self.changes.recv().await.is_none() {
                // Nobody tells, so nothing is told.
                std::future::pending::<()>().await;
            }
            self.untold = true;
        }
        tokio::time::sleep(GATHER).await;
        // What comes after this is told by the next call.
        while self.changes.try_recv().is_ok() {}
        self.untold = false;
    }
}

impl Watch {
    /// Watches what is at the paths now, if that may be something else than before. To be called
    /// before each look: what changes after it is told. Blocks while it looks at the paths, for as
    /// long as the file system does not answer.
    pub fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if !self.moved.swap(false, Ordering::AcqRel) {
            return;
        }
        for path in std::mem::take(&mut self.watched) {
            // What is gone is watched no more anyway.
            let _ = watcher.unwatch(&path);
        }
        for path in &self.paths {
            let anchor = path.ancestors().skip(1).find(|ancestor| ancestor.is_dir());
            let places = [
                anchor.map(|anchor| (anchor, RecursiveMode::NonRecursive)),
                path.exists().then_some((path.as_path(), RecursiveMode::Recursive)),
            ];
            for (place, mode) in places.into_iter().flatten() {
                match watcher.watch(place, mode) {
                    Ok(()) => {
                        self.watched.insert(place.to_owned());
                    }
                    // Said once: it may stay so for every change to come.
                    Err(error) if !self.refused => {
                        self.refused = true;
                        no_watch(&error);
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

fn no_watch(error: &notify::Error) {
    tracing::warn!(%error, "changes on disk are not told at once; they are seen at the next poll");
}

/// What the watcher's thread does with an event.
struct Teller {
    paths: Vec<PathBuf>,
    sender: Sender<()>,
    moved: Arc<AtomicBool>,
}

impl Teller {
    fn take(&self, event: &notify::Result<Event>) {
        let concern = match event {
            Ok(event) if leaves_content(event.kind) => return,
            // Events were lost.
            Ok(event) if event.need_rescan() => Some(Concern::Moved),
            Ok(event) => {
                let pairs = event
                    .paths
                    .iter()
                    .flat_map(|changed| self.paths.iter().map(move |path| (path, changed)));
                pairs.filter_map(|(path, changed)| concern(path, changed)).max()
            }
            Err(error) => {
                tracing::debug!(%error, "a watch on the disk fails");
                Some(Concern::Moved)
            }
        };
        if concern == Some(Concern::Moved) {
            self.moved.store(true, Ordering::Release);
        }
        if concern.is_some() {
            // Full: a change waits already.
            let _ = self.sender.try_send(());
        }
    }
}

/// Our own looks are such events. Who reads a database opens its log as a writer does, and even
/// gives it its owner anew.
fn leaves_content(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)))
}

/// What a change means for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    /// Something under it, or a file that belongs to it.
    Content,
    /// Itself, or a directory above it.
    Moved,
}

/// Beside a path its companions count (`mlflow.db-wal`, but not `mlflow.db-shm`, which readers
/// write as well), and the links that Kubernetes swaps to replace all files of a volume at once
/// (`..data`).
fn concern(path: &Path, changed: &Path) -> Option<Concern> {
    if path.starts_with(changed) {
        return Some(Concern::Moved);
    }
    if changed.starts_with(path) {
        return Some(Concern::Content);
    }
    let name = |path: &'_ Path| path.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
    let (own, other) = (name(path), name(changed));
    let is_beside = path.parent() == changed.parent();
    if is_beside && other.starts_with(b"..") {
        Some(Concern::Moved)
    } else if is_beside && other.strip_prefix(own.as_slice()).is_some_and(|rest| rest != b"-shm") {
        Some(Concern::Content)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, MetadataKind};

    use super::*;

    #[test]
    fn what_concerns_a_path_is_told_and_nothing_else() {
        let path = Path::new("/srv/models/wine");
        let cases = [
            ("/srv/models/wine", Some(Concern::Moved)),
            ("/srv/models", Some(Concern::Moved)),
            ("/srv/models/..data", Some(Concern::Moved)),
            ("/srv/models/wine/registry.yaml", Some(Concern::Content)),
            ("/srv/models/wine/..data", Some(Concern::Content)),
            ("/srv/models/wine/2/model.onnx", Some(Concern::Content)),
            ("/srv/models/wine-journal", Some(Concern::Content)),
            ("/srv/models/wine-shm", None),
            ("/srv/models/churn", None),
            ("/srv/models/churn/wine", None),
            ("/srv/other", None),
        ];
        for (changed, want) in cases {
            assert_eq!(concern(path, Path::new(changed)), want, "{changed}");
        }
    }

    /// Whoever looks at the files reads them: were that told, looking would never end.
    #[test]
    fn reading_is_no_change() {
        let (sender, mut changes) = mpsc::channel(1);
        let moved = Arc::new(AtomicBool::new(false));
        let teller = Teller { paths: vec!["/srv/wine".into()], sender, moved };
        let mut told = |kind: EventKind| {
            teller.take(&Ok(Event::new(kind).add_path("/srv/wine/1/MLmodel".into())));
            changes.try_recv().is_ok()
        };
        let access = |kind| EventKind::Access(kind);
        assert!(!told(access(AccessKind::Open(AccessMode::Any))));
        assert!(!told(access(AccessKind::Close(AccessMode::Read))));
        assert!(!told(access(AccessKind::Close(AccessMode::Write))));
        assert!(told(EventKind::Create(CreateKind::File)));
        assert!(!told(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))));
        assert!(told(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
    }
}
