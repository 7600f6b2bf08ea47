//! Schema enforcement: `_enforce_schema` of MLflow's `PyFuncModel.predict`.
//!
//! What the body's data became is checked against the signature. The rules are strict here, since
//! the lax conversions happened before; what fails is a `SCHEMA_ENFORCEMENT_FAILED`.

mod columns;
mod datatype;
mod tensors;
pub mod values;

pub use columns::enforce_columns;
pub use tensors::enforce_tensors;
