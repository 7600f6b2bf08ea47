//! From a model directory to a warm servable. Blocks: for start-up and loader threads.

use crate::backend::{Backend, LoadError, LoadSpec};
use crate::batch::contain;
use crate::model::{GraphIo, ModelId, Provider, Schema, Signature, ValueType};
use crate::store::{ModelDir, TuneCache};
use crate::wire::invocations::{Scoring, ScoringOptions};

use super::tuning::Tuner;
use super::{BatchOptions, ScoreError, Servable, Tuning};

/// Inputs that a description names before it only counts the rest.
const INPUTS_NAMED_MAX: usize = 4;

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

/// Loads the graph of a verified directory and warms it up.
///
/// # Errors
/// When the runtime cannot run the graph. A failed warm-up is not an error.
pub fn load(
    id: ModelId,
    dir: ModelDir,
    backend: &dyn Backend,
    options: &LoadOptions,
) -> Result<Loaded, LoadError> {
    let providers = match &options.providers {
        Some(names) => {
            names.iter().map(|name| Provider { name: name.clone(), options: Vec::new() }).collect()
        }
        None => dir.onnx.providers.clone(),
    };
    let spec = LoadSpec { path: dir.graph.clone(), providers, session: dir.onnx.session.clone() };
    let loaded = backend.load(&spec)?;
    let (engine, provider) = (backend.describe(), loaded.provider().to_owned());
    let tuner = Tuner { dir: &dir, engine: format!("{engine} ({provider})"), options };

    let signature = dir.mlmodel.signature.clone().unwrap_or_default();
    let inputs = describe_inputs(&signature, loaded.io());
    let scoring = Scoring::new(signature.clone(), loaded.io().clone(), options.scoring);
    // An example that cannot be decoded is found again by the warm-up, which says so.
    let example = dir.serving_input.as_deref().and_then(|example| {
        let decoded = contain(&id, || scoring.decode(Some("application/json"), example));
        Some(decoded.ok()?.ok()?.feeds)
    });
    let tuning = tuner.tune(&id, &*loaded, example);
    let runner = tuning.runner_options(options.batch.lane);
    let servable = Servable::new(id, scoring, loaded, runner);
    let warm_up = match dir.serving_input {
        None => WarmUp::NoExample,
        Some(example) => match servable.warm_up(&example) {
            Ok(()) => WarmUp::Done,
            Err(error) => WarmUp::Failed(error),
        },
    };
    Ok(Loaded { servable, engine, provider, inputs, warm_up, tuning, signature })
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
