//! From a model directory to a warm servable. Blocks: for start-up and loader threads.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Backend, LoadError, LoadSpec, LoadedModel};
use crate::batch::contain;
use crate::drift::{DriftOptions, Monitors};
use crate::model::{GraphIo, ModelId, Output, Provider, Schema, Signature, ValueType};
use crate::store::{ModelDir, TuneCache};
use crate::telemetry::Meters;
use crate::tensor::Tensor;
use crate::tune::{Findings, Sampler, WarmOptions, Warmth, warm};
use crate::wire::invocations::{Scoring, ScoringOptions};

use super::formed::{malformed, remarks};
use super::reference::monitor;
use super::tuning::Tuner;
use super::{BatchOptions, ScoreError, Servable, Tuning};

/// Inputs that a description names before it only counts the rest.
const INPUTS_NAMED_MAX: usize = 4;

/// Time for the runs of sizes that were not measured.
const WARM_TIME_MAX: Duration = Duration::from_secs(2);

/// How a model is to be loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Execution providers instead of the ones that the model asks for.
    pub providers: Option<Vec<String>>,
    pub scoring: ScoringOptions,
    pub batch: BatchOptions,
    /// Measurements of earlier starts; `None`: measure each time.
    pub tune_cache: Option<TuneCache>,
    /// What a measurement depends on beside model, engine and batch options.
    pub intra_op_threads: usize,
    pub cores: usize,
    /// Where requests to the version are counted.
    pub meters: Meters,
    pub drift: DriftOptions,
    /// Where the version's drift is counted and shown.
    pub monitors: Monitors,
}

/// A loaded version, with what there is to say about it.
pub struct Loaded {
    pub servable: Servable,
    /// The engine and its version: `onnxruntime 1.31.1`.
    pub engine: String,
    /// The execution provider: `CPUExecutionProvider`.
    pub provider: String,
    /// Names and types of the inputs, shortened when there are many.
    pub inputs: String,
    pub warm_up: WarmUp,
    /// How the sizes of runs were warmed up that were not measured.
    pub warmth: Warmth,
    /// What is odd about the outputs of its own example, and legal: a sentence each.
    pub remarks: Vec<String>,
    pub tuning: Tuning,
    /// What clients rely on.
    pub signature: Signature,
}

/// How the model took its own example.
#[derive(Debug)]
pub enum WarmUp {
    /// The example went all the way through.
    Done,
    /// The model was saved without a request to try.
    NoExample,
    Failed(ScoreError),
}

/// Loads the graph of a verified directory and warms it up. What is known of the version that it is
/// to replace, `predecessor`, spares it being measured where it proves to be like that. `warming`
/// is called when the graph is loaded and its first run begins.
///
/// # Errors
/// When the runtime cannot run the graph, or makes of it what the graph does not declare. A failed
/// warm-up is not an error.
pub fn load(
    id: ModelId,
    dir: ModelDir,
    backend: &dyn Backend,
    options: &LoadOptions,
    predecessor: Option<&Findings>,
    warming: &mut dyn FnMut(),
) -> Result<Loaded, LoadError> {
    let providers = match &options.providers {
        Some(names) => {
            names.iter().map(|name| Provider { name: name.clone(), options: Vec::new() }).collect()
        }
        None => dir.onnx.providers.clone(),
    };
    let spec = LoadSpec { path: dir.graph.clone(), providers, session: dir.onnx.session.clone() };
    let model = backend.load(&spec)?;
    let (engine, provider) = (backend.describe(), model.provider().to_owned());
    let engine_in_full = format!("{engine} ({provider})");
    let tuner = Tuner { dir: &dir, engine: engine_in_full, options, predecessor };

    let signature = dir.mlmodel.signature.clone().unwrap_or_default();
    let inputs = describe_inputs(&signature, model.io());
    let scoring = Scoring::new(signature.clone(), model.io().clone(), options.scoring);
    // An example that cannot be decoded is found again by the warm-up, which says so.
    let example = dir.serving_input.as_deref().and_then(|example| {
        let decoded = contain(&id, || scoring.decode(Some("application/json"), example));
        Some(decoded.ok()?.ok()?.feeds)
    });
    warming();
    let remarks = match &example {
        Some(example) => try_outputs(&id, &*model, example.clone())?,
        None => Vec::new(),
    };
    let sampler = Sampler::new(model.io(), example);
    let tuning = tuner.tune(&id, &*model, &sampler);
    let runner = tuning.runner_options(options.batch.lane);
    let drift = options.monitors.watch(monitor(&id, &dir, model.io(), &options.drift));
    let lease = options.meters.lease(id);
    let servable = Servable::watched(lease, Some(drift), scoring, Arc::clone(&model), runner);
    let warm_up = match dir.serving_input {
        None => WarmUp::NoExample,
        Some(example) => match servable.warm_up(&example) {
            Ok(()) => WarmUp::Done,
            Err(error) => WarmUp::Failed(error),
        },
    };
    let warmth = warm_sizes(servable.id(), &*model, &sampler, tuning.cold(WARM_TIME_MAX))?;
    Ok(Loaded { servable, engine, provider, inputs, warm_up, warmth, remarks, tuning, signature })
}

