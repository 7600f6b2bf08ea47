//! flowgate: a model server for MLflow ONNX models.
//!
//! The floors, from the ground up; a module imports only from floors below its own
//! (`ARCHITECTURE.md` has the map, `tests/tidy.rs` enforces it).

pub mod model;
pub mod tensor;

pub mod drift;
pub mod mlflow;
pub mod telemetry;
pub mod wire;

pub mod backend;
pub mod store;

pub mod source;
pub mod tune;

pub mod batch;

pub mod servable;

pub mod predict;

pub mod lifecycle;

pub mod server;

pub mod app;
pub mod config;
