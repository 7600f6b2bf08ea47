//! The declared inputs, outputs and parameters of a model, as MLflow defines them
//! (`mlflow/types/schema.py`). Parsing the JSON form is `crate::mlflow`'s business.

use serde_json::Value as Json;

use crate::tensor::{DType, Dims};

/// A model's signature. Outputs play no role in scoring and may describe something else than
/// what the graph returns; they are kept for display and compatibility checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    pub inputs: Option<Schema>,
    pub outputs: Option<Schema>,
    /// `None`: no parameter schema, so a request's parameters are ignored.
    pub params: Option<Vec<ParamSpec>>,
}

/// A schema is either all tensors or all columns, never a mixture.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// One unnamed tensor, or one or more named ones.
    Tensors(Vec<TensorSpec>),
    Columns(Columns),
}

/// One declared tensor. An unnamed one is the only one of its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    pub name: Option<String>,
    pub dtype: TensorDType,
    pub dims: Dims,
}

/// Element type of a declared tensor: a type that we can hold, or one of numpy's that only
/// Python values have (`object`, `bytes`, `datetime64[ns]`, ...), kept by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorDType {
    Known(DType),
    Other(String),
}

impl TensorDType {
    /// numpy's name of the type.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(dtype) => dtype.name(),
            Self::Other(name) => name,
        }
    }
}

/// The columns of a schema: all named, or none of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    pub specs: Vec<ColumnSpec>,
    /// Whether the columns have names. In an unnamed schema `ColumnSpec::name` is empty.
    pub named: bool,
}

/// One declared column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    pub name: String,
    pub ty: ValueType,
    pub required: bool,
}

/// The type of a column, of an array's items, of a map's values or of an object's property.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueType {
    Scalar(ColumnType),
    Array(Box<ValueType>),
    Object(Vec<Property>),
    Map(Box<ValueType>),
    Any,
    /// MLflow's `sparkml_vector`: behaves as an array of doubles that takes no nulls.
    SparkMlVector,
}

impl ValueType {
    /// The type for people: `double`, `array of long`, `object of (a: string, b: long or nothing)`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Scalar(ty) => ty.name().to_owned(),
            Self::Array(item) => format!("array of {}", item.describe()),
            Self::Object(properties) => {
                let properties: Vec<_> = properties
                    .iter()
                    .map(|Property { name, ty, required }| {
                        let or_nothing = if *required { "" } else { " or nothing" };
                        format!("{name}: {}{or_nothing}", ty.describe())
                    })
                    .collect();
                format!("object of ({})", properties.join(", "))
            }
            Self::Map(value) => format!("map of {}", value.describe()),
            Self::Any => "any".to_owned(),
            Self::SparkMlVector => "sparkml_vector".to_owned(),
        }
    }
}

/// A named member of an object type.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    pub name: String,
    pub ty: ValueType,
    pub required: bool,
}

/// MLflow's scalar data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    String,
    Binary,
    Datetime,
}

impl ColumnType {
    /// MLflow's name of the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Datetime => "datetime",
        }
    }

    /// The type of that MLflow name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "string" => Self::String,
            "binary" => Self::Binary,
            "datetime" => Self::Datetime,
            _ => return None,
        })
    }
}

/// A declared inference parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    pub name: String,
    pub ty: ParamType,
    pub default: Json,
    /// Whether the value is a one-dimensional array (`shape: [-1]`) rather than a scalar.
    pub is_array: bool,
}

/// The type of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamType {
    Scalar(ColumnType),
    Object(Vec<Property>),
}

impl Schema {
    /// Number of declared inputs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Tensors(specs) => specs.len(),
            Self::Columns(columns) => columns.specs.len(),
        }
    }

    /// Whether nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the inputs have names.
    #[must_use]
    pub fn is_named(&self) -> bool {
        match self {
            Self::Tensors(specs) => specs.iter().all(|spec| spec.name.is_some()),
            Self::Columns(columns) => columns.named,
        }
    }
}
