//! `pandas.DataFrame(...)` for `dataframe_split` and `dataframe_records`.

use std::collections::HashMap;

use super::WireError;
use super::frame::{Frame, Label, Series};
use super::index::{Index, common_index};
use super::infer::infer;
use super::value::Value;

/// Cells that pandas' padding, repeating and broadcasting may make of each value of a body, and
/// on top of that. Without a bound, a small body could ask for rows times columns of memory.
const CELLS_PER_VALUE_MAX: usize = 2;
const CELLS_EXTRA_MAX: usize = 1 << 20;
/// The same for repeated texts, of which the answer may make several times as much again.
const REPEATED_EXTRA_MAX: usize = 1 << 19;

/// The frame of a `dataframe_split` object: `data`, and optionally `columns` and `index`.
///
/// # Errors
/// When the object has other members, or pandas would refuse the data.
pub fn from_split(split: Value) -> Result<Frame, WireError> {
    let Value::Dict(members) = split else {
        return Err(WireError::bad_request(format!(
            "dataframe_split: expected an object with 'data' and optionally 'columns' and \
             'index', got {}",
            split.type_name()
        )));
    };
    let (mut columns, mut index, mut data) = (Value::None, Value::None, None);
    for (key, value) in members {
        match key.as_str() {
            "columns" => columns = value,
            "index" => index = value,
            "data" => data = Some(value),
            _ => {
                return Err(WireError::bad_request(
                    "dataframe_split: expected only the members 'columns', 'index' and 'data'",
                ));
            }
        }
    }
    let data = data.ok_or_else(|| WireError::bad_request("dataframe_split: 'data' is missing"))?;
    let columns = labels(columns)?;
    let index = Index::of(index)?;
    build(data, columns, index)
        .map_err(|why| WireError::bad_request(format!("dataframe_split: {why}")))
}

/// The frame of a `dataframe_records` list.
///
/// # Errors
/// When it is no list, or pandas would refuse its items.
pub fn from_records(records: Value) -> Result<Frame, WireError> {
    let Value::List(_) = records else {
        return Err(WireError::bad_request(format!(
            "dataframe_records: expected a list of records, got {}",
            records.type_name()
        )));
    };
    build(records, None, None)
        .map_err(|why| WireError::bad_request(format!("dataframe_records: {why}")))
}

/// `pandas.DataFrame(data, index, columns)`.
///
/// # Errors
/// In one sentence, where pandas raises.
pub fn build(
    data: Value,
    columns: Option<Vec<Label>>,
    index: Option<Index>,
) -> Result<Frame, String> {
    let rows = index.as_ref().map(Index::rows);
    match data {
        Value::None => from_members(Vec::new(), columns, index),
        Value::Dict(members) => from_members(members, columns, index),
        Value::List(items) => match items.first() {
            None => from_members(Vec::new(), Some(columns.unwrap_or_default()), index),
            Some(Value::List(_)) => fit_index(from_lists(items, columns)?, rows),
            Some(Value::Dict(_)) => fit_index(from_dicts(items, columns)?, rows),
            Some(_) => from_cells(items, columns, rows),
        },
        scalar => match (columns, rows) {
            (Some(columns), Some(rows)) => {
                check_size(rows, columns.len(), rows + columns.len())?;
                let given = rows + columns.len() + scalar.weight();
                check_repeats(rows.saturating_mul(columns.len()), scalar.weight(), given)?;
                let mut series = infer(vec![scalar])?;
                series.repeat(rows);
                let columns = columns.into_iter().map(|label| (label, series.clone())).collect();
                Ok(Frame { columns, rows })
            }
            _ => Err(format!("'data' must be a list of rows, got {}", scalar.type_name())),
        },
    }
}

