//! Where the cells of columns go: one matrix of floats, or a series each.

use super::arrays::more_like_it;
use super::columns::ColumnTarget;
use super::cursor::{Cell, Cursor};
use crate::model::ColumnType;
use crate::tensor::DType;
use crate::wire::invocations::frame::Series;
use crate::wire::invocations::value::Value;

/// Largest integer up to which every integer is a float32.
const F32_INT_MAX: u64 = 1 << 24;
/// Where a request's column goes; extra ones go nowhere.
pub(super) type Place = Option<usize>;

/// Where cells are collected.
pub(super) enum Sink {
    /// Rows of floats, in the graph's own type.
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// A series for each declared column that the request has.
    Columns(Vec<Option<Series>>),
}

impl Sink {
    pub(super) fn matrix(dtype: DType) -> Self {
        if dtype == DType::F32 { Self::F32(Vec::new()) } else { Self::F64(Vec::new()) }
    }

    /// Reads another row.
    pub(super) fn row(
        &mut self,
        form: RowForm,
        target: &ColumnTarget,
        places: &[Place],
        cursor: &mut Cursor<'_>,
    ) -> Option<()> {
        let width = target.columns.len();
        let float = |place: usize, cell| as_float(cell, target.columns[place].ty);
        match self {
            Self::F32(values) => {
                let row = added(values, width);
                form.cells(target, places, cursor, |place, cell| {
                    row[place] = float(place, cell)? as f32;
                    Some(())
                })
            }
            Self::F64(values) => {
                let row = added(values, width);
                form.cells(target, places, cursor, |place, cell| {
                    row[place] = float(place, cell)?;
                    Some(())
                })
            }
            Self::Columns(series) => form
                .cells(target, places, cursor, |place, cell| push(series[place].as_mut()?, cell)),
        }
    }

    /// Makes room for as many more rows as the rest of the body may hold.
    pub(super) fn expect_rows(&mut self, bytes_read: usize, bytes_left: usize) {
        match self {
            Self::F32(values) => {
                values.reserve(more_like_it(values.len(), bytes_read, bytes_left));
            }
            Self::F64(values) => {
                values.reserve(more_like_it(values.len(), bytes_read, bytes_left));
            }
            Self::Columns(_) => {}
        }
    }
}

/// Another row of a matrix.
fn added<T: Clone + Default>(values: &mut Vec<T>, width: usize) -> &mut [T] {
    let from = values.len();
    values.resize(from + width, T::default());
    &mut values[from..]
}

/// How a row is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowForm {
    List,
    Record,
}

impl RowForm {
    /// Reads a row that has the columns of `places`, in that order.
    #[inline]
    fn cells<'a>(
        self,
        target: &ColumnTarget,
        places: &[Place],
        cursor: &mut Cursor<'a>,
        mut put: impl FnMut(usize, Cell<'a>) -> Option<()>,
    ) -> Option<()> {
        let (open, close) = match self {
            Self::List => (b'[', b']'),
            Self::Record => (b'{', b'}'),
        };
        cursor.expect(open)?;
        for (i, place) in places.iter().enumerate() {
            if self == Self::Record {
                member(target, *place, cursor)?;
            }
            let cell = cursor.cell()?;
            if let Some(place) = *place {
                put(place, cell)?;
            }
            let more = cursor.more(close)?;
            if more == (i + 1 == places.len()) {
                return None;
            }
        }
        Some(())
    }
}

/// The name of the column at `place`, or any name of none.
#[inline]
fn member(target: &ColumnTarget, place: Place, cursor: &mut Cursor<'_>) -> Option<()> {
    let Some(place) = place else {
        return target.place(cursor.name()?, 0).is_none().then_some(());
    };
    let column = &target.columns[place];
    cursor.skip_blanks();
    if column.member.as_ref().is_some_and(|member| cursor.take_bytes(member)) {
        return Some(());
    }
    (cursor.name()? == column.name).then_some(())
}

/// A number cell of a column in that column's own precision, as a double.
#[inline]
fn as_float(cell: Cell<'_>, ty: ColumnType) -> Option<f64> {
    match (ty, cell) {
        (ColumnType::Double, Cell::Float(value)) => Some(value),
        (ColumnType::Double | ColumnType::Long, Cell::Int(value)) => Some(value as f64),
        (ColumnType::Double | ColumnType::Float, Cell::Null) => Some(f64::NAN),
        (ColumnType::Float, Cell::Float(value)) => Some(f64::from(value as f32)),
        (ColumnType::Float, Cell::Int(value)) => {
            (value.unsigned_abs() <= F32_INT_MAX).then_some(value as f64)
        }
        (ColumnType::Integer, Cell::Int(value)) => i32::try_from(value).ok().map(f64::from),
        _ => None,
    }
}

/// Reads a list of cells, `expected` of them if that is known.
pub(super) fn list(
    series: &mut Series,
    expected: Option<usize>,
    cursor: &mut Cursor<'_>,
) -> Option<()> {
    cursor.expect(b'[')?;
    // A column of doubles is what most models have.
    if let Series::F64(values) = series {
        values.reserve(expected.unwrap_or_default());
        return each(cursor, |cell| {
            values.push(as_float(cell, ColumnType::Double)?);
            Some(())
        });
    }
    each(cursor, |cell| push(series, cell))
}

#[inline]
fn each<'a>(cursor: &mut Cursor<'a>, mut put: impl FnMut(Cell<'a>) -> Option<()>) -> Option<()> {
    loop {
        put(cursor.cell()?)?;
        if !cursor.more(b']')? {
            return Some(());
        }
    }
}

fn push(series: &mut Series, cell: Cell<'_>) -> Option<()> {
    match (series, cell) {
        (Series::Bool(values), Cell::Bool(value)) => values.push(value),
        (Series::I32(values), Cell::Int(value)) => {
            values.push(i32::try_from(value).ok()?);
        }
        (Series::I64(values), Cell::Int(value)) => values.push(value),
        (Series::F32(values), cell) => values.push(as_float(cell, ColumnType::Float)? as f32),
        (Series::F64(values), cell) => values.push(as_float(cell, ColumnType::Double)?),
        (Series::Object(values), Cell::Text(text)) => values.push(Value::Str(text.to_owned())),
        _ => return None,
    }
    Some(())
}

/// An empty series of a column's type.
pub(super) fn empty_series(ty: ColumnType) -> Option<Series> {
    Some(match ty {
        ColumnType::Boolean => Series::Bool(Vec::new()),
        ColumnType::Integer => Series::I32(Vec::new()),
        ColumnType::Long => Series::I64(Vec::new()),
        ColumnType::Float => Series::F32(Vec::new()),
        ColumnType::Double => Series::F64(Vec::new()),
        ColumnType::String => Series::Object(Vec::new()),
        ColumnType::Binary | ColumnType::Datetime => return None,
    })
}
