//! From a model directory to a warm servable. Blocks: for start-up and loader threads.

use crate::backend::{Backend, LoadError, LoadSpec};
use crate::batch::contain;
use crate::model::{GraphIo, ModelId, Provider, Schema, Signature, TensorDType, ValueType};
use crate::store::ModelDir;
use crate::wire::invocations::{Scoring, ScoringOptions};

use super::tuning::tune;
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
}

/// A loaded version, with what there is to say about it.
pub struct Loaded {
    pub servable: Servable,
    /// Engine and provider: `onnxruntime 1.31.1 (CPUExecutionProvider)`.
    pub engine: String,
    /// Names and types of the inputs, shortened when there are many.
    pub inputs: String,
    pub warm_up: WarmUp,
    pub tuning: Tuning,
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
    let ModelDir { mlmodel, onnx, graph, serving_input, .. } = dir;
    let providers = match &options.providers {
        Some(names) => {
            names.iter().map(|name| Provider { name: name.clone(), options: Vec::new() }).collect()
        }
        None => onnx.providers,
    };
    let spec = LoadSpec { path: graph, providers, session: onnx.session };
    let loaded = backend.load(&spec)?;

    let signature = mlmodel.signature.unwrap_or_default();
    let inputs = describe_inputs(&signature, loaded.io());
    let engine = format!("{} ({})", backend.describe(), loaded.provider());
    let scoring = Scoring::new(signature, loaded.io().clone(), options.scoring);
    // An example that cannot be decoded is found again by the warm-up, which says so.
    let example = serving_input.as_deref().and_then(|example| {
        let decoded = contain(&id, || scoring.decode(Some("application/json"), example));
        Some(decoded.ok()?.ok()?.feeds)
    });
    let tuning = tune(&id.to_string(), &loaded, example, &options.batch);
    let runner = tuning.runner_options(options.batch.lane);
    let servable = Servable::new(id, scoring, loaded, runner);
    let warm_up = match serving_input {
        None => WarmUp::NoExample,
        Some(example) => match servable.warm_up(&example) {
            Ok(()) => WarmUp::Done,
            Err(error) => WarmUp::Failed(error),
        },
    };
    Ok(Loaded { servable, engine, inputs, warm_up, tuning })
}

/// What requests carry: the declared inputs, or the graph's where none are declared.
fn describe_inputs(signature: &Signature, io: &GraphIo) -> String {
    let inputs: Vec<String> = match &signature.inputs {
        Some(Schema::Tensors(specs)) => specs
            .iter()
            .map(|spec| {
                let dtype = match &spec.dtype {
                    TensorDType::Known(dtype) => dtype.name(),
                    TensorDType::Other(name) => name,
                };
                let tensor = format!("{dtype}{}", spec.dims);
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