/// A list of rows, each a list. Short rows are padded with nulls.
fn from_lists(rows: Vec<Value>, columns: Option<Vec<Label>>) -> Result<Frame, String> {
    let count = rows.len();
    let rows = rows.into_iter().map(|row| match row {
        Value::List(cells) => Ok(cells),
        // Python iterates an object's keys and a string's characters.
        Value::Dict(members) => Ok(members.into_iter().map(|(key, _)| Value::Str(key)).collect()),
        Value::Str(text) => Ok(text.chars().map(|c| Value::Str(c.into())).collect()),
        other => Err(format!("every row must be a list, got {}", other.type_name())),
    });
    let rows = rows.collect::<Result<Vec<Vec<Value>>, String>>()?;
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let columns = columns.unwrap_or_else(|| numbered(width));
    if columns.len() != width {
        return Err(format!(
            "{} columns are named, but the widest row has {width} values",
            columns.len()
        ));
    }
    check_size(count, width, count + rows.iter().map(Vec::len).sum::<usize>())?;
    let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(count)).collect();
    for row in rows {
        let mut row = row.into_iter();
        for column in &mut cells {
            column.push(row.next().unwrap_or(Value::None));
        }
    }
    let columns = columns.into_iter().zip(cells).map(|(label, cells)| Ok((label, infer(cells)?)));
    Ok(Frame { columns: columns.collect::<Result<_, String>>()?, rows: count })
}

/// A list of records. Missing members are NaN.
fn from_dicts(rows: Vec<Value>, columns: Option<Vec<Label>>) -> Result<Frame, String> {
    let count = rows.len();
    let rows = rows.into_iter().map(|row| match row {
        Value::Dict(members) => Ok(members),
        other => Err(format!("every record must be an object, got {}", other.type_name())),
    });
    let rows = rows.collect::<Result<Vec<_>, String>>()?;
    let (names, cells) = transpose(rows, || Value::Float(f64::NAN))?;
    let columns: Vec<(Label, Vec<Value>)> = match columns {
        None => names.into_iter().map(Label::Name).zip(cells).collect(),
        Some(columns) if columns.iter().any(|label| !label.is_hashable()) => {
            return Err("a column's name must be text".into());
        }
        Some(columns) => {
            check_size(count, columns.len(), count + columns.len() + names.len())?;
            let given = names.into_iter().zip(cells.into_iter().map(Value::List)).collect();
            let cells = |values: Option<Value>| match values {
                Some(Value::List(cells)) => cells,
                _ => vec![Value::Float(f64::NAN); count],
            };
            let picked = pick(given, columns)?.into_iter();
            picked.map(|(label, values)| (label, cells(values))).collect()
        }
    };
    let columns = columns.into_iter().map(|(label, cells)| Ok((label, infer(cells)?)));
    Ok(Frame { columns: columns.collect::<Result<_, String>>()?, rows: count })
}

/// Turns rows of named cells into columns, named in order of first appearance.
///
/// # Errors
/// When the rows have so little in common that the columns would be nearly empty.
pub(super) fn transpose<T>(
    rows: Vec<Vec<(String, T)>>,
    missing: impl Fn() -> T,
) -> Result<(Vec<String>, Vec<Vec<T>>), String> {
    let count = rows.len();
    let given = count + rows.iter().map(Vec::len).sum::<usize>();
    let mut positions = HashMap::<String, usize>::new();
    let mut names = Vec::new();
    let mut columns: Vec<Vec<T>> = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        check_size(at, names.len(), given)?;
        for (key, cell) in row {
            let position = *positions.entry(key).or_insert_with_key(|key| {
                names.push(key.clone());
                columns.push(Vec::new());
                names.len() - 1
            });
            let column = &mut columns[position];
            column.resize_with(at, &missing);
            column.push(cell);
        }
    }
    for column in &mut columns {
        column.resize_with(count, &missing);
    }
    Ok((names, columns))
}

/// A flat list: one column.
fn from_cells(
    cells: Vec<Value>,
    columns: Option<Vec<Label>>,
    index: Option<usize>,
) -> Result<Frame, String> {
    let rows = cells.len();
    let columns = columns.unwrap_or_else(|| numbered(1));
    if columns.len() != 1 {
        return Err(format!("{} columns are named, but 'data' is a flat list", columns.len()));
    }
    if index.is_some_and(|index| index != rows) {
        return Err(format!("'index' must have one entry for each of the {rows} rows"));
    }
    let series = infer(cells)?;
    Ok(Frame { columns: columns.into_iter().map(|label| (label, series.clone())).collect(), rows })
}

