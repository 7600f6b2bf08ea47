//! A model that computes only when it is let: tests decide when, so none has to sleep.

use std::sync::{Arc, Condvar, Mutex};

use flowgate::backend::{LoadedModel, RunError};
use flowgate::model::{GraphInput, GraphIo, GraphOutput, Output, OutputKind};
use flowgate::tensor::{DType, Dim, Dims, Tensor};

/// Holds runs back until it is opened, and counts them.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Lets everything through from now on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Waits until this many runs have arrived since the start.
    pub(crate) fn wait_for_arrivals(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.arrived < count).unwrap());
    }

    /// How many runs have arrived.
    pub(crate) fn arrivals(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open).unwrap());
    }
}

/// Identity on `x`, float32 `[-1, 1]`, named `y`, behind a gate. Panics on -1.
pub(crate) struct GatedModel {
    gate: Arc<Gate>,
    io: GraphIo,
}

impl GatedModel {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        let dims = || Dims(vec![Dim::Any, Dim::Fixed(1)]);
        let input = GraphInput { name: "x".to_owned(), dtype: DType::F32, dims: dims() };
        let kind = OutputKind::Tensor { dtype: DType::F32, dims: dims() };
        let output = GraphOutput { name: "y".to_owned(), kind };
        Self { gate, io: GraphIo { inputs: vec![input], outputs: vec![output] } }
    }
}

impl LoadedModel for GatedModel {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &'static str {
        "gate"
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        self.gate.pass();
        if let Some(Tensor::F32(values)) = feeds.first() {
            assert!(values.iter().all(|value| *value != -1.0), "the model does not like this");
        }
        Ok(feeds.into_iter().map(Output::Tensor).collect())
    }
}
