//! Python values: what `json.loads` makes of a body, and what the cells of an object column hold.

use num_bigint::BigInt;

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    BigInt(Box<BigInt>),
    Float(f64),
    Str(String),
    /// A string with lone surrogates, each replaced by U+FFFD. Legal in JSON, not in a tensor.
    Surrogates(String),
    Bytes(Vec<u8>),
    /// A value of a Python type that no model input takes (`Timestamp`, `Decimal`, ...), by name.
    Other(&'static str),
    List(Vec<Value>),
    /// Keys in order of first appearance, each once (the last value wins).
    Dict(Vec<(String, Value)>),
}

impl Value {
    /// The Python type's name, for messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::BigInt(_) => "integer",
            Self::Float(_) => "number",
            Self::Str(_) | Self::Surrogates(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Other(name) => name,
            Self::List(_) => "array",
            Self::Dict(_) => "object",
        }
    }
}