/// An object of columns: lists, objects from row label to cell, or single values. Where columns
/// are named, one that is absent or null is missing throughout.
fn from_members(
    members: Vec<(String, Value)>,
    columns: Option<Vec<Label>>,
    index: Option<Index>,
) -> Result<Frame, String> {
    let named: Vec<(Label, Option<Value>)> = match columns {
        None => members.into_iter().map(|(key, value)| (Label::Name(key), Some(value))).collect(),
        Some(columns) => {
            let picked = pick(members, columns)?.into_iter();
            picked.map(|(label, value)| (label, value.filter(|v| !v.is_missing()))).collect()
        }
    };
    let index = match index {
        Some(index) => index,
        None => common_index(named.iter().filter_map(|(_, value)| value.as_ref()))?,
    };
    let rows = index.rows();
    check_size(rows, named.len(), rows + named.len())?;
    let repeated = named.iter().map(|(_, value)| match value {
        Some(Value::List(items)) if items.len() == 1 => items[0].weight(),
        None | Some(Value::List(_)) => 0,
        Some(scalar) => scalar.weight(),
    });
    let weight = repeated.sum::<usize>();
    check_repeats(rows, weight, rows + weight)?;
    let series = |value: Option<Value>| match value {
        None => Ok(Series::Object(vec![Value::Float(f64::NAN); rows])),
        // numpy's type for nothing, where pandas takes the columns one by one.
        Some(Value::List(items)) if items.is_empty() && rows == 0 => Ok(Series::F64(Vec::new())),
        Some(Value::List(items)) if items.len() == rows => Ok(infer(items)?),
        Some(Value::List(items)) if items.len() != 1 => {
            Err(format!("every column must have {rows} values, as 'index'"))
        }
        Some(Value::Dict(cells)) => Ok(infer(index.pick(cells)?)?),
        Some(single) => {
            let items = if let Value::List(items) = single { items } else { vec![single] };
            let mut series = infer(items)?;
            series.repeat(rows);
            Ok(series)
        }
    };
    let columns = named.into_iter().map(|(label, value)| Ok((label, series(value)?)));
    Ok(Frame { columns: columns.collect::<Result<_, String>>()?, rows })
}

/// The members that `columns` ask for, in that order; a name that repeats gets a copy each time.
fn pick(
    members: Vec<(String, Value)>,
    columns: Vec<Label>,
) -> Result<Vec<(Label, Option<Value>)>, String> {
    let given = columns.len() + members.iter().map(|(_, value)| value.weight()).sum::<usize>();
    let by_name: HashMap<String, Value> = members.into_iter().collect();
    let mut taken = 0_usize;
    let pick_one = |label: Label| {
        let value = match &label {
            Label::Name(name) => by_name.get(name),
            Label::Number(_) | Label::Other(_) => None,
        };
        taken = taken.saturating_add(value.map_or(0, Value::weight));
        check_repeats(1, taken, given)?;
        let value = value.cloned();
        Ok((label, value))
    };
    columns.into_iter().map(pick_one).collect()
}

/// Applies an explicit index: pandas repeats a single row to the index's length.
fn fit_index(mut frame: Frame, index: Option<usize>) -> Result<Frame, String> {
    match index {
        Some(rows) if rows != frame.rows => {
            if frame.rows != 1 && !frame.columns.is_empty() {
                return Err(format!(
                    "'index' must have one entry for each of the {} rows",
                    frame.rows
                ));
            }
            check_size(rows, frame.columns.len(), rows + frame.columns.len())?;
            let weight = frame.columns.iter().map(|(_, series)| series.weight()).sum::<usize>();
            check_repeats(rows, weight, rows + weight)?;
            for (_, series) in &mut frame.columns {
                series.repeat(rows);
            }
            frame.rows = rows;
        }
        _ => {}
    }
    Ok(frame)
}

/// Bounds the cells of a frame by the number of values that the body gives.
pub(super) fn check_size(rows: usize, columns: usize, given: usize) -> Result<(), String> {
    if fits(rows, columns, given, CELLS_EXTRA_MAX) {
        return Ok(());
    }
    Err(format!("{rows} rows of {columns} columns are far more cells than the body has values"))
}

/// Bounds what repeating values makes of them: a long text counts as many cells. `weight` is that
/// of all values that are repeated, `given` that of the whole body.
pub(super) fn check_repeats(times: usize, weight: usize, given: usize) -> Result<(), String> {
    if fits(times, weight, given, REPEATED_EXTRA_MAX) {
        return Ok(());
    }
    Err("it repeats its values to far more data than the body has".to_owned())
}

