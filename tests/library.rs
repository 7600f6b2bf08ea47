//! Finding and opening ONNX Runtime's library. One test, because a process opens one library for
//! good: what must fail has to be tried before.
#![cfg(all(feature = "ort", target_os = "linux"))]

use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use flowgate::backend::{Choice, LibrarySearch, OrtOptions, PINNED_VERSION, select};

/// The engine's description, or the error, of that choice with that search.
fn start(choice: Choice, library: LibrarySearch) -> Result<String, String> {
    let options = OrtOptions { library, intra_op_threads: NonZeroUsize::MIN, spinning: false };
    let backend = select(choice, options).map_err(|error| error.to_string())?;
    Ok(backend.describe())
}

fn named(path: &Path) -> LibrarySearch {
    LibrarySearch { ort_dylib_path: Some(path.to_owned()), ..LibrarySearch::default() }
}

/// A shared object that every process on Linux has mapped.
fn c_library() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux has it");
    let line = maps.lines().find(|line| line.contains("/libc.so")).expect("a C library");
    line[line.find('/').expect("a path")..].into()
}

#[test]
fn a_library_is_opened_once_and_what_is_not_one_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = || LibrarySearch {
        executable: Some(directory.path().join("flowgate")),
        ..LibrarySearch::default()
    };
    let error = start(Choice::Ort, nowhere()).unwrap_err();
    assert!(error.starts_with("no ONNX Runtime library found; looked beside"), "{error}");

    let without = start(Choice::Auto, nowhere());
    if cfg!(feature = "tract") {
        assert!(without.unwrap().starts_with("tract "));
    } else {
        assert!(without.unwrap_err().starts_with("no ONNX Runtime library found"));
    }

    let pinned = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("target/onnxruntime/{PINNED_VERSION}/libonnxruntime.so.{PINNED_VERSION}"));
    let pinned = LibrarySearch {
        executable: env::current_exe().ok(),
        explicit: pinned.exists().then_some(pinned),
        ..LibrarySearch::default()
    };
    let whole = pinned.candidates().unwrap_or_else(|error| panic!("{error}"))[0].clone();
    let garbage = directory.path().join("garbage.so");
    fs::write(&garbage, b"not a library".repeat(100)).unwrap();
    let half = directory.path().join("half.so");
    let content = fs::read(&whole).unwrap();
    fs::write(&half, &content[..content.len() / 2]).unwrap();
    for (path, part) in [
        (directory.path().join("absent.so"), "but no ONNX Runtime library is there"),
        (garbage, "it is not a shared object"),
        (half, "it is cut short"),
        (c_library(), "it is another library"),
    ] {
        // Named by the user: not even `auto` may pass it over.
        let error = start(Choice::Auto, named(&path)).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    let first = start(Choice::Auto, pinned).unwrap();
    assert!(first.starts_with("onnxruntime 1."), "{first}");
    let again = start(Choice::Ort, nowhere());
    assert_eq!(again, Ok(first), "the library that is open stays");
}
