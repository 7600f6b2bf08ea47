//! The protocol applied to one model: bodies to feeds, outputs to answers.

use crate::model::{GraphIo, Output, Signature};
use crate::tensor::Tensor;

use super::WireError;

/// How one model version speaks the protocol: its signature and its graph, prepared once.
pub struct Scoring {
    signature: Option<Signature>,
    io: GraphIo,
}

/// A decoded request.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// One tensor for each graph input, in the graph's order.
    pub feeds: Vec<Tensor>,
    /// Items along the batch axis.
    pub rows: usize,
    /// What the answer looks like.
    pub layout: Layout,
}

/// The shape of an answer: it follows what reached the model, not the request's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `{"predictions": [{...}, ...]}`, one record a row: a DataFrame reached the model.
    Records,
    /// `{"predictions": {"output": [...]}}`: tensors reached the model.
    Tensors,
}

impl Scoring {
    /// Prepares the protocol for a model.
    #[must_use]
    pub fn new(signature: Option<Signature>, io: GraphIo) -> Self {
        Self { signature, io }
    }

    /// Decodes a body of `content_type` into the graph's feeds.
    ///
    /// # Errors
    /// When MLflow's scoring server would refuse the request.
    pub fn decode(&self, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, WireError> {
        let _ = (&self.signature, &self.io, content_type, body);
        Err(WireError::bad_request("being built"))
    }

    /// Appends the answer to `body`.
    ///
    /// # Errors
    /// When the outputs cannot be answered in this layout.
    pub fn encode(
        &self,
        outputs: &[Output],
        layout: Layout,
        body: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let _ = (outputs, layout, body);
        Err(WireError::bad_request("being built"))
    }
}
