mod fetching;
mod keeping;
mod known;
mod processes;
mod quarantine;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;

use crate::model::{ModelName, VersionId};
use crate::store::{
    About, ByteStream, Cache, CacheKey, CacheOptions, RemoteDir, RemoteError, RemoteFile,
};

/// What a file of the fake store sends.
#[derive(Clone)]
enum Content {
    Whole(Vec<u8>),
    /// So much, then nothing more until the gate opens, then the rest.
    Gated(Vec<u8>, Rc<Notify>),
    /// So much, then nothing more for ever.
    Hangs(Vec<u8>),
    /// One byte after another, without end.
    Trickles,
    /// So much, then an error.
    Breaks(Vec<u8>),
}

/// An artifact store in memory.
struct FakeRemote {
    /// Path, size as listed, content.
    files: Vec<(String, Option<u64>, Content)>,
    reads: Cell<usize>,
    /// The most reads at once.
    reading: Rc<Cell<usize>>,
    reading_most: Cell<usize>,
    listings: RefCell<Vec<RemoteError>>,
}

impl FakeRemote {
    fn new<const N: usize>(files: [(&str, Content); N]) -> Self {
        let files = files.map(|(path, content)| {
            let bytes = match &content {
                Content::Whole(bytes) | Content::Gated(bytes, _) => bytes.len() as u64,
                // More than ever comes.
                _ => 1000,
            };
            (path.to_owned(), Some(bytes), content)
        });
        Self {
            files: files.into(),
            reads: Cell::default(),
            reading: Rc::default(),
            reading_most: Cell::default(),
            listings: RefCell::default(),
        }
    }

    /// A usual model; its graph has so many bytes.
    fn model(graph_bytes: usize) -> Self {
        Self::new([
            ("MLmodel", whole(10)),
            ("metadata/conda.yaml", whole(7)),
            ("model.onnx", whole(graph_bytes)),
        ])
    }

    fn listed(mut self, path: &str, bytes: Option<u64>) -> Self {
        let file = self.files.iter_mut().find(|file| file.0 == path);
        file.expect("the store has the file").1 = bytes;
        self
    }
}

impl RemoteDir for FakeRemote {
    async fn list(&self) -> Result<Vec<RemoteFile>, RemoteError> {
        if let Some(error) = self.listings.borrow_mut().pop() {
            return Err(error);
        }
        let files = self.files.iter();
        Ok(files.map(|(path, bytes, _)| RemoteFile { path: path.clone(), bytes: *bytes }).collect())
    }

    async fn read(&self, path: &str) -> Result<ByteStream, RemoteError> {
        self.reads.set(self.reads.get() + 1);
        self.reading.set(self.reading.get() + 1);
        self.reading_most.set(self.reading_most.get().max(self.reading.get()));
        let file = self.files.iter().find(|file| file.0 == path);
        let (.., content) = file.ok_or_else(|| RemoteError::Missing(path.to_owned()))?;
        let pieces = |bytes: &[u8]| {
            stream::iter(bytes.chunks(4).map(Bytes::copy_from_slice).map(Ok).collect::<Vec<_>>())
                .then(|piece| async {
                    tokio::task::yield_now().await;
                    piece
                })
        };
        let reading = self.reading.clone();
        let end = stream::once(async move {
            reading.set(reading.get() - 1);
            Ok(Bytes::new())
        });
        Ok(match content.clone() {
            Content::Whole(bytes) => Box::pin(pieces(&bytes).chain(end)),
            Content::Gated(bytes, gate) => {
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                let gate = stream::once(async move {
                    gate.notified().await;
                    Ok(Bytes::new())
                });
                Box::pin(pieces(first).chain(gate).chain(pieces(rest)).chain(end))
            }
            Content::Hangs(bytes) => Box::pin(pieces(&bytes).chain(stream::pending())),
            Content::Trickles => Box::pin(stream::repeat(()).then(|()| async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(Bytes::from_static(b"x"))
            })),
            Content::Breaks(bytes) => {
                let error = RemoteError::Unreachable("the store hung up".to_owned());
                Box::pin(pieces(&bytes).chain(stream::iter([Err(error)])))
            }
        })
    }
}

/// So many bytes, not all the same.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn whole(bytes: usize) -> Content {
    Content::Whole(content(bytes))
}

pub(super) fn options(dir: &Path) -> CacheOptions {
    CacheOptions {
        dir: dir.to_owned(),
        bytes_max: 10_000,
        free_bytes_min: 0,
        file_bytes_max: 5000,
        files_max: 100,
        streams_max: 2,
        list_time_max: Duration::from_mins(1),
        fetch_time_max: Duration::from_mins(1),
        stall_time_max: Duration::from_secs(30),
        stall_bytes_min: 1,
        known_max: 3,
    }
}

fn open(dir: &Path) -> Cache {
    Cache::open(options(dir)).unwrap()
}

fn about() -> About {
    About {
        model: ModelName::new("churn").unwrap(),
        version: VersionId(3),
        origin: "https://me:secret@host/models/3?sig=secret".to_owned(),
    }
}

fn key(name: &str) -> CacheKey {
    CacheKey::of("s3://bucket/churn", name)
}

/// The names in one of the cache's own directories, sorted.
fn names(cache: &Cache, place: &str) -> Vec<String> {
    let entries = fs::read_dir(cache.options.dir.join(place)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn version_file(cache: &Cache, key: &CacheKey, path: &str) -> PathBuf {
    cache.options.dir.join("versions").join(key.as_str()).join(path)
}
