//! A column signature: whatever the data are, they become a frame of the declared columns.

use super::datatype::enforce_datatype;
use super::values::enforce_type;
use crate::model::{ColumnSpec, Columns, ValueType};
use crate::tensor::Tensor;
use crate::wire::invocations::WireError;
use crate::wire::invocations::coerce::{describe, type_text};
use crate::wire::invocations::dataframe::{build, check_repeats, check_size, transpose};
use crate::wire::invocations::frame::{Frame, Label, NAT, Series};
use crate::wire::invocations::infer::infer;
use crate::wire::invocations::numpy::NdArray;
use crate::wire::invocations::tensors::{Data, Item};
use crate::wire::invocations::value::Value;

/// Checks data against a column signature. The answer holds the declared columns that are
/// present, in the signature's order.
///
/// # Errors
/// `SCHEMA_ENFORCEMENT_FAILED` when a required column is missing or a dtype does not fit.
pub fn enforce_columns(data: Data, columns: &Columns) -> Result<Frame, WireError> {
    let frame = to_frame(data, columns).map_err(WireError::schema)?;
    if columns.named { enforce_named(frame, columns) } else { enforce_unnamed(frame, columns) }
}

fn enforce_named(mut frame: Frame, columns: &Columns) -> Result<Frame, WireError> {
    let has = |spec: &&ColumnSpec| frame.positions(&spec.name).next().is_some();
    let missing = columns.specs.iter().filter(|spec| spec.required && !has(spec));
    let missing: Vec<&str> = missing.map(|spec| spec.name.as_str()).collect();
    if !missing.is_empty() {
        return Err(missing_inputs(&missing));
    }
    let mut enforced = Frame { columns: Vec::with_capacity(columns.specs.len()), rows: frame.rows };
    for spec in &columns.specs {
        let positions: Vec<usize> = frame.positions(&spec.name).collect();
        match *positions.as_slice() {
            [] => {}
            [position] => {
                let (label, series) = &mut frame.columns[position];
                let series = std::mem::replace(series, Series::Bool(Vec::new()));
                let series = enforce_column(
                    &describe(Some(&spec.name), position),
                    series,
                    &spec.ty,
                    spec.required,
                )?;
                enforced.columns.push((label.clone(), series));
            }
            _ => {
                return Err(WireError::schema(format!(
                    "column '{}' is given more than once",
                    spec.name
                )));
            }
        }
    }
    Ok(enforced)
}

/// The sentence that names missing inputs, a bounded number of them.
pub(super) fn missing_inputs(names: &[&str]) -> WireError {
    const NAMED_MAX: usize = 10;
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("'{name}'")).collect();
    let more = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    WireError::schema(format!("the model is missing inputs {}{more}", named.join(", ")))
}

/// Without names only the number of columns is checked, and extra ones are dropped.
fn enforce_unnamed(frame: Frame, columns: &Columns) -> Result<Frame, WireError> {
    let want = columns.specs.len();
    if frame.columns.len() < want {
        return Err(WireError::schema(format!(
            "the model declares {want} inputs, but the request has {}",
            frame.columns.len()
        )));
    }
    let mut enforced = Frame { columns: Vec::with_capacity(want), rows: frame.rows };
    let repeats = |label: &Label| frame.columns.iter().filter(|(other, _)| other == label).count();
    if let Some(at) = frame.columns.iter().take(want).position(|(l, _)| repeats(l) > 1) {
        let name = describe(None, at);
        return Err(WireError::schema(format!(
            "the name of column {name} is given more than once"
        )));
    }
    let given = frame.columns.into_iter().zip(&columns.specs);
    for (at, ((label, series), spec)) in given.enumerate() {
        let series = enforce_column(&describe(None, at), series, &spec.ty, true)?;
        enforced.columns.push((label, series));
    }
    Ok(enforced)
}

fn enforce_column(
    name: &str,
    series: Series,
    ty: &ValueType,
    required: bool,
) -> Result<Series, WireError> {
    let enforced = match ty {
        ValueType::Scalar(ty) => enforce_datatype(series, *ty),
        complex => {
            let cells = series.into_values().into_iter();
            let cells = cells.map(|cell| enforce_type(cell, complex, required));
            cells.collect::<Result<_, _>>().map(Series::Object).map_err(|error| error.to_string())
        }
    };
    enforced.map_err(|why| {
        let want = type_text(ty);
        WireError::schema(format!("column {name}: expected {want}, {why}"))
    })
}

