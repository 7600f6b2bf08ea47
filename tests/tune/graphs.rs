//! Graphs made for one question each: does a row's result depend on the rows beside it?

use std::sync::Arc;
use std::time::Duration;

use flowgate::backend::{Backend, LoadSpec, LoadedModel};
use flowgate::model::SessionOptions;
use flowgate::tensor::Tensor;
use flowgate::tune::{
    Batching, Clock, Sampler, TuneOptions, check_batching, choose_batch_rows_max, measure,
};

use crate::{backend, root};

fn load(backend: &dyn Backend, graph: &str) -> Arc<dyn LoadedModel> {
    let path = root().join("tests/fixtures").join(format!("{graph}.onnx"));
    let spec = LoadSpec { path, providers: Vec::new(), session: SessionOptions::default() };
    backend.load(&spec).unwrap_or_else(|error| panic!("{graph}: {error}"))
}

fn verdict(backend: &dyn Backend, graph: &str, example: Option<Tensor>) -> Batching {
    let model = load(backend, graph);
    let sampler = Sampler::new(model.io(), example.map(|tensor| vec![tensor]));
    check_batching(&*model, &sampler)
}

#[test]
fn what_a_graph_does_across_rows_is_seen() {
    let backend = backend();
    let beside = "output `y` of a row depends on the rows beside it";
    let expected = [
        ("mean", beside),
        ("maximum", beside),
        ("softmax", beside),
        ("cumsum", beside),
        ("argmax", "output `y` always has 1 row"),
        ("argmax_columns", "output `y` always has 3 rows"),
        ("batch_norm_training", beside),
        ("top_k", beside),
        ("unique", beside),
        ("dynamic_quantization", beside),
        ("pairs", beside),
        ("reversed", beside),
        ("row_numbers", beside),
        ("row_count", beside),
        ("one_row", "it refuses a sample of 2 rows"),
        ("first_row", "output `y` has 1 row for 2 rows of input"),
        ("two_outputs", "output `z` always has 1 row"),
        ("total", "output `y` has no rows"),
        ("random", beside),
        ("integer_maximum", beside),
        ("first_text", beside),
        ("maps", beside),
        ("recurrent", beside),
        ("fixed_rows", "input `x` takes exactly 4 rows"),
        ("scalar", "input `x` declares no rows"),
    ];
    let found = expected.map(|(graph, _)| verdict(&backend, &format!("tune/{graph}"), None));
    for ((graph, reason), found) in expected.iter().zip(&found) {
        assert_eq!(*found, Batching::Alone((*reason).to_owned()), "{graph}");
    }
    let found = verdict(&backend, "onnx/two_inputs", None);
    assert_eq!(found, Batching::Alone("output `sizes` always has 2 rows".to_owned()));
}

#[test]
fn rows_that_are_computed_one_by_one_run_together() {
    let backend = backend();
    let made = ["tune/linear", "tune/layer_norm", "tune/embedding", "tune/codes"];
    let fitted = ["tune/undeclared", "onnx/mlp", "onnx/cnn", "onnx/forest", "onnx/zipmap_int"];
    let others = ["onnx/zipmap_str", "onnx/nozipmap", "onnx/tree_two_classes", "onnx/gather"];
    let dtypes = ["bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float64", "str"];
    let echoes = dtypes.map(|dtype| format!("onnx/echo_{dtype}"));
    let echoes = echoes.iter().map(String::as_str);
    for graph in made.into_iter().chain(fitted).chain(others).chain(echoes) {
        assert_eq!(verdict(&backend, graph, None), Batching::Merged, "{graph}");
    }
}

#[test]
fn an_example_keeps_a_sample_valid() {
    let backend = backend();
    // Two codes of three, as floats: half a value more or less is often none.
    let codes = Tensor::from_vec(&[2], vec![2_f32, 1.0]);
    assert_eq!(verdict(&backend, "tune/codes", codes), Batching::Merged);
    let ids = Tensor::from_vec(&[1, 2], vec![8_i64, 3]);
    assert_eq!(verdict(&backend, "tune/embedding", ids), Batching::Merged);
}

#[test]
fn a_measurement_has_points_for_as_many_rows_as_it_may() {
    let backend = backend();
    let model = load(&backend, "onnx/forest");
    let sampler = Sampler::new(model.io(), None);
    let options =
        TuneOptions { time_max: Duration::from_secs(2), rows_max: 24, clock: Clock::Wall };
    let costs = measure(&*model, &sampler, &Batching::Merged, options);
    let rows: Vec<_> = costs.points().iter().map(|(rows, _)| *rows).collect();
    assert!([1, 2, 4, 8, 16, 24].starts_with(&rows) && rows.len() > 2, "{rows:?}");
    assert!(rows.contains(&choose_batch_rows_max(&costs)));

    let alone = Batching::Alone("of a test".to_owned());
    assert_eq!(measure(&*model, &sampler, &alone, options).points().len(), 1);
    let hasty = TuneOptions { time_max: Duration::ZERO, rows_max: 1024, clock: Clock::Wall };
    assert_eq!(measure(&*model, &sampler, &Batching::Merged, hasty).points().len(), 1);

    let model = load(&backend, "tune/fixed_rows");
    let sampler = Sampler::new(model.io(), None);
    assert_eq!(measure(&*model, &sampler, &alone, options).points().len(), 1);
}
