//! Tests on directories made for the occasion, by the file that they test.

mod layout;
mod model_dir;
mod onnx_file;
mod reference_file;
mod tune_cache;
mod wire;
