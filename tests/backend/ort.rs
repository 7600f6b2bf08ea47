//! ONNX Runtime.

use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use flowgate::backend::{
    Backend, LibrarySearch, LoadError, LoadSpec, OrtBackend, OrtOptions, RunError,
};
use flowgate::model::{Output, OutputKind, Provider};
use flowgate::tensor::{DType, Dim, Dims, Tensor};

use crate::cases::Case;
use crate::support::{
    cut_short, fixture, load, refusal, refuses_damaged_files, replay, replay_on_many_threads, spec,
};

fn backend() -> OrtBackend {
    let library = LibrarySearch {
        executable: env::current_exe().ok(),
        current_dir: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
        ..LibrarySearch::default()
    };
    let options = OrtOptions { library, intra_op_threads: NonZeroUsize::MIN, spinning: false };
    OrtBackend::new(options)
        .unwrap_or_else(|error| panic!("{error}\nrun scripts/onnxruntime.sh to set it up"))
}

#[test]
fn every_recorded_case_is_answered_as_python_does() {
    let cases = Case::all();
    assert!(cases.len() > 30, "{} cases", cases.len());
    replay(&backend(), &cases);
}

#[test]
fn one_model_run_by_many_threads_gives_the_same_answers() {
    let names = ["mlp", "zipmap_str", "echo_str", "forest"];
    replay_on_many_threads(&backend(), &Case::all(), &names);
}

#[test]
fn the_ends_of_a_graph_are_described() {
    let backend = backend();
    assert!(backend.describe().starts_with("onnxruntime 1."), "{}", backend.describe());

    let model = load(&backend, "echo_float16");
    let input = &model.io().inputs[0];
    assert_eq!((input.name.as_str(), input.dtype), ("x", DType::F16));
    assert_eq!(input.dims, Dims(vec![Dim::Any, Dim::Fixed(3)]));
    assert_eq!(model.provider(), "CPUExecutionProvider");

    let model = load(&backend, "zipmap_int");
    let kinds: Vec<_> = model.io().outputs.iter().map(|output| &output.kind).collect();
    assert!(matches!(kinds[..], [OutputKind::Tensor { dtype: DType::I64, .. }, OutputKind::Maps]));

    let model = load(&backend, "overridable");
    let names: Vec<_> = model.io().inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["x"], "an initializer is not fed");
}

#[test]
fn what_it_cannot_run_is_refused_at_load_by_name() {
    for (model, part) in [
        ("unknown_operator", "no operator `Wobble` in opset 17"),
        ("unknown_domain", "no operator `my.ops:Wobble`"),
        ("sequence_output", "output `y` is a Sequence"),
        ("optional_output", "output `y` is a Option"),
        ("newer_opset", "Opset 99"),
    ] {
        let error = refusal(&backend(), &fixture(&format!("{model}.onnx")));
        assert!(matches!(error, LoadError::Unsupported { .. }), "{model}: {error}");
        assert!(error.to_string().contains(part), "{model}: {error}");
    }
}

#[test]
fn damaged_files_are_one_readable_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    refuses_damaged_files(&backend(), path);
    let alone = cut_short("mlp_external.onnx", 479, path, "alone.onnx");
    let error = refusal(&backend(), &alone).to_string();
    assert!(error.contains("its external data is missing, damaged or misplaced"), "{error}");
    assert!(!error.contains("onnxruntime_src"), "{error}");
    cut_short("mlp_external.data", 1000, path, "mlp_external.data");
    let error = refusal(&backend(), &alone).to_string();
    assert!(error.contains("external data is missing, damaged"), "{error}");
}

#[test]
fn bad_feeds_name_the_input() {
    let backend = backend();
    let mlp = load(&backend, "mlp");
    for (feed, part) in [
        (Tensor::from_vec(&[1, 16], vec![0_f64; 16]), "expected float32, got float64"),
        (Tensor::from_vec(&[16], vec![0_f32; 16]), "expected shape (-1, 16), got [16]"),
        (Tensor::from_vec(&[2, 8], vec![0_f32; 16]), "expected shape (-1, 16), got [2, 8]"),
    ] {
        let error = mlp.run(vec![feed.unwrap()]).unwrap_err();
        let RunError::Input { input, reason } = error else { panic!("{error}") };
        assert_eq!((input.as_str(), reason.as_str()), ("x", part));
    }
    assert!(matches!(mlp.run(vec![]), Err(RunError::Input { .. })));
}