/// Runs the model's own example as it is and looks at what comes out. That it fails is left to the
/// warm-up to say.
fn try_outputs(
    id: &ModelId,
    model: &dyn LoadedModel,
    example: Vec<Tensor>,
) -> Result<Vec<String>, LoadError> {
    let Ok(Ok(outputs)) = contain(id, || model.run(example)) else { return Ok(Vec::new()) };
    if let Some(why) = malformed(model.io(), &outputs) {
        return Err(LoadError::Invalid(why));
    }
    let remarks = remarks(model.io(), &outputs);
    for remark in &remarks {
        tracing::warn!(model = %id, "of its own example: {remark}");
    }
    Ok(remarks)
}

/// Runs what no run has warmed up. A panic, or a model that refuses its samples, ends it early.
fn warm_sizes(
    id: &ModelId,
    model: &dyn LoadedModel,
    sampler: &Sampler,
    options: WarmOptions,
) -> Result<Warmth, LoadError> {
    let mut fault = None;
    let look = |outputs: &[Output]| {
        if fault.is_none() {
            fault = malformed(model.io(), outputs);
        }
    };
    let warmth = contain(id, || warm(model, sampler, options, look)).unwrap_or_default();
    if let Some(why) = fault {
        return Err(LoadError::Invalid(why));
    }
    let Warmth { runs, rows, time, is_settled } = warmth;
    if runs > 0 {
        tracing::debug!(model = %id, runs, rows, ?time, is_settled, "warmed up");
    }
    Ok(warmth)
}

/// What requests carry: the declared inputs, or the graph's where none are declared.
fn describe_inputs(signature: &Signature, io: &GraphIo) -> String {
    let inputs: Vec<String> = match &signature.inputs {
        Some(Schema::Tensors(specs)) => specs
            .iter()
            .map(|spec| {
                let tensor = format!("{}{}", spec.dtype.name(), spec.dims);
                spec.name.as_ref().map_or(tensor.clone(), |name| format!("{name}: {tensor}"))
            })
            .collect(),
        Some(Schema::Columns(columns)) => columns
            .specs
            .iter()
            .map(|spec| {
                let ty = type_name(&spec.ty);
                if columns.named { format!("{}: {ty}", spec.name) } else { ty.to_owned() }
            })
            .collect(),
        None => io
            .inputs
            .iter()
            .map(|input| format!("{}: {}{}", input.name, input.dtype, input.dims))
            .collect(),
    };
    match inputs.split_at_checked(INPUTS_NAMED_MAX) {
        Some((named, rest)) if !rest.is_empty() => {
            format!("{} and {} more", named.join(", "), rest.len())
        }
        _ => inputs.join(", "),
    }
}

