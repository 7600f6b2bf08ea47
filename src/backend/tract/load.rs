//! From a file to a runnable plan.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Framework, InferenceModel, InferenceModelExt, IntoRunnable, SymbolScope, TractResult,
    TypedModel, TypedSimplePlan,
};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact, ShapeFactoid};

use crate::backend::{Backend, LoadError, LoadSpec, LoadedModel};
use crate::model::{GraphInput, GraphIo};
use crate::tensor::{Dim, Tensor};

use super::run::TractModel;
use super::{RUNTIME, guarded, scan, value};

/// Numbers of rows that a model must compute in the dry run. Two, because a plan that holds for
/// one row only would fail at the first batch.
const DRY_RUN_ROWS: [usize; 2] = [1, 2];

/// tract does not tell its version at run time; a test holds this to `Cargo.toml`.
const VERSION: &str = "0.23";

/// tract as a [`Backend`]. Providers and session options do not apply to it.
pub struct TractBackend;

impl Backend for TractBackend {
    fn describe(&self) -> String {
        format!("{RUNTIME} {VERSION}")
    }

    fn load(&self, spec: &LoadSpec) -> Result<Arc<dyn LoadedModel>, LoadError> {
        let path = spec.path.as_path();
        let invalid = |reason: &str| {
            LoadError::Invalid(format!("{} cannot be loaded: {reason}", path.display()))
        };
        if !path.is_file() {
            return Err(LoadError::Invalid(format!("{} is not a file", path.display())));
        }
        let engine = tract_onnx::onnx();
        let mut file = File::open(path).map_err(|error| invalid(&error.to_string()))?;
        let proto = guarded(|| engine.proto_model_for_read(&mut file));
        let damaged = "it is not an ONNX file, or it is damaged or cut short";
        let proto = proto.map_err(|_| invalid(damaged))?;
        let graph = proto.graph.as_ref().ok_or_else(|| invalid(damaged))?;

        scan::operators(graph, &engine)?;
        scan::wrong_results(graph)?;
        let io = scan::graph_io(graph)?;
        if io.inputs.is_empty() {
            return Err(invalid("its graph has no input"));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        scan::external_data(&proto, directory).map_err(|reason| invalid(&reason))?;
        let typed =
            guarded(|| typed(&engine, &proto, directory)).map_err(|reason| cannot(&reason))?;
        let model = runnable(&typed, &io).map_err(|reason| cannot(&reason))?;
        Ok(Arc::new(model))
    }
}

fn cannot(reason: &str) -> LoadError {
    scan::unsupported(format!("it fails with: {reason}"))
}

/// The graph with all types and shapes known, up to symbols for the sizes that vary.
fn typed(
    engine: &tract_onnx::Onnx,
    proto: &ModelProto,
    directory: &Path,
) -> TractResult<TypedModel> {
    let parsed = engine.parse(proto, directory.to_str())?;
    let mut model = parsed.model;
    name_unnamed_sizes(&mut model)?;
    model.into_typed()
}

/// Gives every open size of an input a symbol: the rows of all inputs the same, others their own.
fn name_unnamed_sizes(model: &mut InferenceModel) -> TractResult<()> {
    let symbols: SymbolScope = model.symbols.clone();
    for i in 0..model.inputs.len() {
        let fact = model.input_fact(i)?.clone();
        if fact.shape.is_open() {
            continue;
        }
        let dims = fact.shape.dims().enumerate().map(|(axis, dim)| {
            dim.concretize().unwrap_or_else(|| match axis {
                0 => symbols.sym("rows").into(),
                _ => symbols.new_with_prefix("size").into(),
            })
        });
        let shape: ShapeFactoid = dims.collect();
        let fact: InferenceFact = fact.with_shape(shape);
        model.set_input_fact(i, fact)?;
    }
    Ok(())
}

/// The optimised plan; or, should tract's optimiser spoil this graph, the plain one.
fn runnable(typed: &TypedModel, io: &GraphIo) -> Result<TractModel, String> {
    let optimised = guarded(|| typed.clone().into_optimized()?.into_runnable());
    if let Ok(model) = optimised.and_then(|plan| dry_run(plan, io)) {
        return Ok(model);
    }
    dry_run(guarded(|| typed.clone().into_runnable())?, io)
}

/// Computes samples of zeros, where the declared sizes allow to make any.
fn dry_run(plan: Arc<TypedSimplePlan>, io: &GraphIo) -> Result<TractModel, String> {
    let model = TractModel::new(plan, io.clone());
    for rows in DRY_RUN_ROWS {
        let samples: Option<Vec<_>> = io.inputs.iter().map(|input| sample(input, rows)).collect();
        if let Some(samples) = samples {
            model.run(samples).map_err(|error| error.to_string())?;
        }
    }
    Ok(model)
}

fn sample(input: &GraphInput, rows: usize) -> Option<Tensor> {
    let sizes = input.dims.0.iter().enumerate().map(|(axis, dim)| match (axis, dim) {
        (_, Dim::Fixed(size)) => Some(*size),
        (0, Dim::Any) => Some(rows),
        // A size that the graph may have its own demands on.
        (_, Dim::Any) => None,
    });
    Some(value::zeros(input.dtype, &sizes.collect::<Option<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_linked() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("tract-onnx = {{ version = \"{VERSION}\"")));
    }
}