/// The frame that a column signature makes of the data.
fn to_frame(data: Data, columns: &Columns) -> Result<Frame, String> {
    match data {
        Data::Frame(frame) => Ok(frame),
        Data::Rows(rows) => frame_of_rows(rows),
        Data::Named(items) => frame_of_named(items, columns),
        Data::Item(Item::Scalar(scalar)) => {
            Ok(Frame { columns: vec![(Label::Number(0), series_of(scalar))], rows: 1 })
        }
        Data::Item(Item::Array(array)) => frame_of_array(array),
        Data::Item(Item::Value(list @ Value::List(_))) => build(list, None, None),
        Data::Item(Item::Value(value)) if value.is_scalar() => {
            Ok(Frame { columns: vec![(Label::Number(0), infer(vec![value])?)], rows: 1 })
        }
        Data::Item(Item::Value(value)) => {
            Err(format!("expected rows of the declared columns, got {}", value.type_name()))
        }
    }
}

/// An object of columns: one row where it looks like a record, else columns of equal length.
fn frame_of_named(items: Vec<(String, Item)>, columns: &Columns) -> Result<Frame, String> {
    let scalar_like = |item: &Item| match item {
        Item::Scalar(_) | Item::Value(Value::None) => true,
        Item::Array(_) => false,
        Item::Value(Value::List(items)) => items.iter().all(|i| matches!(i, Value::Str(_))),
        Item::Value(value) => value.is_scalar(),
    };
    let declares_nested = columns.specs.iter().any(|spec| {
        matches!(spec.ty, ValueType::Array(_) | ValueType::SparkMlVector | ValueType::Object(_))
    });
    let lone_text = |item: &Item| match item {
        Item::Array(NdArray::Tensor(Tensor::Str(text))) => text.ndim() == 0,
        _ => false,
    };
    if declares_nested
        || items.iter().all(|(_, item)| scalar_like(item))
        || items.iter().all(|(_, item)| lone_text(item))
    {
        return frame_of_rows(vec![items]);
    }
    let length = |item: &Item| match item {
        Item::Array(array) => array.shape().first().copied(),
        Item::Value(Value::List(items)) => Some(items.len()),
        Item::Scalar(_) | Item::Value(_) => None,
    };
    if items.iter().any(|(_, item)| matches!(item, Item::Value(Value::Dict(_)))) {
        return Err("expected lists of values for the columns, got an object".into());
    }
    let mut lengths = items.iter().filter_map(|(_, item)| length(item));
    let Some(rows) = lengths.next() else {
        return Err("expected lists of values for the columns, got single values".into());
    };
    if lengths.any(|other| other != rows) {
        return Err("the columns hold different numbers of values".into());
    }
    check_size(rows, items.len(), rows + items.len())?;
    let repeated = items.iter().map(|(_, item)| match item {
        Item::Value(Value::List(_)) => 0,
        Item::Value(value) => value.weight(),
        Item::Array(array) if !array.shape().is_empty() => 0,
        Item::Array(single) | Item::Scalar(single) => series_of(single.clone()).weight(),
    });
    let weight = repeated.sum::<usize>();
    check_repeats(rows, weight, rows + weight)?;
    let columns = items.into_iter().map(|(name, item)| {
        let series = match item {
            Item::Array(array) if array.shape().len() == 1 => series_of(array),
            Item::Value(Value::List(items)) => infer(items)?,
            Item::Array(array) if array.shape().len() > 1 => match array.to_list() {
                Value::List(items) => Series::Object(items),
                other => Series::Object(vec![other]),
            },
            Item::Array(single) | Item::Scalar(single) => broadcast(single, rows)?,
            Item::Value(value) => {
                let mut series = infer(vec![value])?;
                series.repeat(rows);
                series
            }
        };
        Ok((Label::Name(name), series))
    });
    Ok(Frame { columns: columns.collect::<Result<_, String>>()?, rows })
}

/// A column of one array of rank 0. An object inside is the list of its keys.
fn broadcast(single: NdArray, rows: usize) -> Result<Series, String> {
    let mut series = match single.to_list() {
        Value::Dict(members) => {
            if members.len() != rows && members.len() != 1 {
                return Err("expected lists of values for the columns, got an object".into());
            }
            infer(members.into_iter().map(|(key, _)| Value::Str(key)).collect())?
        }
        _ => series_of(single),
    };
    if series.len() != rows {
        series.repeat(rows);
    }
    Ok(series)
}

