//! MLflow's scoring protocol: what `POST /invocations` accepts and answers.
//!
//! Everything here follows the real scoring server (`mlflow/pyfunc/scoring_server`,
//! `mlflow/utils/proto_json_utils.py`, `mlflow/models/utils.py`, `mlflow/onnx`), whose behaviour
//! is that of pandas 2 and numpy 2. `docs/parity.md` lists where we differ on purpose.

pub mod csv;
pub mod datetime;
mod error;
pub mod frame;
pub mod parquet;
mod scoring;
pub mod value;

pub use error::{WireError, WireErrorKind};
pub use scoring::{Decoded, Layout, Scoring};
