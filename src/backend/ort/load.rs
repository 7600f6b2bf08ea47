//! From a file to a session: options, providers, and what the graph takes and gives.

use std::path::Path;
use std::sync::Arc;

use ort::ep::ExecutionProviderDispatch;
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

    fn session(
        &self,
        spec: &LoadSpec,
        accelerators: &[ExecutionProviderDispatch],
    ) -> Result<Session, ort::Error> {
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
        builder.with_execution_providers(accelerators)?.commit_from_file(&spec.path)
    }

    /// A session on the planned providers, and the one that leads. An accelerator that does not
    /// start is left out, and the next one, in the end the CPU, leads: a model that names
    /// `TensorRT`, CUDA and the CPU must not lose the GPU for want of the first.
    fn session_or_next(
        &self,
        spec: &LoadSpec,
        mut plan: Plan,
    ) -> Result<(Session, &'static str), ort::Error> {
        loop {
            match self.session(spec, &plan.accelerators) {
                Ok(session) => return Ok((session, plan.leader())),
                Err(error) if plan.accelerators.is_empty() => return Err(error),
                Err(error) => {
                    let (path, cause) = (spec.path.display(), message::clean(error.message()));
                    let failed = plan.accelerators.remove(0).name();
                    let trying = plan.leader();
                    tracing::warn!(%path, failed, trying, cause, "execution provider failed");
                }
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
        report_missing(path, &plan);
        let (session, provider) = self
            .session_or_next(spec, plan)
            .map_err(|error| message::load_error(path, error.message()))?;
        let io = graph_io(path, &session)?;
        let model = OrtModel::new(session, io, provider)
            .ok_or_else(|| message::invalid(path, "an input or output has a NUL in its name"))?;
        Ok(Arc::new(model))
    }
}

/// A model that names the CPU too (MLflow writes CUDA and the CPU into every model) is prepared for
/// the lack of an accelerator; one that does not may well be much slower than was meant.
fn report_missing(path: &Path, plan: &Plan) {
    if plan.missing.is_empty() {
        return;
    }
    let (path, missing, leader) = (path.display(), plan.missing.join(", "), plan.leader());
    if plan.names_cpu {
        tracing::info!(%path, missing, leader, "execution providers not available");
    } else {
        tracing::warn!(%path, missing, leader, "execution providers not available");
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::PathBuf;

    use ort::ep::{CUDA, TensorRT};

    use super::*;
    use crate::backend::LibrarySearch;
    use crate::backend::ort::provider::CPU;
    use crate::model::SessionOptions;

    #[test]
    fn accelerators_that_do_not_start_are_left_out_until_the_cpu_leads() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let library = LibrarySearch { current_dir: Some(root.clone()), ..Default::default() };
        let options = OrtOptions { library, intra_op_threads: NonZeroUsize::MIN, spinning: false };
        let backend = OrtBackend::new(options)
            .unwrap_or_else(|error| panic!("{error}\nrun scripts/onnxruntime.sh to set it up"));
        let spec = LoadSpec {
            path: root.join("tests/fixtures/onnx/mlp.onnx"),
            providers: Vec::new(),
            session: SessionOptions::default(),
        };
        // The pinned library has neither, so both are refused when they are registered.
        let accelerators = vec![
            TensorRT::default().build().error_on_failure(),
            CUDA::default().build().error_on_failure(),
        ];
        let plan = Plan { accelerators, missing: Vec::new(), names_cpu: false };
        assert_eq!(plan.leader(), "TensorrtExecutionProvider");
        let (session, leader) = backend.session_or_next(&spec, plan).unwrap();
        assert_eq!((leader, session.inputs().len()), (CPU, 1));
    }
}
