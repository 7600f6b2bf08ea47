//! What pandas noted in a file that it wrote: its index, its labels, its own types.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::super::WireError;
use super::super::frame::Label;
use super::super::value::Value;
use super::check::invalid;

/// pandas' notes. Empty for files from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Columns that are the index.
    index: HashSet<String>,
    labels: Labels,
    /// The numpy or pandas type of each column.
    types: HashMap<String, String>,
}

/// What the labels of the columns were before they became names.
#[derive(Debug, Default)]
enum Labels {
    #[default]
    Names,
    Integers,
    /// Of another type, by Python's name of it.
    Other(&'static str),
}

impl Notes {
    /// Reads the value under the key `pandas` in a file's metadata.
    pub(super) fn read(text: &str) -> Result<Self, WireError> {
        let notes: Json =
            serde_json::from_str(text).map_err(|_| invalid("its pandas metadata are damaged"))?;
        let list = |key: &str| notes[key].as_array().into_iter().flatten();
        let index = list("index_columns").filter_map(Json::as_str).map(str::to_owned).collect();
        let types = list("columns").filter_map(|column| {
            let name = column["field_name"].as_str().or_else(|| column["name"].as_str())?;
            Some((name.to_owned(), column["numpy_type"].as_str()?.to_owned()))
        });
        let labels = match list("column_indexes").collect::<Vec<_>>().as_slice() {
            [] => Labels::Names,
            [one] => match one["pandas_type"].as_str().unwrap_or_default() {
                kind if kind.starts_with("int") || kind.starts_with("uint") => Labels::Integers,
                kind if kind.starts_with("float") => Labels::Other("float"),
                kind if kind.starts_with("datetime") => Labels::Other("Timestamp"),
                "bool" => Labels::Other("bool"),
                "bytes" => Labels::Other("bytes"),
                _ => Labels::Names,
            },
            _ => Labels::Other("tuple"),
        };
        Ok(Self { index, labels, types: types.collect() })
    }

    /// Whether the column is the index, and so no column of the frame.
    pub(super) fn is_index(&self, name: &str) -> bool {
        self.index.contains(name)
    }

    /// The column's label.
    pub(super) fn label(&self, name: &str) -> Label {
        match self.labels {
            Labels::Names => Label::Name(name.to_owned()),
            Labels::Integers => {
                name.parse().map_or_else(|_| Label::Other(Value::Other("int")), Label::Number)
            }
            Labels::Other(kind) => Label::Other(Value::Other(kind)),
        }
    }

    /// What a missing value in the column is.
    pub(super) fn missing(&self, name: &str) -> Missing {
        match self.types.get(name).map(String::as_str) {
            Some("string") => Missing::NaText,
            Some("Int64" | "UInt64" | "boolean") => Missing::Na,
            Some(kind) if kind.ends_with("[pyarrow]") => {
                if kind.contains("string") {
                    Missing::NaText
                } else {
                    Missing::Na
                }
            }
            _ => Missing::Plain,
        }
    }
}

/// What stands for a missing value in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// NaN among numbers, None among objects.
    Plain,
    /// `pandas.NA`, which no model takes: the columns of its own types that cannot hold NaN.
    Na,
    /// `pandas.NA` in a column of texts, which models see as the text `<NA>`.
    NaText,
}
