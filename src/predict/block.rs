//! Blocks: consecutive rows of the input that are scored together.

use std::borrow::Cow;
use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::error::PredictError;
use super::parquet::Reencode;
use crate::wire::invocations::frame::Frame;

/// Where rows come from. Called by one thread.
pub(super) trait Source: Send {
    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read, or not be cut into rows.
    fn next_block(&mut self) -> Result<Option<Block>, PredictError>;

    /// The first rows as a frame whose columns have the types that fit them, without consuming
    /// them; `None` where types do not depend on the values. Called before the first block.
    ///
    /// # Errors
    /// When the input cannot be read.
    fn sample(&mut self) -> Result<Option<Frame>, PredictError> {
        Ok(None)
    }
}

/// How large blocks are. The first limit that is reached ends a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockLimits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Consecutive rows of the input.
#[derive(Debug)]
pub(super) struct Block {
    /// Number of the first row; the first of the input is 1.
    pub(super) first_row: u64,
    pub(super) rows: Rows,
}

/// The rows themselves, in the form they are decoded from.
#[derive(Debug)]
pub(super) enum Rows {
    Text(TextRows),
    Parquet(RecordBatch, Reencode),
    /// A whole request body, which says itself how many rows it has.
    Document(Vec<u8>),
}

/// Rows of a text as one body of the protocol, that can be cut after any row.
#[derive(Debug)]
pub(super) struct TextRows {
    form: TextForm,
    body: Vec<u8>,
    rows: Vec<TextRow>,
}

/// What surrounds the rows.
#[derive(Clone, Debug)]
pub(super) struct TextForm {
    pub(super) content_type: &'static str,
    pub(super) head: Vec<u8>,
    pub(super) separator: &'static [u8],
    pub(super) tail: &'static [u8],
}

#[derive(Debug)]
struct TextRow {
    /// Where it ends in the body.
    end: usize,
    line: u64,
}

pub(super) const CSV: &str = "text/csv";
pub(super) const JSON: &str = "application/json";
const PARQUET: &str = "application/vnd.apache.parquet";

impl TextRows {
    pub(super) fn new(form: TextForm) -> Self {
        let body = form.head.clone();
        Self { form, body, rows: Vec::new() }
    }

    /// Appends a row, given in pieces, that starts in that line.
    pub(super) fn push(&mut self, pieces: &[&[u8]], line: u64) {
        if !self.rows.is_empty() {
            self.body.extend_from_slice(self.form.separator);
        }
        for piece in pieces {
            self.body.extend_from_slice(piece);
        }
        self.rows.push(TextRow { end: self.body.len(), line });
    }

    pub(super) fn is_full(&self, limits: BlockLimits) -> bool {
        self.rows.len() >= limits.rows || self.body.len() >= limits.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn body(&self, count: usize) -> Vec<u8> {
        let end = match count.checked_sub(1) {
            Some(last) => self.rows[last].end,
            None => self.form.head.len(),
        };
        let mut body = Vec::with_capacity(end + self.form.tail.len());
        body.extend_from_slice(&self.body[..end]);
        body.extend_from_slice(self.form.tail);
        body
    }

    /// The row of that index as it stands in the input.
    fn row(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.rows[before].end + self.form.separator.len(),
            None => self.form.head.len(),
        };
        &self.body[start..self.rows[index].end]
    }
}

impl Rows {
    /// Number of rows, if it is known before they are decoded.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Parquet(batch, _) => Some(batch.num_rows()),
            Self::Document(_) => None,
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Text(text) => text.form.content_type,
            Self::Parquet(..) => PARQUET,
            Self::Document(_) => JSON,
        }
    }

    /// The first `count` rows as a body of the protocol; a document is one always.
    ///
    /// # Errors
    /// When Parquet rows are of a type that cannot be handed on.
    pub(super) fn body(&self, count: usize) -> Result<Cow<'_, [u8]>, ArrowError> {
        match self {
            Self::Text(text) => Ok(Cow::Owned(text.body(count))),
            Self::Parquet(batch, reencode) => {
                Ok(Cow::Owned(reencode.encode(&batch.slice(0, count))?))
            }
            Self::Document(body) => Ok(Cow::Borrowed(body)),
        }
    }

    /// Whether a body without rows has a meaning of its own: a CSV's header and a Parquet file's
    /// schema can be wrong by themselves.
    pub(super) fn has_head(&self) -> bool {
        match self {
            Self::Text(text) => text.form.content_type == CSV,
            Self::Parquet(..) => true,
            Self::Document(_) => false,
        }
    }

    /// The JSON text of a row, where it is one.
    pub(super) fn json(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Text(text) if text.form.content_type == JSON => Some(text.row(index)),
            _ => None,
        }
    }
}

impl Block {
    /// Where the row of that index stands in the input.
    pub(super) fn place(&self, index: usize) -> Place {
        let line = match &self.rows {
            Rows::Text(text) => Some(text.rows[index].line),
            Rows::Parquet(..) | Rows::Document(_) => None,
        };
        Place { row: self.first_row + index as u64, line }
    }
}

/// Where a row stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1; a header is no row.
    pub row: u64,
    /// From 1; the line in which the row begins, where the input has lines.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}