#[test]
fn strings_with_a_nul_pass_whole() {
    let texts = ["a", "b\0c", "", "\0", "d\0", "e"].map(str::to_owned).to_vec();
    let text = Tensor::from_vec(&[2, 3], texts).unwrap();
    let outputs = load(&backend(), "echo_str").run(vec![text.clone()]).unwrap();
    assert_eq!(outputs, vec![Output::Tensor(text)]);
}

#[test]
fn a_graph_that_fails_on_its_values_is_an_error_and_the_model_lives_on() {
    let model = load(&backend(), "gather");
    let feed = |i: i64| vec![Tensor::from_vec(&[1], vec![i]).unwrap()];
    let error = model.run(feed(7)).unwrap_err();
    assert!(matches!(error, RunError::Failed(_)), "{error}");
    assert!(error.to_string().contains("out of data bounds, idx=7"), "{error}");
    assert!(model.run(feed(2)).is_ok());
}

#[test]
fn providers_that_are_not_there_leave_the_cpu() {
    let provider = |name: &str| Provider {
        name: name.to_owned(),
        options: vec![("device_id".to_owned(), "0".to_owned())],
    };
    let names = ["CUDAExecutionProvider", "WhateverExecutionProvider", "CPUExecutionProvider"];
    let providers = names.map(provider).to_vec();
    let model = backend().load(&LoadSpec { providers, ..spec(&fixture("mlp.onnx")) }).unwrap();
    assert_eq!(model.provider(), "CPUExecutionProvider");
}

#[test]
fn session_options_reach_the_session() {
    let backend = backend();
    let with = |change: &dyn Fn(&mut LoadSpec)| {
        let mut spec = spec(&fixture("mlp.onnx"));
        change(&mut spec);
        backend.load(&spec).map(|_| ()).map_err(|error| error.to_string())
    };
    for level in [0, 1, 2, 3, 99] {
        assert_eq!(with(&|s| s.session.graph_optimization_level = Some(level)), Ok(()));
    }
    let error = with(&|s| s.session.graph_optimization_level = Some(7)).unwrap_err();
    assert!(error.contains("graph_optimization_level is 7"), "{error}");
    let threads = with(&|s| {
        s.session.intra_op_threads = Some(2);
        s.session.inter_op_threads = Some(2);
        s.session.parallel_execution = Some(true);
    });
    assert_eq!(threads, Ok(()));
    // An entry that shows: read as another format, the file is none.
    let entry = ("session.load_model_format".to_owned(), "ORT".to_owned());
    assert!(with(&|s| s.session.config_entries.push(entry.clone())).is_err());
}

/// Eight private copies of these weights would be 160 MiB.
#[cfg(target_os = "linux")]
#[test]
fn threads_share_one_copy_of_the_weights() {
    const WEIGHTS_BYTES: usize = 2048 * 2560 * 4;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big.onnx");
    fs::copy(fixture("big.onnx"), &path).unwrap();
    let weights = 0.5_f32.to_le_bytes().repeat(WEIGHTS_BYTES / 4);
    fs::write(directory.path().join("big.data"), weights).unwrap();

    let model = backend().load(&spec(&path)).unwrap();
    let run = || model.run(vec![Tensor::from_vec(&[1, 2048], vec![1_f32; 2048]).unwrap()]);
    run().unwrap();
    let before = resident_bytes();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| drop(run().unwrap())));
        }
    });
    let grown = resident_bytes().saturating_sub(before);
    // Half of what copies would take: other tests of this process may run meanwhile.
    assert!(grown < 4 * WEIGHTS_BYTES, "eight threads took {grown} bytes");
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("it is in kB");
    kibibytes.parse::<usize>().expect("a number") * 1024
}
