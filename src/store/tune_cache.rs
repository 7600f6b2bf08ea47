//! Measurements of models, kept from one start to the next.
//!
//! One small JSON file for each model, engine and machine. A cache is a convenience: a directory
//! that cannot be used, or a file that cannot be read, only means to measure again.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ModelDir;

/// Changes whenever what is measured or how it is written does.
const FORMAT: u32 = 3;
/// Files kept; the oldest go first.
pub(super) const ENTRIES_MAX: usize = 256;
/// Largest file that is read, in bytes: a hundred times what is written.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;
const PREFIX: &str = "tune-";

/// What a measurement depends on beside the model itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneConditions {
    /// Engine, version and provider: `onnxruntime 1.31.1 (CPUExecutionProvider)`.
    pub engine: String,
    /// Threads within one run.
    pub intra_op_threads: usize,
    /// Cores that the process may use.
    pub cores: usize,
    /// Most rows that are measured.
    pub rows_max: usize,
    /// Most time that measuring takes.
    pub time_max: Duration,
}

/// Names a measurement: the same for the same model under the same conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneKey(String);

impl TuneKey {
    /// Reads all of the model's graph and weights, in pieces.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(model: &ModelDir, conditions: &TuneConditions) -> io::Result<Self> {
        Self::on(&processor(), model, conditions)
    }

    pub(super) fn on(
        processor: &str,
        model: &ModelDir,
        conditions: &TuneConditions,
    ) -> io::Result<Self> {
        let TuneConditions { engine, intra_op_threads, cores, rows_max, time_max } = conditions;
        let session = format!("{:?} {:?}", model.onnx.providers, model.onnx.session);
        let numbers = format!("{FORMAT} {intra_op_threads} {cores} {rows_max} {time_max:?}");
        let mut key = Sha256::new();
        for text in [processor, engine, &session, &numbers, env!("CARGO_PKG_VERSION")] {
            part(&mut key, text.as_bytes());
        }
        part(&mut key, model.serving_input.as_deref().unwrap_or_default());
        for path in [&model.graph].into_iter().chain(&model.external) {
            key.update(digest(File::open(path)?)?);
        }
        Ok(Self(format!("{:x}", Bytes::copy_from_slice(&key.finalize()))))
    }
}

/// The content's SHA-256, read in pieces: weights may be larger than the memory that is free.
fn digest(mut content: impl Read) -> io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(bytes) => digest.update(&piece[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Adds a part whose end cannot be taken for the start of the next.
fn part(key: &mut Sha256, bytes: &[u8]) {
    key.update((bytes.len() as u64).to_le_bytes());
    key.update(bytes);
}

/// The processor's name, empty where the system does not tell it.
fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map(|(_, name)| name.trim().to_owned()).unwrap_or_default()
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneRecord {
    /// Why requests run alone, if they do.
    pub alone: Option<String>,
    /// Rows of a run and its time.
    pub points: Vec<(usize, Duration)>,
}

/// A record as it is written; times in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Entry {
    format: u32,
    alone: Option<String>,
    points: Vec<(usize, u64)>,
}

/// A directory of measurements. Several processes may share one.
#[derive(Clone, Debug)]
pub struct TuneCache {
    dir: PathBuf,
}

impl TuneCache {
    /// A cache in that directory, which is made when there is something to keep.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The measurement of that key. `None` when there is none that can be read.
    pub fn get(&self, key: &TuneKey) -> Option<TuneRecord> {
        let path = self.path(key);
        match read(&path) {
            Ok(record) => Some(record),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "a measurement is not readable");
                None
            }
        }
    }

    /// Keeps a measurement: whole, or not at all.
    pub fn put(&self, key: &TuneKey, record: &TuneRecord) {
        if let Err(error) = self.write(key, record).and_then(|()| self.evict()) {
            tracing::debug!(%error, dir = %self.dir.display(), "the measurement is not kept");
        }
    }

    fn path(&self, TuneKey(key): &TuneKey) -> PathBuf {
        self.dir.join(format!("{PREFIX}{key}.json"))
    }

    fn write(&self, key: &TuneKey, record: &TuneRecord) -> io::Result<()> {
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let points = record.points.iter().map(|(rows, time)| (*rows, nanos(time))).collect();
        let entry = Entry { format: FORMAT, alone: record.alone.clone(), points };
        fs::create_dir_all(&self.dir)?;
        // Evicted like the others if a crash leaves it behind.
        let mut file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&self.dir)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.persist(self.path(key))?;
        Ok(())
    }

    /// Removes the oldest files beyond the number that is kept.
    fn evict(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.dir)?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
                let modified = is_ours.then(|| entry.metadata())?.ok()?.modified().ok()?;
                Some((modified, entry.path()))
            })
            .collect();
        entries.sort_unstable();
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        for (_, path) in entries.iter().take(surplus) {
            // Another process may have been faster.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<TuneRecord> {
    let mut bytes = Vec::new();
    File::open(path)?.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
    let Entry { format, alone, points } = serde_json::from_slice(&bytes)?;
    if format != FORMAT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another format"));
    }
    let points = points.into_iter().map(|(rows, nanos)| (rows, Duration::from_nanos(nanos)));
    Ok(TuneRecord { alone, points: points.collect() })
}
