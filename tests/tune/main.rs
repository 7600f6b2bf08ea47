//! What the tuner finds out about real graphs on ONNX Runtime.
//!
//! The tests use the pinned library: `scripts/onnxruntime.sh` puts it in place.
#![cfg(feature = "ort")]
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

mod graphs;
mod models;

use std::env;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use flowgate::backend::{LibrarySearch, OrtBackend, OrtOptions};

fn backend() -> OrtBackend {
    let library = LibrarySearch {
        executable: env::current_exe().ok(),
        current_dir: Some(root().to_owned()),
        ..LibrarySearch::default()
    };
    let options = OrtOptions { library, intra_op_threads: NonZeroUsize::MIN, spinning: false };
    OrtBackend::new(options)
        .unwrap_or_else(|error| panic!("{error}\nrun scripts/onnxruntime.sh to set it up"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders in a folder that hold a model, by name.
fn models_in(folder: &str) -> Vec<(String, PathBuf)> {
    let mut models: Vec<_> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("MLmodel").is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    models.sort();
    models
}
