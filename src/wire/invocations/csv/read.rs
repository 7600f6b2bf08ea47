//! A CSV text as a frame.

use std::ops::Range;

use super::super::WireError;
use super::super::datetime::to_datetime;
use super::super::frame::{Frame, Label, NAT, Series};
use super::super::value::Value;
use super::convert;
use super::header::{ColumnName, unique_names};
use super::table::Table;
use crate::model::ColumnType;

/// The most columns that a CSV may have.
pub(super) const COLUMNS_MAX: usize = 65_536;

/// Cells that a CSV may have for each of its bytes, and on top of that. Only rows shorter than the
/// header bring more than one cell a byte; without a bound, few bytes could ask for much memory.
const CELLS_PER_BYTE_MAX: usize = 4;
const CELLS_EXTRA_MAX: usize = 1 << 20;

/// pandas infers types part by part; this many cells make one.
const PART_CELLS: usize = 1 << 20;

/// How to read a CSV.
#[derive(Clone, Copy, Debug)]
pub struct CsvOptions<'a> {
    pub types: CsvTypes<'a>,
    pub datetimes: Datetimes,
}

/// The types that columns are declared to have.
#[derive(Clone, Copy, Debug)]
pub enum CsvTypes<'a> {
    /// None: every column gets the type that fits.
    Inferred,
    /// By name; columns of other names get the type that fits.
    Named(&'a [(String, ColumnType)]),
    /// By position in the text, for a signature without names.
    Positional(&'a [ColumnType]),
}

/// What becomes of a column that is declared as datetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datetimes {
    /// It is refused, as pandas does, unless there are no rows.
    Refuse,
    /// It is read if all its cells are ISO 8601 dates or times, or missing.
    Parse,
}

/// Reads a CSV with a header line.
///
/// Columns before those that the header names, as rows longer than it have, are the index and no
/// part of the frame. Rows that are too short end in missing values.
///
/// # Errors
/// No header, an unfinished quote, a row that is too long, a value that its column's declared type
/// does not take, too many columns, or far more missing cells than bytes.
pub fn read_csv(text: &str, options: &CsvOptions<'_>) -> Result<Frame, WireError> {
    let table = Table::read(text)?;
    if table.rows() == 0 {
        return Err(WireError::bad_request("Invalid CSV: there is no header line."));
    }
    let names = table.width(0);
    let width = if table.rows() > 1 { table.width(1).max(names) } else { names };
    check_size(width, table.rows(), text.len())?;
    let names = unique_names((0..names).map(|column| table.field(0, column)).collect());
    let rows = table.rows() - 1;
    if rows == 0 {
        return header_only(names, options.types);
    }

    let index = width - names.len();
    let reader = ColumnReader { table: &table, width, options };
    for column in 0..index {
        // The index is read like any column, and so can be refused.
        reader.read(column, options.types.of_index(column), "the index")?;
    }
    let mut columns = Vec::with_capacity(names.len());
    for (i, name) in names.into_iter().enumerate() {
        let ty = options.types.of_column(index + i, &name);
        // A declared name is the model's, so an error may say it; any other may be a secret.
        let shown = match options.types {
            CsvTypes::Named(_) => format!("column `{}`", name.declared()),
            CsvTypes::Inferred | CsvTypes::Positional(_) => format!("column {}", i + 1),
        };
        let series = reader.read(index + i, ty, &shown)?;
        columns.push((Label::Name(name.name), series));
    }
    Ok(Frame { columns, rows })
}

fn check_size(width: usize, rows: usize, bytes: usize) -> Result<(), WireError> {
    if width > COLUMNS_MAX {
        return Err(WireError::bad_request(format!(
            "Invalid CSV: it has {width} columns, and {COLUMNS_MAX} are the most that are read."
        )));
    }
    let cells_max = bytes.saturating_mul(CELLS_PER_BYTE_MAX).saturating_add(CELLS_EXTRA_MAX);
    if width.saturating_mul(rows) > cells_max {
        return Err(WireError::bad_request(
            "Invalid CSV: almost all of its rows are shorter than the header.",
        ));
    }
    Ok(())
}

