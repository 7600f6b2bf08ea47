//! Columns that a model does not know. The protocol ignores them where columns have names, so a
//! label that stands beside the features does no harm; a misspelt optional column would.

use super::block::Rows;
use crate::model::Schema;
use crate::wire::invocations::csv::{CsvOptions, CsvTypes, Datetimes, UnevenRows, read_csv};
use crate::wire::invocations::frame::{Frame, Label};
use crate::wire::invocations::json;
use crate::wire::invocations::parquet::read_parquet;
use crate::wire::invocations::value::Value;

/// Most bytes that a Parquet file without rows may unfold to.
const HEAD_BYTES_MAX: usize = 1 << 30;

/// The named columns of a block that the schema does not name, in the block's order. Of JSON, the
/// members of the first record. None where the schema has no names.
pub(super) fn unknown_columns(schema: Option<&Schema>, rows: &Rows) -> Vec<String> {
    let Some(schema) = schema.filter(|schema| schema.is_named()) else { return Vec::new() };
    let is_known = |name: &String| match schema {
        Schema::Tensors(specs) => specs.iter().any(|spec| spec.name.as_ref() == Some(name)),
        Schema::Columns(columns) => columns.specs.iter().any(|spec| spec.name == *name),
    };
    let mut names = names(rows).unwrap_or_default();
    names.retain(|name| !is_known(name));
    names
}

fn names(rows: &Rows) -> Option<Vec<String>> {
    if let Some(record) = rows.json(0) {
        let Ok(Value::Dict(members)) = json::parse(record) else { return None };
        return Some(members.into_iter().map(|(name, _)| name).collect());
    }
    let head = match rows {
        Rows::Document(_) => return None,
        Rows::Text(_) | Rows::Parquet(..) => rows.body(0).ok()?,
    };
    let Frame { columns, .. } = match rows {
        Rows::Parquet(..) => read_parquet(&head, HEAD_BYTES_MAX).ok()?,
        Rows::Text(_) | Rows::Document(_) => {
            let options = CsvOptions {
                types: CsvTypes::Inferred,
                datetimes: Datetimes::Parse,
                uneven_rows: UnevenRows::Fit,
            };
            read_csv(std::str::from_utf8(&head).ok()?, &options).ok()?
        }
    };
    let name = |(label, _)| match label {
        Label::Name(name) => Some(name),
        Label::Number(_) | Label::Other(_) => None,
    };
    Some(columns.into_iter().filter_map(name).collect())
}
