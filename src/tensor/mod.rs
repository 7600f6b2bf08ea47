//! Typed n-dimensional arrays: what travels between the wire and a backend.
//!
//! Knows nothing of JSON, HTTP, threads or inference runtimes.

mod dtype;
mod rows;
mod shape;
#[expect(clippy::module_inception, reason = "the noun of this floor is the tensor itself")]
mod tensor;

pub use dtype::DType;
pub use shape::{Dim, Dims};
pub use tensor::{Element, Tensor};
