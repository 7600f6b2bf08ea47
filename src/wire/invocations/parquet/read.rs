//! A Parquet file as a frame.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::super::WireError;
use super::super::frame::{Frame, Series};
use super::check::{check_footer, check_pages, invalid};
use super::convert::{Budget, convert};
use super::pandas::{Missing, Notes};

/// Bytes that are taken for each byte of a file, most of all by what its footer says of columns.
const FOOTER_FACTOR: usize = 64;
/// Bytes that are taken for each byte that its pages announce: unpacked, as cells, as tensors.
const PAGES_FACTOR: usize = 6;

/// Reads a Parquet file.
///
/// Columns come in the dtypes that pandas gives them: integers with missing values become
/// `float64`, booleans with missing values objects. Cells that numpy has no dtype for become
/// [`Value`](super::super::value::Value)s: lists (numpy arrays in pandas) as `List`, structs as
/// `Dict`, maps as `List` of pairs, decimals as `Float`, which is what enforcement makes of them,
/// categories by their texts, and dates, times and durations as `Other`. So are timestamps that
/// nanoseconds cannot hold. An index that pandas stored is left out.
///
/// At most about `bytes_max` bytes are unpacked, and as many again become cells.
///
/// # Errors
/// A file that is damaged, encrypted, packed in an unknown way, too large, too wide, too deeply
/// nested, or has two columns of one name, which pyarrow refuses too.
pub fn read_parquet(body: &[u8], bytes_max: usize) -> Result<Frame, WireError> {
    // Damaged files reach assertions of the parquet crate (a boolean column shorter than it says, a
    // page without its header, negative offsets). This is the one place where they end: nothing of
    // what was read is kept, so nothing half-made is seen.
    catch_unwind(AssertUnwindSafe(|| read(body, bytes_max)))
        .unwrap_or_else(|_| Err(invalid("it is damaged")))
}

/// Memory that [`read_parquet`] may take, in bytes: nothing for a file that it refuses at once. To
/// know takes as long as reading the footer and the header of each page.
#[must_use]
pub fn parquet_bytes_max(body: &[u8], bytes_max: usize) -> usize {
    let announced = catch_unwind(AssertUnwindSafe(|| {
        let loaded = load(body, &Bytes::copy_from_slice(body))?;
        check_pages(body, loaded.metadata(), bytes_max)
    }));
    let (footer, pages) = (body.len().saturating_mul(FOOTER_FACTOR), PAGES_FACTOR);
    match announced {
        Ok(Ok(bytes)) => bytes.saturating_mul(pages).saturating_add(footer),
        _ => footer,
    }
}

fn load(body: &[u8], input: &Bytes) -> Result<ArrowReaderMetadata, WireError> {
    check_footer(body)?;
    ArrowReaderMetadata::load(input, ArrowReaderOptions::new()).map_err(|error| refuse(&error))
}

fn read(body: &[u8], bytes_max: usize) -> Result<Frame, WireError> {
    let input = Bytes::copy_from_slice(body);
    let loaded = load(body, &input)?;
    let metadata = Arc::clone(loaded.metadata());
    check_pages(body, &metadata, bytes_max)?;
    let rows = usize::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| invalid("its number of rows is negative"))?;

    let notes = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let notes = match notes.filter(|pair| pair.key == "pandas").find_map(|pair| pair.value.as_ref())
    {
        Some(text) => Notes::read(text)?,
        None => Notes::default(),
    };
    let fields = loaded.schema().fields().clone();
    check_names(&fields)?;
    let kept: Vec<usize> =
        (0..fields.len()).filter(|i| !notes.is_index(fields[*i].name())).collect();

    let target = Schema::new(fields.iter().map(plain_field).collect::<Fields>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(target));
    let loaded = ArrowReaderMetadata::try_new(metadata, options).map_err(|error| refuse(&error))?;
    let mask = ProjectionMask::roots(loaded.parquet_schema(), kept.iter().copied());
    let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input, loaded)
        .with_projection(mask)
        // One batch: pandas looks at a column as a whole.
        .with_batch_size(rows.max(1))
        .build()
        .map_err(|error| refuse(&error))?;

    let batch = reader.next().transpose().map_err(|_| invalid("its data are damaged"))?;
    if batch.as_ref().map_or(0, arrow_array::RecordBatch::num_rows) != rows {
        return Err(invalid("it has fewer rows than it says"));
    }
    let mut budget = Budget::new(bytes_max);
    let mut columns = Vec::with_capacity(kept.len());
    for (column, field) in kept.into_iter().map(|i| &fields[i]).enumerate() {
        let missing = notes.missing(field.name());
        let series = match &batch {
            Some(batch) => convert(batch.column(column), is_category(field), missing, &mut budget)?,
            None => empty(field, &mut budget)?,
        };
        let series = match series {
            Series::Object(texts) if is_category(field) => Series::Category(texts),
            other => other,
        };
        columns.push((notes.label(field.name()), series));
    }
    Ok(Frame { columns, rows })
}

fn refuse(error: &ParquetError) -> WireError {
    match error {
        ParquetError::NYI(_) => invalid("it uses a feature that is not supported"),
        _ => invalid("it is damaged, encrypted, or packed in an unknown way"),
    }
}

fn check_names(fields: &Fields) -> Result<(), WireError> {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("two of its columns have the same name"));
    }
    Ok(())
}

fn empty(field: &Field, budget: &mut Budget) -> Result<Series, WireError> {
    let array = arrow_array::new_empty_array(&plain_type(field.data_type()));
    convert(&array, is_category(field), Missing::Plain, budget)
}

/// Whether pandas reads the column as categories: texts that were a dictionary when written.
fn is_category(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Dictionary(_, values) if is_text(values))
}

const fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn plain_field(field: &Arc<Field>) -> Arc<Field> {
    // Without the metadata: an extension type is read as what it is stored as.
    Arc::new(Field::new(field.name(), plain_type(field.data_type()), field.is_nullable()))
}

/// The type to read a column in. Texts and bytes become views, which share the bytes of a page
/// instead of copying each value; dictionaries become what they stand for.
fn plain_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(field) | DataType::ListView(field) => DataType::List(plain_field(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(plain_field(field))
        }
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(plain_field(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(field, sorted) => DataType::Map(plain_field(field), *sorted),
        other => other.clone(),
    }
}
