//! Asking one registry, wherever it is: one question at a time, whatever becomes of it.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::batch::message_of;
use crate::model::VersionId;
use crate::source::{Aspired, FileSource, Hint, MlflowSource, SourceError, Told, Watch};
use crate::store::RemoteError;

use super::readers::{Lane, Panic, Readers};

/// How often a question that is out is looked after.
const RELIEF_INTERVAL: Duration = Duration::from_secs(1);

/// What a registry says.
pub(super) type Said = Result<Option<Aspired>, SourceError>;

/// A registry that can be asked.
pub(super) trait Ask {
    /// The version that should serve now. May be dropped while it waits; a question that does not
    /// come back is not asked again before it has. A panic is an error.
    async fn ask(&mut self) -> Said;

    /// Waits for a reason to ask before it is time. May be dropped while it waits: nothing is lost.
    async fn stirred(&mut self);

    /// Tells it what became of a version, where it has a place for that. May be dropped while it
    /// waits: then it may have been told or not.
    async fn tell(&mut self, version: VersionId, told: &Told) -> Result<(), RemoteError>;

    /// How long after the last answer another question is worth it, before the next regular one.
    fn settles_in(&self) -> Option<Duration>;
}

/// A server: asked where it is asked from, and never heard of in between.
pub(super) struct Remote(pub(super) Box<MlflowSource>);

/// Files: looked at on a thread of their registry, and a hint when they change.
pub(super) struct Files {
    lane: Lane,
    hint: Option<Hint>,
    /// `None` while a question is out.
    here: Option<Watched>,
    out: Option<oneshot::Receiver<(Watched, Result<Said, Panic>)>>,
}

struct Watched {
    source: FileSource,
    watch: Option<Watch>,
}

impl Ask for Remote {
    async fn ask(&mut self) -> Said {
        contained(self.0.aspired()).await.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    async fn stirred(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn tell(&mut self, version: VersionId, told: &Told) -> Result<(), RemoteError> {
        self.0.tell(version, told).await
    }

    fn settles_in(&self) -> Option<Duration> {
        None
    }
}

impl Files {
    pub(super) fn new(source: FileSource, readers: &Readers) -> Self {
        let lane = readers.lane(source.registry());
        let places = source.places();
        let (hint, watch) = if places.is_empty() {
            (None, None)
        } else {
            let (hint, watch) = Hint::of(places);
            (Some(hint), Some(watch))
        };
        Self { lane, hint, here: Some(Watched { source, watch }), out: None }
    }

    /// Waits for the question that is out, if there is one.
    async fn back(&mut self) -> Option<Said> {
        let out = self.out.as_mut()?;
        let back = loop {
            tokio::select! {
                back = &mut *out => break back,
                () = tokio::time::sleep(RELIEF_INTERVAL) => self.lane.relieve(),
            }
        };
        self.out = None;
        let (watched, said) = back.ok()?;
        self.here = Some(watched);
        Some(said.unwrap_or_else(|panic| Err(panicked(&*panic))))
    }
}

impl Ask for Files {
    async fn ask(&mut self) -> Said {
        // What a question says that was given up is old: it is asked anew.
        let _old = self.back().await;
        if let Some(watched) = self.here.take() {
            self.out = Some(self.lane.ask(watched, Watched::look));
        }
        let stopped = || SourceError::Unreadable("nobody looks at files any more".to_owned());
        self.back().await.unwrap_or_else(|| Err(stopped()))
    }

    async fn stirred(&mut self) {
        if self.out.is_some() {
            self.back().await;
            return;
        }
        match &mut self.hint {
            Some(hint) => hint.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Files are read only.
    async fn tell(&mut self, _version: VersionId, _told: &Told) -> Result<(), RemoteError> {
        Ok(())
    }

    fn settles_in(&self) -> Option<Duration> {
        self.here.as_ref()?.source.settles_in()
    }
}

impl Watched {
    /// Blocks, for ever where the file system does not answer.
    fn look(&mut self) -> Said {
        // Before the look: what changes while it takes place is told.
        if let Some(watch) = &mut self.watch {
            watch.renew();
        }
        self.source.aspired()
    }
}

/// A future whose panic is an answer.
pub(super) async fn contained<T>(future: impl Future<Output = T>) -> Result<T, Panic> {
    let mut future = pin!(future);
    poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
            Ok(Poll::Pending) => Poll::Pending,
            // It is not polled again.
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn panicked(panic: &(dyn Any + Send)) -> SourceError {
    SourceError::Unreadable(format!("the look at it panicked: {}", message_of(panic)))
}
