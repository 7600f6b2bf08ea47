//! The engine by default: ONNX Runtime, through the `ort` crate, its library found at run time.
//!
//! **One session a model, run by every thread.** ONNX Runtime documents `Run` as safe to call
//! from several threads at once, and keeps one copy of the weights however many do. A session per
//! thread would need its weights shared by hand, initializer by initializer, which the graph's
//! own initializers allow and tree ensembles (whose weights are attributes) do not. `ort` offers
//! `Session::run` only on `&mut self`, because some accelerators' providers break that promise.
//! So the call goes straight to the C API in one audited block (`run.rs`), and a model on any
//! other provider than the CPU's runs one call at a time.
//!
//! **What is never done:** no `ort` call before the library is known to open (`ort` would panic),
//! no telemetry, no spinning threads unless asked for.

mod load;
mod message;
mod provider;
mod run;
mod runtime;
mod value;

pub use load::OrtBackend;
