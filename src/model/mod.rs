//! What a model is, before any file or request: its identity, its signature, its graph's ends.

mod class_maps;
mod compatible;
mod graph;
mod id;
mod output;
mod selector;
mod session;
mod signature;

pub use class_maps::{ClassKey, ClassMap, ClassMaps};
pub use compatible::incompatibilities;
pub use graph::{GraphInput, GraphIo, GraphOutput, Output, OutputKind, OutputRows};
pub use id::{ModelId, ModelName, ModelNameError, VersionId};
pub use selector::{Selector, Stage};
pub use session::{Provider, SessionOptions};
pub use signature::{
    ColumnSpec, ColumnType, Columns, ParamSpec, ParamType, Property, Schema, Signature,
    TensorDType, TensorSpec, ValueType,
};
