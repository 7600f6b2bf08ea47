//! tract.

use flowgate::backend::{Backend, LoadError, RunError, TractBackend};
use flowgate::tensor::Tensor;

use crate::cases::Case;
use crate::support::{
    cut_short, fixture, load, refusal, refuses_damaged_files, replay, replay_on_many_threads,
};

#[test]
fn the_recorded_cases_it_can_run_are_answered_as_python_does() {
    let cases = Case::all();
    let runs: Vec<_> = cases.iter().filter(|case| case.tract).collect();
    assert!(runs.len() > 20, "{} cases", runs.len());
    replay(&TractBackend, runs);
}

#[test]
fn one_model_run_by_many_threads_gives_the_same_answers() {
    replay_on_many_threads(&TractBackend, &Case::all(), &["mlp", "echo_str"]);
}

#[test]
fn what_it_cannot_run_is_refused_at_load_by_name() {
    assert!(TractBackend.describe().starts_with("tract 0."));
    for (model, part) in [
        ("unknown_operator", "no operator `Wobble`"),
        ("unknown_domain", "no operator `my.ops:Wobble`"),
        ("foreign_relu", "no operator `my.ops:Relu`"),
        ("zipmap_int", "`ZipMap`"),
        ("forest", "no operator `TreeEnsembleRegressor`"),
        ("sequence_output", "`SequenceConstruct`"),
        ("tree_two_classes", "labels of models with two classes wrong"),
    ] {
        let error = refusal(&TractBackend, &fixture(&format!("{model}.onnx")));
        assert!(matches!(error, LoadError::Unsupported { .. }), "{model}: {error}");
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("use ONNX Runtime"), "{model}: {text}");
    }
}

#[test]
fn damaged_files_are_one_readable_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    refuses_damaged_files(&TractBackend, path);
    let alone = cut_short("mlp_external.onnx", 479, path, "alone.onnx");
    let error = refusal(&TractBackend, &alone).to_string();
    assert!(error.contains("the external data of initializer `w1` cannot be read"), "{error}");
    cut_short("mlp_external.data", 1000, path, "mlp_external.data");
    let error = refusal(&TractBackend, &alone).to_string();
    assert!(error.contains("reaches beyond the end"), "{error}");
}

#[test]
fn bad_feeds_and_failing_graphs_are_errors() {
    let mlp = load(&TractBackend, "mlp");
    let error = mlp.run(vec![Tensor::from_vec(&[2, 8], vec![0_f32; 16]).unwrap()]).unwrap_err();
    assert_eq!(error.to_string(), "input `x`: expected shape (-1, 16), got [2, 8]");

    let gather = load(&TractBackend, "gather");
    let feed = |i: i64| vec![Tensor::from_vec(&[1], vec![i]).unwrap()];
    assert!(matches!(gather.run(feed(7)), Err(RunError::Failed(_))));
    assert!(gather.run(feed(2)).is_ok());
}
