//! Columns of a model without a signature: their types are those of the first rows.
//!
//! pandas takes a column's type from all of its cells, which a stream does not know. Here the
//! first rows decide, as if their types had been declared, and a later cell that does not fit is
//! refused instead of being read as something else.

use crate::model::{ColumnSpec, ColumnType, Columns, Schema, ValueType};
use crate::wire::invocations::dataframe::from_records;
use crate::wire::invocations::frame::{Frame, Label, Series};
use crate::wire::invocations::json;
use crate::wire::invocations::value::Value;

/// The columns of these rows, as a signature would declare them.
///
/// # Errors
/// When a column's cells have no declared type.
pub(super) fn declare(frame: &Frame) -> Result<Schema, String> {
    let specs = frame.columns.iter().map(|(label, series)| {
        let Label::Name(name) = label else {
            return Err("a column has a label that is no text".to_owned());
        };
        let ty = column_type(series).ok_or_else(|| {
            format!(
                "column `{name}` holds {} in its first rows, which only a model with a signature \
                 takes",
                series.dtype_name()
            )
        })?;
        Ok(ColumnSpec { name: name.clone(), ty: ValueType::Scalar(ty), required: true })
    });
    Ok(Schema::Columns(Columns { specs: specs.collect::<Result<_, _>>()?, named: true }))
}

fn column_type(series: &Series) -> Option<ColumnType> {
    match series {
        Series::Bool(_) => Some(ColumnType::Boolean),
        Series::I64(_) => Some(ColumnType::Long),
        Series::F64(_) => Some(ColumnType::Double),
        Series::Object(cells) if cells.iter().all(is_text) => Some(ColumnType::String),
        _ => None,
    }
}

/// Text, or nothing, which the frames of texts show as None or as NaN.
fn is_text(cell: &Value) -> bool {
    match cell {
        Value::Str(_) | Value::None => true,
        Value::Float(number) => number.is_nan(),
        _ => false,
    }
}

/// Whether JSON records have the types of the first ones. JSON numbers would be converted to a
/// declared type, which drops what does not fit into it; here nobody declared that.
///
/// # Errors
/// The first column that does not, with what it should hold.
pub(super) fn check_records(records: &[u8], schema: &Schema) -> Result<(), String> {
    let Schema::Columns(columns) = schema else { return Ok(()) };
    let Ok(frame) = json::parse(records).map_err(drop).and_then(|value| {
        let Value::Dict(members) = value else { return Err(()) };
        let records = members.into_iter().next().ok_or(())?.1;
        from_records(records).map_err(drop)
    }) else {
        // The decoder has a better word for it.
        return Ok(());
    };
    for (label, series) in &frame.columns {
        let Some(spec) = columns.specs.iter().find(|spec| label.is_name(&spec.name)) else {
            continue;
        };
        let ValueType::Scalar(declared) = spec.ty else { continue };
        let found = column_type(series);
        let fits = found == Some(declared)
            || (declared, found) == (ColumnType::Double, Some(ColumnType::Long))
            || (declared == ColumnType::Double && is_missing(series));
        if !fits {
            return Err(format!(
                "column `{}` has the type {} in the first rows, and another one here",
                spec.name,
                declared.name()
            ));
        }
    }
    Ok(())
}

fn is_missing(series: &Series) -> bool {
    matches!(series, Series::Object(cells) if cells.iter().all(|cell| *cell == Value::None))
}
