//! From a file to a session: options, providers, and what the graph takes and gives.

use std::path::Path;
use std::sync::Arc;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, ValueType};

use crate::backend::{Backend, LoadError, LoadSpec, LoadedModel, OrtOptions};
use crate::model::{GraphInput, GraphIo, GraphOutput, OutputKind};
use crate::tensor::{DType, Dim, Dims};

use super::message::{self, ADVICE_OUTPUTS, RUNTIME};
use super::provider::Plan;
use super::run::OrtModel;
use super::runtime::Runtime;
use super::value;

/// Session settings that stop idle threads from burning a core.
const SPINNING: [&str; 2] = ["session.intra_op.allow_spinning", "session.inter_op.allow_spinning"];

/// ONNX Runtime as a [`Backend`]. All of a process share one library and one environment.
pub struct OrtBackend {
    runtime: Runtime,
    options: OrtOptions,
}

impl OrtBackend {
    /// Opens the library, unless the process has it open already.
    ///
    /// # Errors
    /// When there is no library, or it is damaged, too old or something else: the text says
    /// where we looked and what to do.
    pub fn new(options: OrtOptions) -> Result<Self, LoadError> {
        let runtime = Runtime::start(&options.library).map_err(LoadError::RuntimeMissing)?;
        Ok(Self { runtime, options })
    }

    /// A session on the planned providers.
    fn session(&self, spec: &LoadSpec, plan: &Plan) -> Result<Session, ort::Error> {
        let wanted = &spec.session;
        let threads = wanted.intra_op_threads.unwrap_or(self.options.intra_op_threads.get());
        let mut builder = Session::builder(&self.runtime.environment)?
            .with_intra_threads(threads)?
            .with_parallel_execution(wanted.parallel_execution.unwrap_or(false))?;
        if let Some(threads) = wanted.inter_op_threads {
            builder = builder.with_inter_threads(threads)?;
        }
        if let Some(level) = wanted.graph_optimization_level.and_then(optimization_level) {
            builder = builder.with_optimization_level(level)?;
        }
        let spinning = if self.options.spinning { "1" } else { "0" };
        for key in SPINNING {
            builder = builder.with_config_entry(key, spinning)?;
        }
        // Last, so that the model's own entries win.
        for (key, value) in &wanted.config_entries {
            builder = builder.with_config_entry(key, value)?;
        }
        builder.with_execution_providers(&plan.accelerators)?.commit_from_file(&spec.path)
    }

    /// A session on the planned providers, or on the CPU when an accelerator does not start.
    fn session_or_cpu(
        &self,
        spec: &LoadSpec,
        plan: &Plan,
    ) -> Result<(Session, &'static str), ort::Error> {
        match self.session(spec, plan) {
            Ok(session) => Ok((session, plan.leader)),
            Err(error) if plan.accelerators.is_empty() => Err(error),
            Err(error) => {
                let cpu = Plan::cpu();
                let session = self.session(spec, &cpu)?;
                let (path, cause) = (spec.path.display(), message::clean(error.message()));
                let failed = plan.leader;
                tracing::warn!(%path, failed, cause, "execution provider failed, using the CPU");
                Ok((session, cpu.leader))
            }
        }
    }
}

impl Backend for OrtBackend {
    fn describe(&self) -> String {
        format!("onnxruntime {}", self.runtime.version)
    }

    fn load(&self, spec: &LoadSpec) -> Result<Arc<dyn LoadedModel>, LoadError> {
        let path = spec.path.as_path();
        if !path.is_file() {
            return Err(LoadError::Invalid(format!("{} is not a file", path.display())));
        }
        if let Some(level) = spec.session.graph_optimization_level
            && optimization_level(level).is_none()
        {
            return Err(LoadError::Invalid(format!(
                "graph_optimization_level is {level}: ONNX Runtime has 0, 1, 2, 3 and 99"
            )));
        }
        let plan = Plan::of(&spec.providers);
        if !plan.missing.is_empty() {
            let (path, missing) = (path.display(), plan.missing.join(", "));
            let serving_with = plan.leader;
            tracing::warn!(%path, missing, serving_with, "execution providers not available");
        }
        let (session, provider) = self
            .session_or_cpu(spec, &plan)
            .map_err(|error| message::load_error(path, error.message()))?;
        let io = graph_io(path, &session)?;
        let model = OrtModel::new(session, io, provider)
            .ok_or_else(|| message::invalid(path, "an input or output has a NUL in its name"))?;
        Ok(Arc::new(model))
    }
}

/// ONNX Runtime's numbers.
fn optimization_level(level: u32) -> Option<GraphOptimizationLevel> {
    Some(match level {
        0 => GraphOptimizationLevel::Disable,
        1 => GraphOptimizationLevel::Level1,
        2 => GraphOptimizationLevel::Level2,
        3 => GraphOptimizationLevel::Level3,
        99 => GraphOptimizationLevel::All,
        _ => return None,
    })
}

/// The session's ends; initializers are not among its inputs, overridable or not.
fn graph_io(path: &Path, session: &Session) -> Result<GraphIo, LoadError> {
    if session.inputs().is_empty() {
        return Err(message::invalid(path, "its graph has no input"));
    }
    let inputs = session.inputs().iter().map(input).collect::<Result<_, _>>()?;
    let outputs = session.outputs().iter().map(output).collect::<Result<_, _>>()?;
    Ok(GraphIo { inputs, outputs })
}

fn input(outlet: &Outlet) -> Result<GraphInput, LoadError> {
    match tensor(outlet.dtype()) {
        Some((dtype, dims)) => Ok(GraphInput { name: outlet.name().to_owned(), dtype, dims }),
        None => Err(LoadError::Unsupported {
            runtime: RUNTIME,
            what: format!("input `{}` is a {}", outlet.name(), outlet.dtype()),
            advice: "only tensors of numbers, booleans and strings can be fed".to_owned(),
        }),
    }
}

fn output(outlet: &Outlet) -> Result<GraphOutput, LoadError> {
    let name = outlet.name().to_owned();
    let kind = if let Some((dtype, dims)) = tensor(outlet.dtype()) {
        OutputKind::Tensor { dtype, dims }
    } else if value::is_maps(outlet.dtype()) {
        OutputKind::Maps
    } else {
        return Err(LoadError::Unsupported {
            runtime: RUNTIME,
            what: format!("output `{name}` is a {}", outlet.dtype()),
            advice: ADVICE_OUTPUTS.to_owned(),
        });
    };
    Ok(GraphOutput { name, kind })
}

/// Element type and dimensions of a tensor that we can hold.
fn tensor(ty: &ValueType) -> Option<(DType, Dims)> {
    let ValueType::Tensor { ty, shape, .. } = ty else { return None };
    let dims = shape.iter().map(|&size| usize::try_from(size).map_or(Dim::Any, Dim::Fixed));
    Some((value::dtype(*ty)?, dims.collect()))
}