fn fits(times: usize, weight: usize, given: usize, extra: usize) -> bool {
    let most = given.saturating_mul(CELLS_PER_VALUE_MAX).saturating_add(extra);
    times.saturating_mul(weight) <= most
}

fn numbered(count: usize) -> Vec<Label> {
    (0..count as i64).map(Label::Number).collect()
}

/// The labels of `columns`; `None` when there are none.
fn labels(columns: Value) -> Result<Option<Vec<Label>>, WireError> {
    match columns {
        Value::None => Ok(None),
        Value::List(items)
            if !items.is_empty() && items.iter().all(|item| matches!(item, Value::List(_))) =>
        {
            multi_level(&items).map(Some)
        }
        Value::List(items) => Ok(Some(items.into_iter().map(label).collect())),
        Value::Dict(members) => {
            Ok(Some(members.into_iter().map(|(key, _)| Label::Name(key)).collect()))
        }
        other => Err(WireError::bad_request(format!(
            "dataframe_split: 'columns' must be a list of names, got {}",
            other.type_name()
        ))),
    }
}

/// Labels of several levels, which are tuples: no declared name is one.
fn multi_level(levels: &[Value]) -> Result<Vec<Label>, WireError> {
    let levels: Vec<&[Value]> = levels
        .iter()
        .map(|level| if let Value::List(level) = level { level.as_slice() } else { &[] })
        .collect();
    if levels.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
        return Err(WireError::bad_request(
            "dataframe_split: the levels of 'columns' must have equal lengths",
        ));
    }
    let tuple = |i: usize| Value::Array(levels.iter().map(|level| level[i].clone()).collect());
    Ok((0..levels[0].len()).map(|i| Label::Other(tuple(i))).collect())
}

fn label(value: Value) -> Label {
    match value {
        Value::Str(name) => Label::Name(name),
        Value::Int(number) => Label::Number(number),
        // NaN labels are equal to each other.
        Value::Float(number) if number.is_nan() => Label::Other(Value::Other("NaN")),
        other => Label::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn split(text: &str) -> Result<Frame, WireError> {
        from_split(json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn objects_of_objects_are_aligned_by_their_keys() {
        for (text, want) in [
            (r#"{"data": {"a": {"0": 1, "1": 2}}}"#, "I64([1, 2])"),
            (r#"{"data": {"a": {"x": 1}, "b": {"y": 2}}}"#, "F64([1.0, NaN])"),
            (r#"{"data": {"a": {"x": 1}}, "index": ["y", "x"]}"#, "F64([NaN, 1.0])"),
            (r#"{"data": {"a": {"0": 1}}, "index": [0]}"#, "F64([NaN])"),
            (r#"{"data": {"a": 5, "b": {"x": 1}}}"#, "I64([5])"),
            (r#"{"data": {"a": null}, "columns": ["a"]}"#, "Object([])"),
            (r#"{"data": {"a": [2.5]}, "index": []}"#, "F64([])"),
            (r#"{"data": {"a": []}}"#, "F64([])"),
            (r#"{"data": [], "columns": ["a"]}"#, "Object([])"),
            (r#"{"data": 1.5, "columns": ["a"], "index": [0, 1]}"#, "F64([1.5, 1.5])"),
        ] {
            assert_eq!(format!("{:?}", split(text).unwrap().columns[0].1), want, "{text}");
        }
        assert!(split(r#"{"data": {"a": {"x": 1}, "b": [1]}}"#).is_err());
        assert!(split(r#"{"data": {"a": null}}"#).is_err());
    }

    #[test]
    fn labels_of_levels_are_tuples() {
        let frame = split(r#"{"columns": [["a", "b"], [1, 2]], "data": [[3, 4]]}"#).unwrap();
        assert_ne!(frame.columns[0].0, frame.columns[1].0);
        assert!(frame.columns.iter().all(|(label, _)| label.is_hashable()));
        let frame = split(r#"{"columns": [["a"], "b"], "data": [[3, 4]]}"#).unwrap();
        assert!(!frame.columns[0].0.is_hashable());
    }
}
