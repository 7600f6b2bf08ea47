//! The engines against answers that ONNX Runtime's own Python recorded.
//!
//! The ONNX Runtime tests use the pinned library: `scripts/onnxruntime.sh` puts it in place.

#[cfg(any(feature = "ort", feature = "tract"))]
mod cases;
#[cfg(any(feature = "ort", feature = "tract"))]
mod support;

#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tract")]
mod tract;
