//! What a model is, before any file or request: its identity, its signature, its graph's ends.

mod graph;
mod id;
mod selector;
mod session;
mod signature;

pub use graph::{
    ClassKey, ClassMap, GraphInput, GraphIo, GraphOutput, Output, OutputKind, OutputRows,
};
pub use id::{ModelId, ModelName, ModelNameError, VersionId};
pub use selector::{Selector, Stage};
pub use session::{Provider, SessionOptions};
pub use signature::{
    ColumnSpec, ColumnType, Columns, ParamSpec, ParamType, Property, Schema, Signature,
    TensorDType, TensorSpec, ValueType,
};
