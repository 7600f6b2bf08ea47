//! MLflow's scoring protocol: what `POST /invocations` accepts and answers.
//!
//! Everything here follows the real scoring server (`mlflow/pyfunc/scoring_server`,
//! `mlflow/utils/proto_json_utils.py`, `mlflow/models/utils.py`, `mlflow/onnx`), whose behaviour
//! is that of pandas 2 and numpy 2. `docs/parity.md` lists where we differ on purpose.
//!
//! In reading order: a body becomes Python [`value`]s ([`json`]) or a [`frame`] ([`csv`],
//! [`parquet`]); the values become a frame ([`dataframe`]) or arrays ([`tensors`]); both are
//! checked against the signature ([`enforce`]) and become the graph's tensors ([`feed`]).
//! [`encode`] writes the answer. [`scoring`] puts the parts together for one model.

pub mod content_type;
pub mod scoring;

pub mod json;
pub mod number_text;
pub mod value;
mod weight;

pub mod csv;
pub mod datetime;
pub mod parquet;

pub mod astype;
pub mod coerce;
pub mod dataframe;
pub mod frame;
pub mod index;
pub mod infer;
pub mod numpy;
pub mod tensors;

pub mod enforce;
pub mod feed;
pub mod params;

pub mod encode;

mod memory;

pub mod stream;

mod error;

pub use error::{WireError, WireErrorKind};
pub use scoring::{Decoded, Layout, RecordShape, Scoring, ScoringOptions};
