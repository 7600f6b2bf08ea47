//! The protobuf wire format, read from a file without holding it in memory.
//!
//! Only what it takes to walk a message: numbers and lengths are decoded, payloads are skipped by
//! seeking. Every length is checked against the message around it, so no input makes the reader
//! run past its end, allocate by a written length alone, or loop.

use std::io::{self, BufReader, Read, Seek};

/// A cursor over a protobuf file.
pub(super) struct WireReader<R> {
    inner: BufReader<R>,
    /// Bytes read or skipped so far.
    position: u64,
}

/// One field of a message: its number and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
}

/// The value of a field. The payload of a `Bytes` is not yet read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    /// Four or eight bytes, already skipped: nothing that is looked for is fixed-size.
    Fixed,
    /// Text, bytes, a packed list or a message: where it ends.
    Bytes {
        end: u64,
    },
}

/// Why the bytes are not a protobuf message.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("at byte {position} {what}")]
    Malformed { position: u64, what: &'static str },
}

impl<R: Read + Seek> WireReader<R> {
    /// Starts at the first byte of `inner`.
    pub(super) fn new(inner: R) -> Self {
        Self { inner: BufReader::with_capacity(64 * 1024, inner), position: 0 }
    }

    /// The next field of the message that ends at `end`; `None` at its end.
    pub(super) fn next(&mut self, end: u64) -> Result<Option<Field>, WireError> {
        if self.position >= end {
            return Ok(None);
        }
        let key = self.varint(end)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint(end)?),
            1 => self.fixed(8, end)?,
            2 => {
                let length = self.varint(end)?;
                let payload_end = self.position.checked_add(length).filter(|&at| at <= end);
                Value::Bytes {
                    end: payload_end
                        .ok_or_else(|| self.malformed("a part is longer than what is there"))?,
                }
            }
            5 => self.fixed(4, end)?,
            _ => return Err(self.malformed("there is no ONNX field")),
        };
        match key >> 3 {
            0 => Err(self.malformed("there is no ONNX field")),
            number => Ok(Some(Field { number, value })),
        }
    }

    /// Skips to `end`, which must not lie behind.
    pub(super) fn skip_to(&mut self, end: u64) -> Result<(), WireError> {
        let distance = end.saturating_sub(self.position);
        let distance = i64::try_from(distance)
            .map_err(|_| self.malformed("a part is longer than any file"))?;
        self.inner.seek_relative(distance)?;
        self.position = end;
        Ok(())
    }

    /// Reads the payload up to `end` as text; `None` when it has more than `bytes_max` bytes.
    /// Skips it in either case.
    pub(super) fn text(&mut self, end: u64, bytes_max: u64) -> Result<Option<String>, WireError> {
        let length = end.saturating_sub(self.position);
        if length > bytes_max {
            self.skip_to(end)?;
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.inner.read_exact(&mut bytes)?;
        self.position = end;
        String::from_utf8(bytes).map(Some).map_err(|_| self.malformed("a name is not UTF-8 text"))
    }

    /// One number before `end`.
    pub(super) fn varint(&mut self, end: u64) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if self.position >= end {
                return Err(self.malformed("the data ends inside a number"));
            }
            let mut byte = [0];
            self.inner.read_exact(&mut byte)?;
            self.position += 1;
            // The tenth byte has one bit of room; like protobuf, what is beyond it is dropped.
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number has more than ten bytes"))
    }

    /// Bytes read or skipped so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The error that something is wrong here.
    pub(super) fn malformed(&self, what: &'static str) -> WireError {
        WireError::Malformed { position: self.position, what }
    }

    fn fixed(&mut self, width: u64, end: u64) -> Result<Value, WireError> {
        let after = self.position + width;
        if after > end {
            return Err(self.malformed("the data ends inside a number"));
        }
        self.skip_to(after)?;
        Ok(Value::Fixed)
    }
}
