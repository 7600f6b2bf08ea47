//! Named columns of scalars: data frames by row, by record, or by column.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::sink::{Place, RowForm, Sink, empty_series, list};
use crate::model::{ColumnType, Columns, GraphIo, ValueType};
use crate::tensor::{DType, Tensor};
use crate::wire::invocations::feed::{Casts, ModelInput, feed, feed_column};
use crate::wire::invocations::frame::{Frame, Label, Series};
use crate::wire::invocations::scoring::{Decoded, Layout};
use crate::wire::text::write_json_string;

/// The columns that a request fills.
#[derive(Clone, Debug)]
pub(super) struct ColumnTarget {
    pub(super) columns: Vec<Column>,
    io: GraphIo,
    /// The graph's element type, where all columns become one matrix of floats.
    matrix: Option<DType>,
    /// The column of each of the graph's inputs, where it has several.
    inputs: Option<Vec<usize>>,
    /// All names in the declared order, as most clients write them: Python's `json.dumps`, and the
    /// same without blanks.
    name_lists: [Vec<u8>; 2],
    /// The places of those names.
    declared_order: Vec<Place>,
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
        (!repeated).then(|| Self {
            name_lists: [", ", ","].map(|separator| name_list(&columns, separator)),
            declared_order: (0..columns.len()).map(Some).collect(),
            columns,
            io: io.clone(),
            matrix,
            inputs,
        })
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
        self.sink(|place| present[place])
    }

    /// Starts some of the columns; `None` where a matrix would lack one.
    fn sink(&self, is_present: impl Fn(usize) -> bool) -> Option<Sink> {
        if let Some(dtype) = self.matrix {
            return (0..self.columns.len()).all(is_present).then(|| Sink::matrix(dtype));
        }
        let series =
            self.columns.iter().enumerate().map(|(place, column)| {
                is_present(place).then(|| empty_series(column.ty)).flatten()
            });
        Some(Sink::Columns(series.collect()))
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

fn name_list(columns: &[Column], separator: &str) -> Vec<u8> {
    let mut list = b"[".to_vec();
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            list.extend_from_slice(separator.as_bytes());
        }
        write_json_string(&mut list, &column.name);
    }
    list.push(b']');
    list
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
        if places.is_none() && cursor.take_name("columns") {
            places = Some(names(target, cursor)?);
        } else if index.is_none() && cursor.take_name("index") {
            index = Some(cursor.count_cells()?);
        } else if filled.is_none() && cursor.take_name("data") {
            let places = places.as_ref()?;
            let mut sink = match places {
                Cow::Borrowed(_) => target.sink(|_| true)?,
                Cow::Owned(places) => target.start(places)?,
            };
            let rows = rows(RowForm::List, target, places, &mut sink, cursor)?;
            filled = Some((sink, rows));
        } else {
            return None;
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

/// The column of each name; borrowed where they are all columns in the declared order.
fn names<'a>(target: &'a ColumnTarget, cursor: &mut Cursor<'_>) -> Option<Cow<'a, [Place]>> {
    cursor.skip_blanks();
    if target.name_lists.iter().any(|list| cursor.take_bytes(list)) {
        return Some(Cow::Borrowed(&target.declared_order));
    }
    let mut places = Vec::with_capacity(target.columns.len());
    cursor.expect(b'[')?;
    loop {
        places.push(target.place(cursor.plain_string()?, places.len()));
        if !cursor.more(b']')? {
            return Some(Cow::Owned(places));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ColumnSpec;

    /// The places that a list of names gives, and whether it was known as a whole.
    fn places(declared: &[&str], list: &str) -> Option<(Vec<Place>, bool)> {
        let specs = declared.iter().map(|name| ColumnSpec {
            name: (*name).into(),
            ty: ValueType::Scalar(ColumnType::Double),
            required: true,
        });
        let columns = Columns { specs: specs.collect(), named: true };
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        let target = ColumnTarget::new(&columns, &io)?;
        let body = format!(" {list}, ");
        let mut cursor = Cursor::new(body.as_bytes())?;
        let places = names(&target, &mut cursor)?;
        assert_eq!(cursor.remaining(), ", ".len(), "{list}");
        Some((places.to_vec(), matches!(places, Cow::Borrowed(_))))
    }

    #[test]
    fn names_are_known_however_they_are_listed() {
        let declared = ["a", "b c"];
        for (list, want) in [
            (r#"["a", "b c"]"#, Some((vec![Some(0), Some(1)], true))),
            (r#"["a","b c"]"#, Some((vec![Some(0), Some(1)], true))),
            (r#"[ "a" , "b c" ]"#, Some((vec![Some(0), Some(1)], false))),
            (r#"["b c", "a"]"#, Some((vec![Some(1), Some(0)], false))),
            (r#"["a", "b c", "d"]"#, Some((vec![Some(0), Some(1), None], false))),
            (r#"["a"]"#, Some((vec![Some(0)], false))),
            (r#"["a", "b\u0020c"]"#, None),
            (r#"["a", 1]"#, None),
        ] {
            assert_eq!(places(&declared, list), want, "{list}");
        }
    }

    #[test]
    fn escapes_are_known_where_python_writes_them() {
        let declared = ["säure", "\"b\\"];
        let whole = Some((vec![Some(0), Some(1)], true));
        assert_eq!(places(&declared, r#"["s\u00e4ure", "\"b\\"]"#), whole);
        assert_eq!(places(&declared, r#"["s\u00E4ure", "\"b\\"]"#), None);
        assert_eq!(places(&declared, r#"["säure", "c"]"#), Some((vec![Some(0), None], false)));
    }
}