/// Without rows there is nothing to refuse: a column has its declared type, or else holds objects.
fn header_only(names: Vec<ColumnName>, types: CsvTypes<'_>) -> Result<Frame, WireError> {
    if let CsvTypes::Positional(types) = types
        && types.len() > names.len()
    {
        return Err(WireError::bad_request(format!(
            "Invalid CSV: the model takes {} columns, got {}.",
            types.len(),
            names.len()
        )));
    }
    let columns = names.into_iter().enumerate().map(|(i, name)| {
        // Unlike above, a repeated name does not inherit its type: pandas' own inconsistency.
        let name = ColumnName { repeats: None, ..name };
        let series = match types.of_column(i, &name) {
            None | Some(ColumnType::String | ColumnType::Binary) => Series::Object(Vec::new()),
            Some(ColumnType::Boolean) => Series::Bool(Vec::new()),
            Some(ColumnType::Integer) => Series::I32(Vec::new()),
            Some(ColumnType::Long) => Series::I64(Vec::new()),
            Some(ColumnType::Float) => Series::F32(Vec::new()),
            Some(ColumnType::Double) => Series::F64(Vec::new()),
            Some(ColumnType::Datetime) => Series::Datetime(Vec::new()),
        };
        (Label::Name(name.name), series)
    });
    Ok(Frame { columns: columns.collect(), rows: 0 })
}

impl CsvTypes<'_> {
    /// The type of a named column: its own, or that of the name that it repeats.
    fn of_column(self, position: usize, name: &ColumnName) -> Option<ColumnType> {
        match self {
            Self::Inferred => None,
            Self::Named(types) => {
                let of = |name: &str| types.iter().rfind(|(of, _)| of == name).map(|(_, ty)| *ty);
                of(&name.name).or_else(|| of(name.repeats.as_ref()?))
            }
            Self::Positional(types) => types.get(position).copied(),
        }
    }

    /// The type of an index column, which has a position only.
    fn of_index(self, position: usize) -> Option<ColumnType> {
        match self {
            Self::Inferred | Self::Named(_) => None,
            Self::Positional(types) => types.get(position).copied(),
        }
    }
}

struct ColumnReader<'a> {
    table: &'a Table,
    width: usize,
    options: &'a CsvOptions<'a>,
}

impl ColumnReader<'_> {
    fn read(
        &self,
        column: usize,
        ty: Option<ColumnType>,
        shown: &str,
    ) -> Result<Series, WireError> {
        let fields = |rows| self.table.column(column, rows);
        let rows = 1..self.table.rows();
        let misfit = |ty: ColumnType| {
            let expected = expectation(ty);
            WireError::bad_request(format!("Invalid CSV: {shown}: expected {expected}."))
        };
        match ty {
            None => {
                let parts = parts(rows, self.width);
                Ok(convert::join(parts.map(|rows| convert::inferred(fields(rows))).collect()))
            }
            Some(ty @ ColumnType::Datetime) => match self.options.datetimes {
                Datetimes::Refuse => Err(misfit(ty)),
                Datetimes::Parse => datetimes(fields(rows)).ok_or_else(|| misfit(ty)),
            },
            Some(ty) => convert::declared(fields(rows), ty).map_err(|_| misfit(ty)),
        }
    }
}

/// The rows of each part in which pandas infers a type.
fn parts(rows: Range<usize>, width: usize) -> impl Iterator<Item = Range<usize>> {
    // The largest power of two of rows whose double still is fewer cells than a part has.
    let mut part_rows = 1;
    while part_rows * 2 < PART_CELLS / width.max(1) {
        part_rows *= 2;
    }
    rows.clone().step_by(part_rows).map(move |start| start..(start + part_rows).min(rows.end))
}

fn datetimes<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Series> {
    let values = fields
        .map(|field| match field {
            _ if super::number::is_missing(field) => Some(Value::None),
            _ if starts_as_iso(field) => Some(Value::Str(field.to_owned())),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    if values.iter().all(|value| *value == Value::None) {
        return Some(Series::Datetime(vec![NAT; values.len()]));
    }
    to_datetime(&Series::Object(values)).ok()
}

/// Whether the text starts with `YYYY-MM-DD`, which can be read in one way only.
fn starts_as_iso(text: &str) -> bool {
    let pattern = b"dddd-dd-dd";
    text.len() >= pattern.len()
        && text.bytes().zip(pattern).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            _ => byte == *expected,
        })
}

/// What a column of the type takes, for a message.
const fn expectation(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "booleans (true, false, 1, 0), none missing",
        ColumnType::Integer | ColumnType::Long => "whole numbers, none missing",
        ColumnType::Float | ColumnType::Double => "numbers",
        ColumnType::String | ColumnType::Binary => "text",
        ColumnType::Datetime => {
            "dates or times in one ISO 8601 format, such as 2024-02-29T12:00:00"
        }
    }
}
