//! Real models with their own examples.

use flowgate::backend::{Backend as _, LoadSpec};
use flowgate::store::ModelDir;
use flowgate::tune::{Batching, Sampler, check_batching};
use flowgate::wire::invocations::{RecordShape, Scoring, ScoringOptions};

use crate::{backend, models_in};

/// Models of the recordings whose requests run alone, and why.
const ALONE: &[(&str, &str)] = &[
    ("id_f32_fixed", "input `x` takes exactly 2 rows"),
    ("weird_outputs", "output `total` has no rows"),
];

#[test]
fn models_that_were_trained_row_by_row_run_requests_together() {
    let backend = backend();
    let mut alone = Vec::new();
    let recorded = models_in("tests/fixtures/conformance/models");
    assert!(recorded.len() > 50);
    for (name, path) in recorded.into_iter().chain(models_in("models")) {
        let dir = ModelDir::open(&path).unwrap();
        let session = dir.onnx.session.clone();
        let spec = LoadSpec { path: dir.graph, providers: Vec::new(), session };
        let model = backend.load(&spec).unwrap_or_else(|error| panic!("{name}: {error}"));
        let options =
            ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 24 };
        let signature = dir.mlmodel.signature.unwrap_or_default();
        let scoring = Scoring::new(signature, model.io().clone(), options);
        let example = dir.serving_input.map(|body| {
            scoring.decode(Some("application/json"), &body).map(|decoded| decoded.feeds).unwrap()
        });
        let sampler = Sampler::new(model.io(), example);
        if let Batching::Alone(reason) = check_batching(&*model, &sampler) {
            alone.push((name, reason));
        }
    }
    let alone: Vec<_> =
        alone.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect();
    assert_eq!(alone, ALONE);
}
