//! Running a plan: immutable, shared by all threads; each run makes its own state.

use std::sync::Arc;

use tract_onnx::prelude::{SymbolValues, TDim, TractResult, TypedSimplePlan};

use crate::backend::{LoadedModel, RunError, feeds};
use crate::model::{GraphIo, Output, OutputKind};
use crate::tensor::Tensor;

use super::{RUNTIME, guarded, value};

pub(super) struct TractModel {
    plan: Arc<TypedSimplePlan>,
    io: GraphIo,
}

impl TractModel {
    pub(super) const fn new(plan: Arc<TypedSimplePlan>, io: GraphIo) -> Self {
        Self { plan, io }
    }

    /// The sizes that these feeds give to the symbols of the graph's inputs.
    fn sizes(&self, feeds: &[Tensor]) -> TractResult<SymbolValues> {
        let mut sizes = SymbolValues::default();
        for (i, feed) in feeds.iter().enumerate() {
            let dims = self.plan.model().input_fact(i)?.shape.iter();
            for (dim, &size) in dims.zip(feed.shape()) {
                if let TDim::Sym(symbol) = dim {
                    sizes.set(symbol, i64::try_from(size)?);
                }
            }
        }
        Ok(sizes)
    }
}

impl LoadedModel for TractModel {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &str {
        RUNTIME
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        feeds::check(&self.io, &feeds)?;
        let sizes = guarded(|| self.sizes(&feeds)).map_err(RunError::Failed)?;
        let inputs = feeds.into_iter().map(value::from_tensor).collect();
        let outputs = guarded(|| self.plan.run(inputs)).map_err(RunError::Failed)?;
        let declared = self.io.outputs.iter().zip(outputs);
        declared
            .map(|(output, computed)| {
                let dtype = match &output.kind {
                    OutputKind::Tensor { dtype, .. } => *dtype,
                    OutputKind::Maps => return Err(RunError::Failed("tract has no maps".into())),
                };
                let tensor = guarded(|| value::into_tensor(&computed, dtype, &sizes));
                tensor.map(Output::Tensor).map_err(|reason| {
                    RunError::Failed(format!("output `{}`: {reason}", output.name))
                })
            })
            .collect()
    }
}
