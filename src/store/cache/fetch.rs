//! A fetch, from the listing to the version that is whole on disk.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::store::{RemoteDir, RemoteError, RemoteFile};

use super::check::{CheckedListing, check};
use super::directory::Cache;
use super::download::{ReceiveError, receive};
use super::error::{CacheError, FetchError};
use super::evict::Need;
use super::held::Held;
use super::key::CacheKey;
use super::lock::{ExclusiveLock, SharedLock};
use super::manifest::{About, Manifest, ManifestFile};
use super::partial::{Partial, bytes_below, sync};

/// How often a lock is looked at that somebody else holds for as long as a fetch takes.
const TURN_POLL: Duration = Duration::from_millis(100);
/// The same for locks that are held for a moment only.
const MOMENT: Duration = Duration::from_millis(10);

/// Whose turn it is to fetch a version.
enum Turn {
    Ours(ExclusiveLock),
    /// Somebody else has fetched it.
    Done(Held),
}

/// What has arrived of a version.
#[derive(Debug, Default)]
struct Tally {
    received: Cell<u64>,
    /// Like `received`, with what else counts as moving on: a file that ends, however small.
    moved: Cell<u64>,
}

impl Cache {
    /// Returns the version of that key, and fetches it before if it is not there. `progress` hears
    /// how many bytes have come and how many are expected (0 where the store does not tell).
    ///
    /// Whoever else fetches the same version is waited for, and its result taken; when it dies,
    /// this fetch begins anew. Dropping the future ends the fetch and removes what it has written.
    ///
    /// # Errors
    /// When the artifacts cannot be had whole, are no model directory, or find no room in time.
    pub async fn fetch<R: RemoteDir>(
        &self,
        key: &CacheKey,
        about: &About,
        remote: &R,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Held, FetchError> {
        let time_max = self.options.fetch_time_max;
        let fetch = Box::pin(self.fetch_untimed(key, about, remote, &mut progress));
        let fetched = tokio::time::timeout(time_max, fetch).await;
        fetched.unwrap_or(Err(FetchError::TooSlow(time_max)))
    }

    async fn fetch_untimed<R: RemoteDir>(
        &self,
        key: &CacheKey,
        about: &About,
        remote: &R,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Held, FetchError> {
        if let Some(held) = self.find(key) {
            return Ok(held);
        }
        let listing = self.list(about, remote).await?;
        let lock = match self.turn(key, listing.bytes, progress).await? {
            Turn::Ours(lock) => lock,
            Turn::Done(held) => return Ok(held),
        };
        let partial = self.reserve(key, lock, listing.bytes).await?;
        let files = self.download(remote, &listing, &partial, progress).await?;
        let manifest = Manifest::new(key, about, files);
        if manifest.bytes() != listing.bytes {
            self.reserve_again(key, &partial, manifest.bytes()).await?;
        }
        partial.finish(&manifest)?;
        self.publish(key, &partial).await
    }

    async fn list<R: RemoteDir>(
        &self,
        about: &About,
        remote: &R,
    ) -> Result<CheckedListing, FetchError> {
        let origin = crate::store::without_secrets(&about.origin);
        let time_max = self.options.list_time_max;
        let listed = tokio::time::timeout(time_max, remote.list()).await.map_err(|_| {
            RemoteError::Unreachable(format!("`{origin}` was not listed in {time_max:?}"))
        })?;
        check(listed?, &self.options).map_err(|cause| FetchError::Listing { origin, cause })
    }

    /// Waits until nobody else fetches the version.
    async fn turn(
        &self,
        key: &CacheKey,
        total: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Turn, FetchError> {
        // Twice what a fetch may stand still, so that its own end comes first.
        let patience = 2 * self.options.stall_time_max;
        let path = self.fetch_lock(key);
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let lock = ExclusiveLock::try_take(&path).map_err(CacheError::on("lock", &path))?;
            if let Some(lock) = lock {
                return Ok(self.find(key).map_or(Turn::Ours(lock), Turn::Done));
            }
            let bytes = bytes_below(&self.partial(key));
            if bytes > seen {
                (seen, since) = (bytes, Instant::now());
                progress(bytes.min(total), total);
            } else if since.elapsed() > patience {
                return Err(FetchError::Busy(patience));
            }
            tokio::time::sleep(TURN_POLL).await;
        }
    }

    async fn reserve(
        &self,
        key: &CacheKey,
        lock: ExclusiveLock,
        bytes: u64,
    ) -> Result<Partial, FetchError> {
        let _room = self.room().await?;
        self.make_room(key, Need { version: bytes, writes: bytes })?;
        Ok(Partial::create(self.partial(key), lock, bytes)?)
    }

    /// For a version whose size was not told before it was there.
    async fn reserve_again(
        &self,
        key: &CacheKey,
        partial: &Partial,
        bytes: u64,
    ) -> Result<(), FetchError> {
        let _room = self.room().await?;
        self.make_room(key, Need { version: bytes, writes: 0 })?;
        Ok(partial.reserve(bytes)?)
    }

    /// One looks for room at a time, or changes what takes room.
    async fn room(&self) -> Result<ExclusiveLock, FetchError> {
        let path = self.room_lock();
        loop {
            let lock = ExclusiveLock::try_take(&path).map_err(CacheError::on("lock", &path))?;
            if let Some(lock) = lock {
                return Ok(lock);
            }
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// Downloads all files, a few at once, as long as something arrives.
    async fn download<R: RemoteDir>(
        &self,
        remote: &R,
        listing: &CheckedListing,
        partial: &Partial,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<ManifestFile>, FetchError> {
        let tally = Tally::default();
        let progress = RefCell::new(progress);
        let on_bytes = |bytes| {
            let received = tally.received.get().saturating_add(bytes);
            tally.received.set(received);
            tally.moved.set(tally.moved.get().saturating_add(bytes));
            (progress.borrow_mut())(received, listing.bytes);
            received <= self.options.bytes_max
        };
        let files = listing.files.iter().map(|file| async {
            let received = self.download_file(remote, partial, file, &on_bytes).await?;
            // The time that it took to sync it is no stall either.
            let moved = received.bytes.max(self.options.stall_bytes_min);
            tally.moved.set(tally.moved.get().saturating_add(moved));
            Ok(received)
        });
        let files = stream::iter(files).buffer_unordered(self.options.streams_max.max(1));
        let mut files: Vec<_> = tokio::select! {
            biased;
            files = files.try_collect() => files,
            stalled = self.stall(&tally, listing.bytes) => Err(stalled),
        }?;
        files.sort_unstable_by(|a: &ManifestFile, b| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn download_file<R: RemoteDir>(
        &self,
        remote: &R,
        partial: &Partial,
        file: &RemoteFile,
        on_bytes: &impl Fn(u64) -> bool,
    ) -> Result<ManifestFile, FetchError> {
        let RemoteFile { path, bytes: listed } = file;
        let bytes_max = listed.unwrap_or(self.options.file_bytes_max);
        let stream = remote.read(path).await?;
        let (place, mut target) = partial.create_file(path)?;
        let received = receive(stream, bytes_max, &mut target, on_bytes).await;
        let received = received.map_err(|error| match (error, *listed) {
            (ReceiveError::Remote(error), _) => FetchError::Remote(error),
            (ReceiveError::Write(cause), _) => CacheError::on("write", &place)(cause).into(),
            (ReceiveError::TooMany(received), Some(listed)) => {
                FetchError::Size { path: path.clone(), listed, received }
            }
            (ReceiveError::TooMany(_), None) => {
                FetchError::TooLarge { path: path.clone(), bytes_max }
            }
        })?;
        if let Some(listed) = listed.filter(|listed| *listed != received.bytes) {
            let received = received.bytes;
            return Err(FetchError::Size { path: path.clone(), listed, received });
        }
        target.sync_all().map_err(CacheError::on("sync", &place))?;
        Ok(ManifestFile { path: path.clone(), bytes: received.bytes, sha256: received.sha256 })
    }

    /// Returns when too little has arrived for too long.
    async fn stall(&self, tally: &Tally, total: u64) -> FetchError {
        let (time, bytes_min) = (self.options.stall_time_max, self.options.stall_bytes_min);
        let mut seen = 0;
        loop {
            tokio::time::sleep(time).await;
            let moved = tally.moved.get();
            if moved - seen < bytes_min.max(1) {
                let received = tally.received.get();
                return FetchError::Stalled { time, bytes_min, received, total };
            }
            seen = moved;
        }
    }

    /// Makes the partial directory the version's.
    async fn publish(&self, key: &CacheKey, partial: &Partial) -> Result<Held, FetchError> {
        let (path, version) = (self.serve_lock(key), self.version(key));
        // Taken before the version is there, so that nobody evicts it between.
        let lock = loop {
            match SharedLock::try_take(&path).map_err(CacheError::on("lock", &path))? {
                Some(lock) => break lock,
                None => tokio::time::sleep(MOMENT).await,
            }
        };
        // What is partial and what is complete is counted under the same lock.
        let room = self.room().await?;
        match fs::rename(partial.version(), &version) {
            Ok(()) => sync(&self.versions())?,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                tracing::debug!(%key, "another process was faster; its version is taken");
            }
            Err(error) => return Err(CacheError::on("rename to", &version)(error).into()),
        }
        drop(room);
        let held = Held::take(key, version, lock);
        let held = held.map_err(|(damage, _lock)| FetchError::Damaged(damage))?;
        held.touch();
        Ok(held)
    }
}
