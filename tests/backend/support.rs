//! Loading the fixtures on either engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use flowgate::backend::{Backend, LoadError, LoadSpec, LoadedModel};
use flowgate::model::SessionOptions;

use crate::cases::Case;

/// Threads that run one model at once, and how often each does.
const THREADS: usize = 8;
const RUNS: usize = 200;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

pub(crate) fn spec(path: &Path) -> LoadSpec {
    let session = SessionOptions::default();
    LoadSpec { path: path.to_owned(), providers: Vec::new(), session }
}

pub(crate) fn load(backend: &dyn Backend, model: &str) -> Arc<dyn LoadedModel> {
    let spec = spec(&fixture(&format!("{model}.onnx")));
    backend.load(&spec).unwrap_or_else(|error| panic!("{model}: {error}"))
}

/// The error of a load that must fail.
pub(crate) fn refusal(backend: &dyn Backend, path: &Path) -> LoadError {
    match backend.load(&spec(path)) {
        Ok(_) => panic!("{} loads", path.display()),
        Err(error) => error,
    }
}

/// Loads each case's model and compares what it computes with the record.
pub(crate) fn replay<'a>(backend: &dyn Backend, cases: impl IntoIterator<Item = &'a Case>) {
    for case in cases {
        let model = load(backend, &case.model);
        assert_eq!(model.io().outputs.len(), case.outputs.len());
        let outputs = model.run(case.feeds());
        case.compare(&outputs.unwrap_or_else(|error| panic!("{}: {error}", case.model)));
    }
}

/// Runs each case's model on many threads at once; every answer must be the recorded one.
pub(crate) fn replay_on_many_threads(backend: &dyn Backend, cases: &[Case], names: &[&str]) {
    for case in cases.iter().filter(|case| names.contains(&case.model.as_str())) {
        let model = load(backend, &case.model);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..RUNS {
                        case.compare(&model.run(case.feeds()).expect("it ran alone"));
                    }
                });
            }
        });
    }
}

/// Expects one sentence about each of the files that are no graph; writes them to `directory`.
pub(crate) fn refuses_damaged_files(backend: &dyn Backend, directory: &Path) {
    let damaged = "it is not an ONNX file, or it is damaged or cut short";
    let garbage = directory.join("garbage.onnx");
    std::fs::write(&garbage, b"hello world".repeat(20)).expect("the directory is writable");
    for (file, part) in [
        (cut_short("mlp.onnx", 3000, directory, "half.onnx"), damaged),
        (cut_short("mlp.onnx", 0, directory, "empty.onnx"), damaged),
        (garbage, damaged),
        (directory.join("absent.onnx"), "is not a file"),
        (directory.to_owned(), "is not a file"),
    ] {
        let error = refusal(backend, &file);
        assert!(matches!(error, LoadError::Invalid(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("onnxruntime_src"), "{text}");
    }
}

/// Writes the fixture's first `bytes` bytes as `name` in `directory`.
pub(crate) fn cut_short(model: &str, bytes: usize, directory: &Path, name: &str) -> PathBuf {
    let content = std::fs::read(fixture(model)).expect("the fixture is there");
    let path = directory.join(name);
    std::fs::write(&path, &content[..bytes]).expect("the directory is writable");
    path
}
