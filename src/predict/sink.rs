//! Scored blocks into the target, in the form that was asked for.

use std::io::{self, Write as _};
use std::mem;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::columns::declared_columns;
use super::format::Format;
use super::target::Target;
use super::text::{write_csv, write_csv_header, write_records};
use crate::model::GraphIo;

/// Bytes of a row group that is being written, which are in memory until it is whole.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// A scored block, ready to be written.
pub(super) struct Scored {
    pub(super) schema: SchemaRef,
    pub(super) rows: usize,
    form: Form,
}

enum Form {
    Text(Vec<u8>),
    Columns(RecordBatch),
}

impl Scored {
    /// Does on a scoring thread what of the writing can be done there.
    pub(super) fn new(batch: RecordBatch, format: Format) -> Self {
        let (schema, rows) = (batch.schema(), batch.num_rows());
        let mut text = Vec::new();
        match format {
            Format::Csv => write_csv(&batch, &mut text),
            Format::Json => write_records(&batch, b", ", &mut text),
            Format::JsonLines => {
                write_records(&batch, b"\n", &mut text);
                text.push(b'\n');
            }
            Format::Parquet => return Self { schema, rows, form: Form::Columns(batch) },
        }
        Self { schema, rows, form: Form::Text(text) }
    }
}

/// The target and what has been written to it. The columns are those of the first block, or the
/// declared ones where no block comes.
pub(super) struct Sink {
    declared: SchemaRef,
    format: Format,
    state: State,
}

enum State {
    /// Nothing was written yet.
    New(Target),
    Text {
        target: Target,
        schema: SchemaRef,
        is_empty: bool,
    },
    Parquet {
        writer: Box<ArrowWriter<Target>>,
        schema: SchemaRef,
    },
    /// A write failed.
    Broken,
}

impl Sink {
    pub(super) fn new(target: Target, format: Format, io: &GraphIo) -> Self {
        Self { declared: declared_columns(io), format, state: State::New(target) }
    }

    /// Whether the block has the columns of those before it.
    pub(super) fn fits(&self, scored: &Scored) -> bool {
        match &self.state {
            State::New(_) | State::Broken => true,
            State::Text { schema, .. } | State::Parquet { schema, .. } => *schema == scored.schema,
        }
    }

    /// Writes a block.
    ///
    /// # Errors
    /// When the target takes no more.
    pub(super) fn write(&mut self, scored: &Scored) -> io::Result<()> {
        self.start(&scored.schema)?;
        match (&mut self.state, &scored.form) {
            (State::Text { target, is_empty, .. }, Form::Text(text)) => {
                if self.format == Format::Json && !*is_empty && scored.rows > 0 {
                    target.write_all(b", ")?;
                }
                *is_empty &= scored.rows == 0;
                target.write_all(text)
            }
            (State::Parquet { writer, .. }, Form::Columns(batch)) => {
                writer.write(batch).map_err(into_io)?;
                if writer.in_progress_size() >= GROUP_BYTES_MAX {
                    writer.flush().map_err(into_io)?;
                }
                Ok(())
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes what comes after the last row and makes the target appear.
    ///
    /// # Errors
    /// When the target takes no more.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.start(&Arc::clone(&self.declared))?;
        match self.state {
            State::Text { mut target, .. } => {
                if self.format == Format::Json {
                    target.write_all(b"]}")?;
                }
                target.finish()
            }
            State::Parquet { writer, .. } => writer.into_inner().map_err(into_io)?.finish(),
            State::New(_) | State::Broken => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes what comes before the first row, unless it stands there.
    fn start(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.state = match mem::replace(&mut self.state, State::Broken) {
            State::New(target) => open(target, self.format, Arc::clone(schema))?,
            started => started,
        };
        Ok(())
    }
}

fn open(mut target: Target, format: Format, schema: SchemaRef) -> io::Result<State> {
    let mut head = Vec::new();
    match format {
        Format::Parquet => {
            let properties =
                WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            let writer = ArrowWriter::try_new(target, Arc::clone(&schema), Some(properties));
            return Ok(State::Parquet { writer: Box::new(writer.map_err(into_io)?), schema });
        }
        Format::Csv => write_csv_header(&schema, &mut head),
        Format::Json => head.extend_from_slice(b"{\"predictions\": ["),
        Format::JsonLines => {}
    }
    target.write_all(&head)?;
    Ok(State::Text { target, schema, is_empty: true })
}

fn into_io(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
