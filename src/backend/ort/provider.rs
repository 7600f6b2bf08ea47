//! Execution providers: which of those a model asks for can be switched on.

use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProvider, ExecutionProviderDispatch,
    OpenVINO, TensorRT,
};

use crate::backend::Provider;

pub(super) const CPU: &str = "CPUExecutionProvider";

/// What becomes of the providers that a model asks for.
pub(super) struct Plan {
    /// Accelerators to register, in the model's order; they are errors when they fail to start.
    pub(super) accelerators: Vec<ExecutionProviderDispatch>,
    /// Providers that this library, or this program, does not have.
    pub(super) missing: Vec<String>,
    /// Whether the model asks for the CPU by name.
    pub(super) names_cpu: bool,
}

impl Plan {
    /// The CPU provider is always there and always last, as in ONNX Runtime's own order; what a
    /// model lists behind it would never be asked, so it is not registered.
    pub(super) fn of(wanted: &[Provider]) -> Self {
        let names_cpu = wanted.iter().any(|provider| provider.name == CPU);
        let mut plan = Self { accelerators: Vec::new(), missing: Vec::new(), names_cpu };
        for provider in wanted.iter().take_while(|provider| provider.name != CPU) {
            match accelerator(provider) {
                Some(dispatch) => plan.accelerators.push(dispatch.error_on_failure()),
                None => plan.missing.push(provider.name.clone()),
            }
        }
        plan
    }

    /// The provider that will do the bulk of the work: the first accelerator, or the CPU.
    pub(super) fn leader(&self) -> &'static str {
        self.accelerators.first().map_or(CPU, ExecutionProviderDispatch::name)
    }
}

/// The accelerator of that name, if the library has it.
fn accelerator(provider: &Provider) -> Option<ExecutionProviderDispatch> {
    match provider.name.as_str() {
        "CUDAExecutionProvider" => dispatch(CUDA::default(), provider),
        "TensorrtExecutionProvider" => dispatch(TensorRT::default(), provider),
        "OpenVINOExecutionProvider" => dispatch(OpenVINO::default(), provider),
        _ => None,
    }
}

fn dispatch<P>(mut target: P, provider: &Provider) -> Option<ExecutionProviderDispatch>
where
    P: ExecutionProvider
        + ArbitrarilyConfigurableExecutionProvider
        + Into<ExecutionProviderDispatch>,
{
    // A failure to list the providers is a failure to have this one.
    if !P::is_available().unwrap_or(false) {
        return None;
    }
    for (key, value) in &provider.options {
        // C strings end at a NUL, and `ort` panics on one: such an option cannot be meant.
        if !key.contains('\0') && !value.contains('\0') {
            target = target.with_arbitrary_config(key, value);
        }
    }
    Some(target.into())
}
