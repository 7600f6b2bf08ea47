//! `pandas.to_datetime` on a column.

use num_traits::ToPrimitive;

use super::super::frame::{NAT, Series};
use super::super::value::Value;
use super::format::{Format, Moment};

/// Why a column cannot become datetimes. Rows count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatetimeError {
    #[error("expected dates or times, got {got} in row {row}")]
    Type { row: usize, got: &'static str },
    #[error("expected a date or time in ISO 8601, got another text in row {row}")]
    Unreadable { row: usize },
    #[error("expected the format `{format}` in all rows, got another in row {row}")]
    MixedFormats { row: usize, format: String },
    #[error("expected either all or none with a time zone, got a mixture in row {row}")]
    MixedZones { row: usize },
    #[error("expected a time between the years 1677 and 2262, got another in row {row}")]
    OutOfBounds { row: usize },
}

/// The words that pandas reads as a missing time, besides the empty text.
const MISSING: [&str; 7] = ["", "NaT", "nat", "NAT", "nan", "NaN", "NAN"];

/// Converts a column to datetimes.
///
/// Numbers are nanoseconds since the epoch. Texts must all have the format of the first. With time
/// zones the result is [`Series::DatetimeTz`]; with different ones it is an object column, as in
/// pandas. Formats that pandas leaves to the `dateutil` package are refused. `now` and `today` are
/// accepted beside any format; which moment they are does not matter, as no graph takes datetimes.
///
/// # Errors
/// A cell that is no date or time, or not one that `datetime64[ns]` can hold.
pub fn to_datetime(series: &Series) -> Result<Series, DatetimeError> {
    match series {
        Series::Datetime(_) | Series::DatetimeTz(_) => Ok(series.clone()),
        Series::Bool(values) if values.is_empty() => Ok(Series::Datetime(Vec::new())),
        Series::Bool(_) => Err(DatetimeError::Type { row: 0, got: "boolean" }),
        Series::I8(values) => Ok(from_integers(values)),
        Series::I16(values) => Ok(from_integers(values)),
        Series::I32(values) => Ok(from_integers(values)),
        Series::I64(values) => Ok(from_integers(values)),
        Series::U8(values) => Ok(from_integers(values)),
        Series::U16(values) => Ok(from_integers(values)),
        Series::U32(values) => Ok(from_integers(values)),
        Series::U64(values) => values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                i64::try_from(*value).map_err(|_| DatetimeError::OutOfBounds { row })
            })
            .collect::<Result<_, _>>()
            .map(Series::Datetime),
        Series::F16(values) => Ok(from_floats(values.iter().map(|value| f64::from(*value)))),
        Series::F32(values) => Ok(from_floats(values.iter().map(|value| f64::from(*value)))),
        Series::F64(values) => Ok(from_floats(values.iter().copied())),
        Series::Object(values) | Series::Category(values) => from_objects(values),
    }
}

fn from_integers<T: Copy + Into<i64>>(values: &[T]) -> Series {
    Series::Datetime(values.iter().map(|value| (*value).into()).collect())
}

/// Floats lose their fraction; those that `int64` cannot hold become missing.
fn from_floats(values: impl Iterator<Item = f64>) -> Series {
    Series::Datetime(values.map(|value| value.to_i64().unwrap_or(NAT)).collect())
}

fn from_objects(values: &[Value]) -> Result<Series, DatetimeError> {
    let format = match values.iter().position(|value| !is_missing(value)) {
        None => return Ok(Series::Datetime(vec![NAT; values.len()])),
        Some(row) => match &values[row] {
            // pandas finds no format for times after noon that say so.
            Value::Str(text) if text.ends_with(" PM") || is_now(&values[row]) => None,
            Value::Str(text) => Some(Format::guess(text).ok_or(DatetimeError::Unreadable { row })?),
            // A column that does not start with a text has no format of its own.
            _ => None,
        },
    };
    let cells = values.iter().enumerate().map(|(row, value)| match &format {
        _ if is_missing(value) || is_now(value) => Ok(Cell::Missing),
        Some(format) => read_as(format, row, value),
        None => read_any(row, value),
    });
    collect(&cells.collect::<Result<Vec<_>, _>>()?)
}

#[derive(Clone, Copy)]
enum Cell {
    Missing,
    Naive(i64),
    Zoned { utc: i64, offset: i32 },
}

fn is_missing(value: &Value) -> bool {
    match value {
        Value::None => true,
        Value::Float(value) => value.is_nan(),
        Value::Str(text) => MISSING.contains(&text.as_str()),
        _ => false,
    }
}

/// The words for the time of the request.
fn is_now(value: &Value) -> bool {
    matches!(value, Value::Str(text) if text == "now" || text == "today")
}

/// A cell of a column whose first cell is a text.
fn read_as(format: &Format, row: usize, value: &Value) -> Result<Cell, DatetimeError> {
    let moment = match value {
        Value::Str(text) => format.read(text),
        // pandas compares the number's digits with the format: `2025` is a year.
        Value::Int(value) => format.read(&value.to_string()),
        _ => None,
    };
    let moment =
        moment.ok_or_else(|| DatetimeError::MixedFormats { row, format: format.to_string() })?;
    cell(moment, row)
}

/// A cell of a column whose first cell is no text.
fn read_any(row: usize, value: &Value) -> Result<Cell, DatetimeError> {
    let out_of_bounds = DatetimeError::OutOfBounds { row };
    match value {
        Value::Int(value) => Ok(Cell::Naive(*value)),
        Value::BigInt(_) => Err(out_of_bounds),
        Value::Float(value) => value.to_i64().map(Cell::Naive).ok_or(out_of_bounds),
        Value::Str(text) => {
            let moment = Format::guess(text).and_then(|format| format.read(text));
            cell(moment.ok_or(DatetimeError::Unreadable { row })?, row)
        }
        other => Err(DatetimeError::Type { row, got: other.type_name() }),
    }
}

fn cell(moment: Moment, row: usize) -> Result<Cell, DatetimeError> {
    let nanoseconds = moment.nanoseconds().ok_or(DatetimeError::OutOfBounds { row })?;
    Ok(match moment.offset {
        None => Cell::Naive(nanoseconds),
        Some(offset) => Cell::Zoned { utc: nanoseconds, offset },
    })
}

fn collect(cells: &[Cell]) -> Result<Series, DatetimeError> {
    let (mut naive, mut first_offset, mut one_offset) = (false, None, true);
    for (row, cell) in cells.iter().enumerate() {
        match cell {
            Cell::Missing => {}
            Cell::Naive(_) => naive = true,
            Cell::Zoned { offset, .. } => {
                one_offset &= *first_offset.get_or_insert(*offset) == *offset;
            }
        }
        if naive && first_offset.is_some() {
            return Err(DatetimeError::MixedZones { row });
        }
    }
    if !one_offset {
        return Ok(Series::Object(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Missing => Value::Other("NaT"),
                    _ => Value::Other("datetime"),
                })
                .collect(),
        ));
    }
    let values = cells
        .iter()
        .map(|cell| match cell {
            Cell::Missing => NAT,
            Cell::Naive(value) | Cell::Zoned { utc: value, .. } => *value,
        })
        .collect();
    Ok(if first_offset.is_some() { Series::DatetimeTz(values) } else { Series::Datetime(values) })
}
