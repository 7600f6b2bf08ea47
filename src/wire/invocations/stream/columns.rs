//! Named columns of scalars: data frames by row, by record, or by column.

use super::arrays::more_like_it;
use super::cursor::{Cell, Cursor, Number};
use crate::model::{ColumnType, Columns, GraphIo, ValueType};
use crate::tensor::{DType, Tensor};
use crate::wire::invocations::feed::{Casts, ModelInput, feed};
use crate::wire::invocations::frame::{Frame, Label, Series};
use crate::wire::invocations::scoring::{Decoded, Layout};
use crate::wire::invocations::value::Value;

/// The columns that a request fills.
#[derive(Clone, Debug)]
pub(super) struct ColumnTarget {
    columns: Vec<Column>,
    io: GraphIo,
    /// The graph's element type, where all columns become one matrix of floats.
    matrix: Option<DType>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// `"name":`, where that is how JSON writes it.
    member: Option<Vec<u8>>,
    ty: ColumnType,
    required: bool,
}

/// Largest integer up to which every integer is a float32.
const F32_INT_MAX: u64 = 1 << 24;
/// Where a request's column goes; extra ones go nowhere.
type Place = Option<usize>;

/// What becomes of columns that the signature does not declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extras {
    /// They are dropped unseen.
    Drop,
    /// They take part in the check of lengths, which only the exact path does.
    Count,
}

impl ColumnTarget {
    pub(super) fn new(columns: &Columns, io: &GraphIo) -> Option<Self> {
        if !columns.named {
            return None;
        }
        let columns = columns.specs.iter().map(|spec| match spec.ty {
            ValueType::Scalar(ColumnType::Binary | ColumnType::Datetime) => None,
            ValueType::Scalar(ty) => Some(Column {
                name: spec.name.clone(),
                member: plain_member(&spec.name),
                ty,
                required: spec.required,
            }),
            _ => None,
        });
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let repeated = columns
            .iter()
            .enumerate()
            .any(|(i, column)| columns[..i].iter().any(|earlier| earlier.name == column.name));
        let matrix = matrix_type(&columns, io);
        (!repeated).then(|| Self { columns, io: io.clone(), matrix })
    }

    /// Whether a column holds texts.
    pub(super) fn has_texts(&self) -> bool {
        self.columns.iter().any(|column| column.ty == ColumnType::String)
    }

    /// Starts the columns that the places name; `None` where a required one is missing.
    fn start(&self, places: &[Place]) -> Option<Sink> {
        let mut present = vec![false; self.columns.len()];
        for &place in places.iter().flatten() {
            if std::mem::replace(&mut present[place], true) {
                return None;
            }
        }
        let complete = present.iter().zip(&self.columns).all(|(has, c)| *has || !c.required);
        if !complete {
            return None;
        }
        match self.matrix {
            Some(dtype) => present.iter().all(|has| *has).then(|| Sink::matrix(dtype)),
            None => Some(Sink::Columns(
                self.columns
                    .iter()
                    .zip(present)
                    .map(|(column, has)| has.then(|| empty_series(column.ty)).flatten())
                    .collect(),
            )),
        }
    }

    /// Finds a name's column, most likely the one at `guess`.
    fn place(&self, name: &str, guess: usize) -> Place {
        if self.columns.get(guess).is_some_and(|column| column.name == name) {
            return Some(guess);
        }
        self.columns.iter().position(|column| column.name == name)
    }

    fn finish(&self, sink: Sink, rows: usize) -> Option<Decoded> {
        let width = self.columns.len();
        let feeds = match sink {
            Sink::F32(values) => vec![Tensor::from_vec(&[rows, width], values)?],
            Sink::F64(values) => vec![Tensor::from_vec(&[rows, width], values)?],
            Sink::Columns(series) => {
                let columns = self.columns.iter().zip(series).filter_map(|(column, series)| {
                    Some((Label::Name(column.name.clone()), series?))
                });
                let frame = Frame { columns: columns.collect(), rows };
                feed(ModelInput::Frame(frame), &self.io, Casts::Exact).ok()?.0
            }
        };
        Some(Decoded { feeds, rows, layout: Layout::Records })
    }
}

fn plain_member(name: &str) -> Option<Vec<u8>> {
    let is_plain = !name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    is_plain.then(|| format!("\"{name}\":").into_bytes())
}

/// The float type of the graph, if all columns are numbers that pandas would hold in one matrix
/// of floats.
fn matrix_type(columns: &[Column], io: &GraphIo) -> Option<DType> {
    let [input] = io.inputs.as_slice() else { return None };
    let is = |ty: ColumnType| columns.iter().filter(|column| column.ty == ty).count();
    let (doubles, floats) = (is(ColumnType::Double), is(ColumnType::Float));
    let integers = is(ColumnType::Long) + is(ColumnType::Integer);
    let numbers = doubles + floats + integers == columns.len();
    let common = if doubles > 0 || (floats > 0 && integers > 0) { DType::F64 } else { DType::F32 };
    let any_float = doubles + floats > 0;
    let direct = matches!((common, input.dtype), (_, DType::F32) | (DType::F64, DType::F64));
    (numbers && any_float && direct).then_some(input.dtype)
}

