//! The row labels of a pandas `DataFrame`, by which columns given as objects are aligned.

use std::collections::{HashMap, HashSet};

use super::WireError;
use super::value::Value;

/// The row labels of a frame.
#[derive(Clone, Debug)]
pub enum Index {
    /// 0, 1, 2, and so on.
    Numbered(usize),
    Labels(Vec<Value>),
}

impl Index {
    /// What `index` says; `None` when it says nothing.
    ///
    /// # Errors
    /// When it is no list or object.
    pub fn of(index: Value) -> Result<Option<Self>, WireError> {
        match index {
            Value::None => Ok(None),
            Value::List(levels)
                if !levels.is_empty()
                    && levels.iter().all(|level| matches!(level, Value::List(_))) =>
            {
                // Tuples, which no key of an object is.
                let Value::List(first) = &levels[0] else { return Ok(None) };
                Ok(Some(Self::Numbered(first.len())))
            }
            Value::List(items) => Ok(Some(Self::Labels(items))),
            Value::Dict(members) => {
                let keys = members.into_iter().map(|(key, _)| Value::Str(key));
                Ok(Some(Self::Labels(keys.collect())))
            }
            other => Err(WireError::bad_request(format!(
                "dataframe_split: 'index' must be a list, got {}",
                other.type_name()
            ))),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Numbered(rows) => *rows,
            Self::Labels(labels) => labels.len(),
        }
    }

    /// The cells of the labelled rows, NaN where there is none.
    ///
    /// # Errors
    /// When a label is one that Python cannot look up.
    pub fn pick(&self, cells: Vec<(String, Value)>) -> Result<Vec<Value>, String> {
        let cells: HashMap<String, Value> = cells.into_iter().collect();
        let missing = Value::Float(f64::NAN);
        match self {
            Self::Numbered(rows) => Ok(vec![missing; *rows]),
            Self::Labels(labels) => labels
                .iter()
                .map(|label| match label {
                    Value::Str(label) => Ok(cells.get(label).unwrap_or(&missing).clone()),
                    Value::List(_) | Value::Dict(_) => {
                        Err("every entry of 'index' must be a single value".to_owned())
                    }
                    _ => Ok(missing.clone()),
                })
                .collect(),
        }
    }
}

/// The rows of columns that come without an index (`_extract_index`).
///
/// # Errors
/// When they do not agree on the rows.
pub fn common_index<'a>(columns: impl Iterator<Item = &'a Value>) -> Result<Index, String> {
    let (mut length, mut labels, mut scalars) = (None, None::<IndexSet>, false);
    for column in columns {
        match column {
            Value::List(items) => {
                if *length.get_or_insert(items.len()) != items.len() {
                    return Err("all columns must have the same number of values".into());
                }
            }
            Value::Dict(cells) => {
                let labels = labels.get_or_insert_default();
                for (key, _) in cells {
                    labels.insert(key);
                }
            }
            _ => scalars = true,
        }
    }
    match (length, labels) {
        (Some(_), Some(_)) => {
            Err("the columns must be either all lists or all objects, got both".into())
        }
        (Some(rows), None) => Ok(Index::Numbered(rows)),
        (None, Some(labels)) => Ok(Index::Labels(labels.order)),
        (None, None) if scalars => Err("a column's values must be a list".into()),
        (None, None) => Ok(Index::Numbered(0)),
    }
}

/// Row labels in order of first appearance.
#[derive(Default)]
struct IndexSet {
    seen: HashSet<String>,
    order: Vec<Value>,
}

impl IndexSet {
    fn insert(&mut self, key: &str) {
        if self.seen.insert(key.to_owned()) {
            self.order.push(Value::Str(key.to_owned()));
        }
    }
}
