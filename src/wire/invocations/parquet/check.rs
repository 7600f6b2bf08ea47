//! What a Parquet file may ask for, checked before the parquet crate trusts it.

use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::super::WireError;
use super::thrift::{Compact, Kind};

/// The most columns, counting the leaves of nested ones.
const COLUMNS_MAX: usize = 65_536;

/// The deepest nesting of columns. The crate follows it on the stack.
const NESTING_MAX: usize = 64;

/// What a value costs in memory until it is a tensor's, besides its text.
const VALUE_BYTES: usize = 16;

/// The encoding in which a value may repeat all of the value before it.
const DELTA_BYTE_ARRAY: i64 = 7;

pub(super) fn invalid(what: &str) -> WireError {
    WireError::bad_request(format!("Invalid Parquet: {what}."))
}

/// Checks that the footer is whole and that its schema is neither too wide nor too deep, with all
/// children that it announces.
pub(super) fn check_footer(body: &[u8]) -> Result<(), WireError> {
    const MAGIC: &[u8] = b"PAR1";
    let (footer, _) = body
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.strip_suffix(MAGIC))
        .and_then(|rest| rest.split_last_chunk::<4>())
        .map(|(rest, length)| (rest, u32::from_le_bytes(*length) as usize))
        .and_then(|(rest, length)| Some((&rest[rest.len().checked_sub(length)?..], length)))
        .ok_or_else(|| invalid("the body is no whole Parquet file"))?;
    let mut schema = Schema::default();
    Compact::new(footer)
        .structure(|reader, field, kind| {
            if (field, kind) != (2, Kind::List) {
                return Some(false);
            }
            let elements = reader.list().filter(|list| list.kind == Kind::Struct)?;
            for _ in 0..elements.len {
                schema.element(reader)?;
            }
            Some(true)
        })
        .filter(|()| schema.open.is_empty())
        .ok_or_else(|| invalid("its footer is damaged"))?;
    if schema.leaves > COLUMNS_MAX || schema.deepest > NESTING_MAX {
        return Err(invalid(&format!(
            "it has {} columns nested {} deep, and {COLUMNS_MAX} columns nested {NESTING_MAX} deep \
             are the most that are read",
            schema.leaves, schema.deepest
        )));
    }
    Ok(())
}

/// The shape of a schema, which is stored as a list: each element says how many children follow.
#[derive(Default)]
struct Schema {
    /// Children still to come, of the root and of each element within it.
    open: Vec<i64>,
    deepest: usize,
    leaves: usize,
}

impl Schema {
    fn element(&mut self, reader: &mut Compact<'_>) -> Option<()> {
        let mut children = 0;
        reader.structure(|reader, field, kind| {
            if (field, kind) != (5, Kind::Int) {
                return Some(false);
            }
            children = reader.int()?;
            Some(true)
        })?;
        if let Some(open) = self.open.last_mut() {
            *open -= 1;
        }
        if children > 0 {
            self.open.push(children);
            self.deepest = self.deepest.max(self.open.len());
        } else {
            self.leaves += 1;
        }
        while self.open.last().is_some_and(|open| *open <= 0) {
            self.open.pop();
        }
        Some(())
    }
}

/// Checks that reading the file takes no more than `bytes_max` bytes: its pages unpacked, and the
/// values in them. Tells how many it takes.
pub(super) fn check_pages(
    body: &[u8],
    metadata: &ParquetMetaData,
    bytes_max: usize,
) -> Result<usize, WireError> {
    let too_large = || invalid(&format!("unpacked it is larger than {bytes_max} bytes"));
    let rows = usize::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| invalid("its number of rows is negative"))?;
    if rows > bytes_max / VALUE_BYTES {
        return Err(too_large());
    }
    let mut rest = bytes_max;
    for chunk in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let bytes = chunk_bytes(body, chunk).ok_or_else(|| invalid("a column lies outside it"))?;
        let value_bytes = match chunk.column_type() {
            PhysicalType::FIXED_LEN_BYTE_ARRAY => {
                usize::try_from(chunk.column_descr().type_length()).unwrap_or(0) + VALUE_BYTES
            }
            _ => VALUE_BYTES,
        };
        let mut reader = Compact::new(bytes);
        while reader.remaining() > 0 {
            let page = read_page(&mut reader).ok_or_else(|| invalid("a page is damaged"))?;
            rest = page
                .memory(value_bytes)
                .and_then(|memory| rest.checked_sub(memory))
                .ok_or_else(too_large)?;
        }
    }
    Ok(bytes_max - rest)
}

fn chunk_bytes<'a>(body: &'a [u8], chunk: &ColumnChunkMetaData) -> Option<&'a [u8]> {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let start = usize::try_from(start).ok()?;
    let length = usize::try_from(chunk.compressed_size()).ok()?;
    body.get(start..start.checked_add(length)?)
}

/// What a page's header says of its size.
#[derive(Debug, Default)]
struct Page {
    bytes: usize,
    values: usize,
    encoding: i64,
}

impl Page {
    /// The memory that reading the page takes, if a `usize` can say it.
    fn memory(&self, value_bytes: usize) -> Option<usize> {
        let value_bytes = if self.encoding == DELTA_BYTE_ARRAY {
            // Each value can be as long as the page.
            value_bytes.checked_add(self.bytes)?
        } else {
            value_bytes
        };
        self.values.checked_mul(value_bytes)?.checked_add(self.bytes)
    }
}

/// Reads a page's header and moves behind its data.
fn read_page(reader: &mut Compact<'_>) -> Option<Page> {
    let mut page = Page::default();
    let mut packed = 0;
    reader.structure(|reader, field, kind| {
        match (field, kind) {
            (2, Kind::Int) => page.bytes = usize::try_from(reader.int()?).ok()?,
            (3, Kind::Int) => packed = usize::try_from(reader.int()?).ok()?,
            // A data page, a dictionary page, and a data page of the second version.
            (5 | 7, Kind::Struct) => page.read_values(reader, 2)?,
            (8, Kind::Struct) => page.read_values(reader, 4)?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    reader.skip_bytes(packed)?;
    Some(page)
}

impl Page {
    fn read_values(&mut self, reader: &mut Compact<'_>, encoding_field: i64) -> Option<()> {
        reader.structure(|reader, field, kind| {
            if (field, kind) == (1, Kind::Int) {
                self.values = usize::try_from(reader.int()?).ok()?;
            } else if (field, kind) == (encoding_field, Kind::Int) {
                self.encoding = reader.int()?;
            } else {
                return Some(false);
            }
            Some(true)
        })
    }
}
