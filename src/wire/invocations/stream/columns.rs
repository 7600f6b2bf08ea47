//! Named columns of scalars: data frames by row, by record, or by column.

use super::cursor::Cursor;
use super::sink::{Place, RowForm, Sink, empty_series, list};
use crate::model::{ColumnType, Columns, GraphIo, ValueType};
use crate::tensor::{DType, Tensor};
use crate::wire::invocations::feed::{Casts, ModelInput, feed, feed_column};
use crate::wire::invocations::frame::{Frame, Label, Series};
use crate::wire::invocations::scoring::{Decoded, Layout};

/// The columns that a request fills.
#[derive(Clone, Debug)]
pub(super) struct ColumnTarget {
    pub(super) columns: Vec<Column>,
    io: GraphIo,
    /// The graph's element type, where all columns become one matrix of floats.
    matrix: Option<DType>,
    /// The column of each of the graph's inputs, where it has several.
    inputs: Option<Vec<usize>>,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// `"name":`, where that is how JSON writes it.
    pub(super) member: Option<Vec<u8>>,
    pub(super) ty: ColumnType,
    required: bool,
}

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
        let inputs = inputs(&columns, io);
        (!repeated).then(|| Self { columns, io: io.clone(), matrix, inputs })
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
    pub(super) fn place(&self, name: &str, guess: usize) -> Place {
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
            Sink::Columns(mut series) if let Some(places) = &self.inputs => {
                let mut feeds = Vec::with_capacity(places.len());
                for (place, input) in places.iter().zip(&self.io.inputs) {
                    let series = series[*place].take()?;
                    feeds.push(feed_column(series, rows, input, Casts::Exact).ok()?);
                }
                feeds
            }
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

/// The column of each input, where the graph has several and every one is a column.
fn inputs(columns: &[Column], io: &GraphIo) -> Option<Vec<usize>> {
    let of = |name: &str| columns.iter().position(|column| column.name == name);
    let several = io.inputs.len() > 1;
    several.then(|| io.inputs.iter().map(|input| of(&input.name)).collect()).flatten()
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
        // Most clients name the columns in the declared order.
        let next = target.columns.get(places.len());
        if next.is_some_and(|next| next.member.is_some() && cursor.take_string(&next.name)) {
            places.push(Some(places.len()));
        } else {
            places.push(target.place(cursor.plain_string()?, places.len()));
        }
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
