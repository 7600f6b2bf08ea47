//! An input as a window over its bytes: what has been read and not been used.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::PredictError;

/// Least that is read at a time.
const READ_BYTES: usize = 256 << 10;

/// The longest record. Without a bound, one quote left open would read a whole file into memory.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 20;

/// Bytes of an input, read as they are needed.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
    /// Least that is read at a time.
    read_bytes: usize,
    bytes_read: Arc<AtomicU64>,
}

impl Input {
    /// Opens a file, or standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(
        path: Option<&Path>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, PredictError> {
        let name = name_of(path);
        let reader: Box<dyn Read + Send> = match path {
            None => Box::new(io::stdin()),
            Some(path) => Box::new(open_file(path)?),
        };
        let (buffer, read_bytes) = (Vec::new(), READ_BYTES);
        Ok(Self { name, reader, buffer, start: 0, ended: false, read_bytes, bytes_read })
    }

    /// A text that is read in small pieces.
    #[cfg(test)]
    pub(super) fn of_text(text: &str, read_bytes: usize) -> Self {
        Self {
            name: "text".to_owned(),
            reader: Box::new(io::Cursor::new(text.to_owned().into_bytes())),
            buffer: Vec::new(),
            start: 0,
            ended: false,
            read_bytes,
            bytes_read: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What has been read and not been used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether nothing follows what has been read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Marks the first bytes of the rest as used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.start <= self.buffer.len(), "no more than there is");
    }

    /// Reads as much again as there is, so that looking at a long record from its start each time
    /// stays cheap.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) fn fill(&mut self) -> Result<(), PredictError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let bytes = self.buffer.len();
        let wanted = bytes.min(RECORD_BYTES_MAX.saturating_sub(bytes)).max(self.read_bytes);
        let read = self
            .reader
            .by_ref()
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|cause| PredictError::Read { input: self.name.clone(), cause })?;
        self.ended = read < wanted;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Reads until there are so many bytes, or all.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) fn fill_to(&mut self, bytes: usize) -> Result<(), PredictError> {
        while self.rest().len() < bytes && !self.ended {
            self.fill()?;
        }
        Ok(())
    }

    /// Skips a byte order mark, which only the start of a text can have.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) fn skip_mark(&mut self) -> Result<(), PredictError> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        self.fill_to(MARK.len())?;
        if self.rest().starts_with(MARK) {
            self.consume(MARK.len());
        }
        Ok(())
    }

    /// An error of the input as a whole.
    pub(super) fn fault(&self, reason: impl Into<String>) -> PredictError {
        PredictError::Input { input: self.name.clone(), reason: reason.into() }
    }
}

/// Opens a file to read.
///
/// # Errors
/// When it is not there, or no file.
pub(super) fn open_file(path: &Path) -> Result<File, PredictError> {
    let read = |cause| PredictError::Read { input: name_of(Some(path)), cause };
    let file = File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.is_dir() {
        return Err(read(io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

/// What to call an input in a sentence.
pub(super) fn name_of(path: Option<&Path>) -> String {
    path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
}