fn frame_of_array(array: NdArray) -> Result<Frame, String> {
    match *array.shape() {
        [rows] => Ok(Frame { columns: vec![(Label::Number(0), series_of(array))], rows }),
        [rows, width] => {
            let values = array.values();
            let column = |i: usize| {
                let cells = values.iter().skip(i).step_by(width.max(1)).cloned().collect();
                retype(cells, &array)
            };
            let columns = (0..width).map(|i| (Label::Number(i as i64), column(i))).collect();
            Ok(Frame { columns, rows })
        }
        ref shape => Err(format!("expected rows of values, got an array of rank {}", shape.len())),
    }
}

/// Python values back in the dtype of the array that they came from.
fn retype(cells: Vec<Value>, array: &NdArray) -> Series {
    let floats = |cells: &[Value]| -> Vec<f64> {
        cells.iter().map(|cell| cell.to_float().unwrap_or(f64::NAN)).collect()
    };
    let ints = |cells: &[Value]| -> Vec<i64> {
        cells.iter().map(|cell| if let Value::Int(value) = cell { *value } else { 0 }).collect()
    };
    match array {
        NdArray::Tensor(Tensor::F32(_)) => {
            Series::F32(floats(&cells).into_iter().map(|value| value as f32).collect())
        }
        NdArray::Tensor(Tensor::F64(_)) => Series::F64(floats(&cells)),
        NdArray::Tensor(Tensor::I32(_)) => {
            Series::I32(ints(&cells).into_iter().map(|value| value as i32).collect())
        }
        NdArray::Tensor(Tensor::I64(_)) => Series::I64(ints(&cells)),
        NdArray::Tensor(Tensor::Bool(_)) => Series::Bool(cells.iter().map(Value::truthy).collect()),
        NdArray::Datetime(_) => Series::Datetime(vec![NAT; cells.len()]),
        NdArray::Tensor(_) | NdArray::Bytes(_) | NdArray::Object(_) => Series::Object(cells),
    }
}

/// The column of an array of rank 0 or 1.
fn series_of(array: NdArray) -> Series {
    match array {
        NdArray::Tensor(Tensor::Bool(a)) => Series::Bool(a.into_iter().collect()),
        NdArray::Tensor(Tensor::I32(a)) => Series::I32(a.into_iter().collect()),
        NdArray::Tensor(Tensor::I64(a)) => Series::I64(a.into_iter().collect()),
        NdArray::Tensor(Tensor::U64(a)) => Series::U64(a.into_iter().collect()),
        NdArray::Tensor(Tensor::F32(a)) => Series::F32(a.into_iter().collect()),
        NdArray::Tensor(Tensor::F64(a)) => Series::F64(a.into_iter().collect()),
        NdArray::Datetime(a) => Series::Datetime(a.into_iter().collect()),
        other => Series::Object(other.values()),
    }
}

/// `pandas.DataFrame(rows)`. Cells that all come from one conversion keep its dtype; a missing
/// cell is a plain NaN, which widens numbers to doubles.
fn frame_of_rows(rows: Vec<Vec<(String, Item)>>) -> Result<Frame, String> {
    let count = rows.len();
    let rows: Vec<Vec<(String, Option<Item>)>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(|(name, item)| (name, Some(item))).collect())
        .collect();
    let (names, columns) = transpose(rows, || None)?;
    let columns = names
        .into_iter()
        .zip(columns)
        .map(|(name, cells)| Ok((Label::Name(name), series_of_cells(cells)?)));
    Ok(Frame { columns: columns.collect::<Result<_, String>>()?, rows: count })
}

fn series_of_cells(cells: Vec<Option<Item>>) -> Result<Series, String> {
    let scalars = cells.iter().map(|cell| match cell {
        Some(Item::Scalar(scalar)) => Some(scalar.clone()),
        _ => None,
    });
    if let Some(scalars) = scalars.collect::<Option<Vec<_>>>()
        && let Some(stacked) = crate::wire::invocations::numpy::stack(&scalars)
    {
        return Ok(series_of(stacked));
    }
    let is_datetime = |cell: &Option<Item>| {
        matches!(cell, None | Some(Item::Scalar(NdArray::Datetime(_)) | Item::Value(Value::None)))
    };
    let any_datetime =
        cells.iter().any(|cell| matches!(cell, Some(Item::Scalar(NdArray::Datetime(_)))));
    if any_datetime && cells.iter().all(is_datetime) {
        return Ok(Series::Datetime(vec![NAT; cells.len()]));
    }
    let has_array = cells.iter().any(|cell| matches!(cell, Some(Item::Array(_))));
    let values: Vec<Value> = cells
        .into_iter()
        .map(|cell| cell.map_or(Value::Float(f64::NAN), Item::into_value))
        .collect();
    if has_array { Ok(Series::Object(values)) } else { Ok(infer(values)?) }
}
