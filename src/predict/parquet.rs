//! A Parquet file in blocks: record batches, each of which becomes a Parquet body of the protocol.
//!
//! The protocol's own decoder then says what the values mean, pandas' notes and all. A column of
//! integers that lacks a value anywhere in the file holds floats for pandas, so it does in every
//! block; the statistics of the file tell. Where the model declares integers these floats would be
//! refused with the first block; left as they are, the row that lacks the value is.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader as _};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use num_traits::AsPrimitive;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;

use super::block::{Block, BlockLimits, Rows, Source};
use super::error::PredictError;
use super::input::{name_of, open_file};
use crate::model::{ColumnType, Schema as ModelSchema, ValueType};

/// A Parquet file.
pub(super) struct ParquetSource {
    name: String,
    reader: ParquetRecordBatchReader,
    reencode: Reencode,
    /// Columns of integers that lack a value somewhere, and so are floats everywhere.
    floats: Vec<bool>,
    next_row: u64,
    rows: u64,
    bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

/// How a batch becomes a file of its own again.
#[derive(Clone, Debug)]
pub(super) struct Reencode {
    /// pandas' notes about the columns.
    notes: Option<KeyValue>,
}

impl ParquetSource {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read or is no Parquet.
    pub(super) fn open(
        path: &Path,
        limits: BlockLimits,
        schema: Option<&ModelSchema>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, PredictError> {
        let name = name_of(Some(path));
        let file = open_file(path)?;
        let read = |cause| PredictError::Read { input: name.clone(), cause };
        let bytes = file.metadata().map_err(read)?.len();
        let fault = |what: String| PredictError::Input { input: name.clone(), reason: what };
        let opened = catch_unwind(AssertUnwindSafe(|| Self::read_from(file, limits)));
        let (reader, metadata, mut floats) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(fault(format!("not a readable Parquet file: {error}"))),
            Err(_) => return Err(fault("the Parquet file is damaged".to_owned())),
        };
        let names = reader.schema();
        for (is_float, field) in floats.iter_mut().zip(names.fields()) {
            *is_float &= !declares_integers(schema, field.name());
        }
        let notes = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let notes = notes.rev().find(|pair| pair.key == "pandas").cloned();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        let reencode = Reencode { notes };
        Ok(Self { name, reader, reencode, floats, next_row: 1, rows, bytes, bytes_read })
    }

    fn read_from(
        file: File,
        limits: BlockLimits,
    ) -> parquet::errors::Result<(ParquetRecordBatchReader, Arc<ParquetMetaData>, Vec<bool>)> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let metadata = Arc::clone(builder.metadata());
        let lacking = lacking(&metadata, builder.schema());
        let reader = builder.with_batch_size(batch_rows(&metadata, limits)).build()?;
        Ok((reader, metadata, lacking))
    }

    /// A column as the whole file's rows make it.
    fn column(&self, i: usize, array: &ArrayRef) -> ArrayRef {
        let is_float = self.floats.get(i).copied().unwrap_or(false);
        if is_float && array.null_count() == 0 { as_floats(array) } else { Arc::clone(array) }
    }

    fn widen(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> =
            batch.columns().iter().enumerate().map(|(i, array)| self.column(i, array)).collect();
        let fields = batch.schema().fields().iter().zip(&columns).map(retyped).collect::<Vec<_>>();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

/// The field with the type of what it holds now.
fn retyped((field, array): (&Arc<Field>, &ArrayRef)) -> Field {
    let field = Field::clone(field);
    let ty = array.data_type().clone();
    field.with_data_type(ty)
}

impl Source for ParquetSource {
    fn next_block(&mut self) -> Result<Option<Block>, PredictError> {
        let damaged = |what: &str| PredictError::Input {
            input: self.name.clone(),
            reason: format!("the Parquet file is damaged after row {}{what}", self.next_row - 1),
        };
        // Damaged files reach assertions of the parquet crate. The reader is not used again.
        let batch = catch_unwind(AssertUnwindSafe(|| self.reader.next()))
            .map_err(|_| damaged(""))?
            .transpose()
            .and_then(|batch| batch.map(|batch| self.widen(&batch)).transpose())
            .map_err(|error| damaged(&format!(": {error}")))?;
        let Some(batch) = batch else {
            if self.next_row - 1 != self.rows {
                return Err(damaged(": it has fewer rows than it says"));
            }
            return Ok(None);
        };
        let first_row = self.next_row;
        self.next_row += batch.num_rows() as u64;
        let share = (self.next_row - 1) as f64 / self.rows.max(1) as f64;
        self.bytes_read.store((share * self.bytes as f64) as u64, Ordering::Relaxed);
        Ok(Some(Block { first_row, rows: Rows::Parquet(batch, self.reencode.clone()) }))
    }
}

impl Reencode {
    /// The batch as a Parquet file that is quick to write and to read.
    ///
    /// # Errors
    /// When a column has a type that Parquet lacks.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_key_value_metadata(self.notes.clone().map(|notes| vec![notes]))
            .build();
        let mut body = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(properties))?;
        writer.write(batch)?;
        writer.close()?;
        Ok(body)
    }
}

/// How many rows have about as many bytes as a block may have.
fn batch_rows(metadata: &ParquetMetaData, limits: BlockLimits) -> usize {
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    for group in metadata.row_groups() {
        rows += usize::try_from(group.num_rows()).unwrap_or(0);
        bytes += usize::try_from(group.total_byte_size()).unwrap_or(0);
    }
    let row_bytes = (bytes / rows.max(1)).max(1);
    (limits.bytes / row_bytes).clamp(1, limits.rows)
}

/// Which columns hold integers and lack a value somewhere, as far as the statistics say.
fn lacking(metadata: &ParquetMetaData, schema: &Schema) -> Vec<bool> {
    let mut lacking = vec![false; schema.fields().len()];
    let leaves = metadata.file_metadata().schema_descr();
    for leaf in 0..leaves.num_columns() {
        let root = leaves.get_column_root_idx(leaf);
        let nulls = metadata.row_groups().iter().filter_map(|group| {
            group.column(leaf).statistics().and_then(Statistics::null_count_opt)
        });
        if let Some(column) = lacking.get_mut(root) {
            *column |= schema.field(root).data_type().is_integer() && nulls.sum::<u64>() > 0;
        }
    }
    lacking
}

fn declares_integers(schema: Option<&ModelSchema>, name: &str) -> bool {
    let Some(ModelSchema::Columns(columns)) = schema else { return false };
    let is_integer =
        |ty: &ValueType| matches!(ty, ValueType::Scalar(ColumnType::Integer | ColumnType::Long));
    columns.specs.iter().any(|spec| spec.name == name && is_integer(&spec.ty))
}

fn as_floats(array: &ArrayRef) -> ArrayRef {
    macro_rules! floats {
        ($ty:ty) => {
            Arc::new(array.as_primitive::<$ty>().unary::<_, Float64Type>(AsPrimitive::as_))
        };
    }
    match array.data_type() {
        DataType::Int8 => floats!(Int8Type),
        DataType::Int16 => floats!(Int16Type),
        DataType::Int32 => floats!(Int32Type),
        DataType::Int64 => floats!(Int64Type),
        DataType::UInt8 => floats!(UInt8Type),
        DataType::UInt16 => floats!(UInt16Type),
        DataType::UInt32 => floats!(UInt32Type),
        DataType::UInt64 => floats!(UInt64Type),
        _ => Arc::clone(array),
    }
}
