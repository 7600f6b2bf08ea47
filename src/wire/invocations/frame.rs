//! A pandas `DataFrame` as far as scoring needs one: labelled columns, each with a numpy dtype.

use super::numpy::unsigned;
use super::value::Value;

/// `NaT`, pandas' missing datetime.
pub const NAT: i64 = i64::MIN;

/// One column's values, by numpy dtype.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F16(Vec<half::f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// `datetime64[ns]`: nanoseconds since the epoch, [`NAT`] where missing.
    Datetime(Vec<i64>),
    /// `datetime64[ns, tz]`: the same, time-zone aware.
    DatetimeTz(Vec<i64>),
    /// `object`: any Python value, cell by cell.
    Object(Vec<Value>),
    /// `category`, by the cells' own values.
    Category(Vec<Value>),
}

/// A column's label. Names come from JSON keys or a CSV header; pandas numbers unnamed columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    Name(String),
    Number(i64),
    /// A label of another type (null, a float, a boolean, a tuple): never matches a declared
    /// name. A tuple is a [`Value::Array`].
    Other(Value),
}

/// Labelled columns of equal length. Labels may repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    pub columns: Vec<(Label, Series)>,
    pub rows: usize,
}

macro_rules! each_series {
    ($series:expr, $values:ident => $body:expr) => {
        match $series {
            Series::Bool($values) => $body,
            Series::I8($values) => $body,
            Series::I16($values) => $body,
            Series::I32($values) => $body,
            Series::I64($values) => $body,
            Series::U8($values) => $body,
            Series::U16($values) => $body,
            Series::U32($values) => $body,
            Series::U64($values) => $body,
            Series::F16($values) => $body,
            Series::F32($values) => $body,
            Series::F64($values) => $body,
            Series::Datetime($values) | Series::DatetimeTz($values) => $body,
            Series::Object($values) | Series::Category($values) => $body,
        }
    };
}

impl Series {
    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        each_series!(self, values => values.len())
    }

    /// Repeats the first cell until there are `rows` (or cuts to none).
    pub fn repeat(&mut self, rows: usize) {
        // Not all of the types are `Copy`.
        #[allow(clippy::cloned_instead_of_copied)]
        {
            each_series!(self, values => {
                let Some(first) = values.first().cloned() else { return };
                values.clear();
                values.resize(rows, first);
            });
        }
    }

    /// The cells as Python values (`astype(object)`).
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        fn ints<T: Into<i64>>(values: Vec<T>) -> Vec<Value> {
            values.into_iter().map(|value| Value::Int(value.into())).collect()
        }
        fn floats<T: Into<f64>>(values: Vec<T>) -> Vec<Value> {
            values.into_iter().map(|value| Value::Float(value.into())).collect()
        }
        match self {
            Self::Bool(values) => values.into_iter().map(Value::Bool).collect(),
            Self::I8(values) => ints(values),
            Self::I16(values) => ints(values),
            Self::I32(values) => ints(values),
            Self::I64(values) => ints(values),
            Self::U8(values) => ints(values),
            Self::U16(values) => ints(values),
            Self::U32(values) => ints(values),
            Self::U64(values) => values.into_iter().map(unsigned).collect(),
            Self::F16(values) => floats(values),
            Self::F32(values) => floats(values),
            Self::F64(values) => floats(values),
            Self::Datetime(values) | Self::DatetimeTz(values) => {
                values.iter().map(|_| Value::Other("pandas.Timestamp")).collect()
            }
            Self::Object(values) | Self::Category(values) => values,
        }
    }

    /// Whether there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numpy dtype's name.
    #[must_use]
    pub const fn dtype_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "int8",
            Self::I16(_) => "int16",
            Self::I32(_) => "int32",
            Self::I64(_) => "int64",
            Self::U8(_) => "uint8",
            Self::U16(_) => "uint16",
            Self::U32(_) => "uint32",
            Self::U64(_) => "uint64",
            Self::F16(_) => "float16",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
            Self::Datetime(_) => "datetime64[ns]",
            Self::DatetimeTz(_) => "datetime64[ns, tz]",
            Self::Object(_) => "object",
            Self::Category(_) => "category",
        }
    }
}

impl Label {
    /// Whether this is the label of that name.
    #[must_use]
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }

    /// Whether Python can hash the label: not a list or a dictionary.
    #[must_use]
    pub const fn is_hashable(&self) -> bool {
        !matches!(self, Self::Other(Value::List(_) | Value::Dict(_)))
    }
}

impl Frame {
    /// Positions of the columns of that name: none, one, or several where names repeat.
    pub fn positions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(move |(i, (label, _))| label.is_name(name).then_some(i))
    }
}