fn type_name(ty: &ValueType) -> &'static str {
    match ty {
        ValueType::Scalar(ty) => ty.name(),
        ValueType::Array(_) => "array",
        ValueType::Object(_) => "object",
        ValueType::Map(_) => "map",
        ValueType::Any => "any",
        ValueType::SparkMlVector => "sparkml_vector",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::backend::RunError;
    use crate::batch::LaneChoice;
    use crate::model::{GraphInput, GraphOutput, ModelName, OutputKind, VersionId};
    use crate::servable::BatchOptions;
    use crate::tensor::{DType, Dim, Dims, Element};
    use crate::wire::invocations::RecordShape;

    /// A runtime that makes a number of every row.
    struct Fake<T>(T);

    struct FakeModel<T>(T, GraphIo);

    impl<T: Element + Copy + Send + Sync + 'static> Backend for Fake<T> {
        fn describe(&self) -> String {
            "fake 1".to_owned()
        }

        fn load(&self, _: &LoadSpec) -> Result<Arc<dyn LoadedModel>, LoadError> {
            let dims = |columns| Dims(vec![Dim::Any, Dim::Fixed(columns)]);
            let kind = OutputKind::Tensor { dtype: DType::F32, dims: dims(1) };
            let io = GraphIo {
                inputs: vec![GraphInput { name: "X".into(), dtype: DType::F32, dims: dims(11) }],
                outputs: vec![GraphOutput { name: "variable".into(), kind }],
            };
            Ok(Arc::new(FakeModel(self.0, io)))
        }
    }

    impl<T: Element + Copy + Send + Sync + 'static> LoadedModel for FakeModel<T> {
        fn io(&self) -> &GraphIo {
            &self.1
        }

        fn provider(&self) -> &'static str {
            "fake"
        }

        fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
            let rows = feeds[0].shape()[0];
            let made = Tensor::from_vec(&[rows, 1], vec![self.0; rows]);
            Ok(vec![Output::Tensor(made.expect("one for each row"))])
        }
    }

    fn drift_options() -> DriftOptions {
        DriftOptions {
            is_on: true,
            windows: Vec::new(),
            rows_min: 1,
            features_max: 64,
            features_exported_max: 64,
            has_bins: false,
            live_rows: None,
        }
    }

    fn loaded<T: Element + Copy + Send + Sync + 'static>(number: T) -> Result<Loaded, LoadError> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/wine-quality/1");
        let options = LoadOptions {
            providers: None,
            scoring: ScoringOptions {
                record_shape: RecordShape::Flattened,
                decoded_bytes_max: 1 << 20,
            },
            batch: BatchOptions {
                rows_max: None,
                delay_max: Duration::ZERO,
                lane: LaneChoice::Auto,
                tune_time_max: Duration::from_secs(1),
            },
            tune_cache: None,
            intra_op_threads: 1,
            cores: 1,
            meters: Meters::default(),
            drift: drift_options(),
            monitors: Monitors::default(),
        };
        let id = ModelId { name: ModelName::new("wine").unwrap(), version: VersionId(1) };
        load(id, ModelDir::open(&dir).unwrap(), &Fake(number), &options, None, &mut || ())
    }

    #[test]
    fn an_output_that_the_graph_does_not_declare_is_refused() {
        let refused = loaded(1_f64).err().unwrap().to_string();
        assert!(refused.contains("`variable`") && refused.contains("float64"), "{refused}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_remarked_upon_and_served() {
        let odd = loaded(f32::NAN).unwrap();
        assert!(odd.remarks[0].starts_with("output `variable` holds"), "{:?}", odd.remarks);
        assert!(matches!(odd.warm_up, WarmUp::Done));
        assert!(loaded(1_f32).unwrap().remarks.is_empty());
    }
}
