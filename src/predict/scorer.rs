//! A block of rows through the protocol's decoder and the graph.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::block::{Block, Rows};
use super::columns::to_columns;
use super::error::PredictError;
use super::inferred::check_records;
use crate::backend::{LoadedModel, RunError};
use crate::model::{Output, Schema, Signature};
use crate::tensor::Tensor;
use crate::wire::invocations::json::{self, JsonError};
use crate::wire::invocations::{RecordShape, Scoring, ScoringOptions};

/// Most bytes that the Parquet form of one block may unfold to.
const DECODED_BYTES_MAX: usize = 1 << 30;

/// A model that scores blocks. Shared by the scoring threads.
pub(super) struct Scorer {
    input: String,
    model: Arc<dyn LoadedModel>,
    scoring: Scoring,
    /// Types that the first rows gave, where the model declares none.
    inferred: Option<Schema>,
}

/// A block as the graph sees it.
pub(super) struct Observed {
    pub(super) feeds: Vec<Tensor>,
    pub(super) outputs: Vec<Output>,
    pub(super) rows: usize,
}

impl Scorer {
    /// `inferred` stands in where the signature declares no inputs.
    pub(super) fn new(
        input: String,
        model: Arc<dyn LoadedModel>,
        signature: Signature,
        inferred: Option<Schema>,
    ) -> Self {
        let inputs = signature.inputs.or_else(|| inferred.clone());
        let options = ScoringOptions {
            record_shape: RecordShape::Rows,
            decoded_bytes_max: DECODED_BYTES_MAX,
        };
        let signature = Signature { inputs, ..signature };
        let scoring = Scoring::new(signature, model.io().clone(), options);
        Self { input, model, scoring, inferred }
    }

    /// The graph's outputs for the rows of a block, as columns.
    ///
    /// # Errors
    /// The first row that is refused, or a model whose outputs are not one a row.
    pub(super) fn score(&self, block: &Block) -> Result<RecordBatch, PredictError> {
        let (outputs, rows) = self.run(block, |_| {})?;
        to_columns(self.model.io(), outputs, rows).map_err(PredictError::Output)
    }

    /// What goes into the graph and what comes out of it for the rows of a block.
    ///
    /// # Errors
    /// The first row that is refused.
    pub(super) fn observe(&self, block: &Block) -> Result<Observed, PredictError> {
        let mut feeds = Vec::new();
        let (outputs, rows) = self.run(block, |decoded| feeds = decoded.to_vec())?;
        Ok(Observed { feeds, outputs, rows })
    }

    /// All rows of a block. `see` sees what goes into the graph.
    fn run(
        &self,
        block: &Block,
        see: impl FnOnce(&[Tensor]),
    ) -> Result<(Vec<Output>, usize), PredictError> {
        let rows = block.rows.len();
        self.attempt(&block.rows, rows, see).map_err(|reason| match rows {
            Some(rows) => self.blame(block, rows, reason),
            None => self.input_fault(reason),
        })
    }

    /// The first `count` rows through decoder and graph, or all of a document.
    fn attempt(
        &self,
        rows: &Rows,
        count: Option<usize>,
        see: impl FnOnce(&[Tensor]),
    ) -> Result<(Vec<Output>, usize), String> {
        let body = rows.body(count.unwrap_or_default()).map_err(|error| error.to_string())?;
        if let Some(schema) = self.inferred.as_ref().filter(|_| rows.json(0).is_some()) {
            check_records(&body, schema)?;
        }
        let decoded =
            self.scoring.decode(Some(rows.content_type()), &body).map_err(|error| error.message)?;
        if let Some(count) = count.filter(|count| *count != decoded.rows) {
            return Err(format!("expected {count} rows for the model, got {}", decoded.rows));
        }
        if count == Some(0) {
            return Ok((Vec::new(), 0));
        }
        see(&decoded.feeds);
        let outputs = self.model.run(decoded.feeds).map_err(|error| match error {
            RunError::Input { .. } => error.to_string(),
            RunError::Failed(cause) => format!("the model fails: {cause}"),
        })?;
        Ok((outputs, decoded.rows))
    }

    /// Finds the row that a refused block was refused for: the last of the shortest run of rows
    /// from its start that is refused too.
    fn blame(&self, block: &Block, rows: usize, reason: String) -> PredictError {
        if block.rows.has_head()
            && let Err(reason) = self.attempt(&block.rows, Some(0), |_| {})
        {
            return self.input_fault(reason);
        }
        let (mut good, mut bad, mut reason) = (0, rows, reason);
        while bad - good > 1 {
            let middle = usize::midpoint(good, bad);
            match self.attempt(&block.rows, Some(middle), |_| {}) {
                Ok(_) => good = middle,
                Err(why) => (bad, reason) = (middle, why),
            }
        }
        let syntax = block.rows.json(bad - 1).and_then(|text| json::parse(text).err());
        if let Some(error) = syntax {
            reason = match error {
                JsonError::Syntax { expected, at } => {
                    format!("not valid JSON: {expected} expected at byte {at}")
                }
                other => other.to_string(),
            };
        }
        PredictError::Row { input: self.input.clone(), place: block.place(bad - 1), reason }
    }

    fn input_fault(&self, reason: String) -> PredictError {
        PredictError::Input { input: self.input.clone(), reason }
    }
}