fn empty_series(ty: ColumnType) -> Option<Series> {
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

/// Where cells are collected.
enum Sink {
    /// Rows of floats, in the graph's own type.
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// A series for each declared column that the request has.
    Columns(Vec<Option<Series>>),
}

impl Sink {
    fn matrix(dtype: DType) -> Self {
        if dtype == DType::F32 { Self::F32(Vec::new()) } else { Self::F64(Vec::new()) }
    }

    /// Reads another row.
    fn row(
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
    fn expect_rows(&mut self, bytes_read: usize, bytes_left: usize) {
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
enum RowForm {
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
        (ColumnType::Double, Cell::Number(Number::Float(value))) => Some(value),
        (ColumnType::Double | ColumnType::Long, Cell::Number(Number::Int(value))) => {
            Some(value as f64)
        }
        (ColumnType::Double | ColumnType::Float, Cell::Null) => Some(f64::NAN),
        (ColumnType::Float, Cell::Number(Number::Float(value))) => Some(f64::from(value as f32)),
        (ColumnType::Float, Cell::Number(Number::Int(value))) => {
            (value.unsigned_abs() <= F32_INT_MAX).then_some(value as f64)
        }
        (ColumnType::Integer, Cell::Number(Number::Int(value))) => {
            i32::try_from(value).ok().map(f64::from)
        }
        _ => None,
    }
}

/// Reads a list of cells, `expected` of them if that is known.
fn list(series: &mut Series, expected: Option<usize>, cursor: &mut Cursor<'_>) -> Option<()> {
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
        (Series::I32(values), Cell::Number(Number::Int(value))) => {
            values.push(i32::try_from(value).ok()?);
        }
        (Series::I64(values), Cell::Number(Number::Int(value))) => values.push(value),
        (Series::F32(values), cell) => values.push(as_float(cell, ColumnType::Float)? as f32),
        (Series::F64(values), cell) => values.push(as_float(cell, ColumnType::Double)?),
        (Series::Object(values), Cell::Text(text)) => values.push(Value::Str(text.to_owned())),
        _ => return None,
    }
    Some(())
}

/// `{"columns": [...], "index": [...], "data": [[...], ...]}`, the names before the data.
pub(super) fn split(target: &ColumnTarget, cursor: &mut Cursor<'_>) -> Option<Decoded> {
    cursor.expect(b'{')?;
    let (mut places, mut index, mut filled) = (None, None, None);
    loop {
        match cursor.name()? {
            "columns" if places.is_none() => places = Some(names(target, cursor)?),
            "index" if index.is_none() => index = Some(cursor.count_cells()?),
            "data" if filled.is_none() => {
                let places = places.as_deref()?;
                let mut sink = target.start(places)?;
                let rows = rows(RowForm::List, target, places, &mut sink, cursor)?;
                filled = Some((sink, rows));
            }
            _ => return None,
        }
        if !cursor.more(b'}')? {
            break;
        }
    }
    let (sink, rows) = filled?;
    if index.is_some_and(|index| index != rows) {
        return None;
    }
    target.finish(sink, rows)
}

fn names(target: &ColumnTarget, cursor: &mut Cursor<'_>) -> Option<Vec<Place>> {
    let mut places = Vec::with_capacity(target.columns.len());
    cursor.expect(b'[')?;
    loop {
        let name = cursor.plain_string()?;
        places.push(target.place(name, places.len()));
        if !cursor.more(b']')? {
            return Some(places);
        }
    }
}

/// Reads a list of rows and counts them.
fn rows(
    form: RowForm,
    target: &ColumnTarget,
    places: &[Place],
    sink: &mut Sink,
    cursor: &mut Cursor<'_>,
) -> Option<usize> {
    cursor.expect(b'[')?;
    let before = cursor.remaining();
    let mut rows = 0;
    loop {
        sink.row(form, target, places, cursor)?;
        rows += 1;
        if rows == 1 {
            sink.expect_rows(before - cursor.remaining(), cursor.remaining());
        }
        if !cursor.more(b']')? {
            return Some(rows);
        }
    }
}

/// `[{"a": 1, ...}, ...]`: every record with the same columns as the first.
pub(super) fn records(
    target: &ColumnTarget,
    extras: Extras,
    cursor: &mut Cursor<'_>,
) -> Option<Decoded> {
    // The first record is read twice: once for its names.
    let mut ahead = cursor.clone();
    ahead.expect(b'[')?;
    let places = record_names(target, &mut ahead)?;
    if extras == Extras::Count && places.iter().any(Option::is_none) {
        return None;
    }
    let mut sink = target.start(&places)?;
    let rows = rows(RowForm::Record, target, &places, &mut sink, cursor)?;
    target.finish(sink, rows)
}

fn record_names(target: &ColumnTarget, cursor: &mut Cursor<'_>) -> Option<Vec<Place>> {
    let mut places = Vec::with_capacity(target.columns.len());
    cursor.expect(b'{')?;
    loop {
        let name = cursor.name()?;
        // An extra column could repeat, which does no harm, as it is dropped.
        places.push(target.place(name, places.len()));
        cursor.cell()?;
        if !cursor.more(b'}')? {
            return Some(places);
        }
    }
}

/// `{"a": [1, 2], "b": [3, 4]}`: flat lists of equal length.
pub(super) fn lists(target: &ColumnTarget, cursor: &mut Cursor<'_>) -> Option<Decoded> {
    let mut series: Vec<Option<Series>> = target.columns.iter().map(|_| None).collect();
    let mut rows = None;
    cursor.expect(b'{')?;
    loop {
        // Extra columns take part in the check of lengths: leave them to the exact path.
        let place = target.place(cursor.name()?, 0)?;
        if series[place].is_some() {
            return None;
        }
        let mut column = empty_series(target.columns[place].ty)?;
        list(&mut column, rows, cursor)?;
        if *rows.get_or_insert(column.len()) != column.len() {
            return None;
        }
        series[place] = Some(column);
        if !cursor.more(b'}')? {
            break;
        }
    }
    let complete = target.columns.iter().zip(&series).all(|(c, s)| s.is_some() || !c.required);
    complete.then_some(())?;
    target.finish(Sink::Columns(series), rows?)
}
