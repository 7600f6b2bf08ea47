//! A reference from rows: blocks of what went into a graph and what came out of it.
//!
//! Memory is bounded. Sums, nulls, extremes and texts are those of all rows. Of the values that
//! the grid of quantiles comes from, as many rows are held as there is room for; beyond that every
//! second, fourth, eighth, so that the edges are quantiles of a sample, and the same ones at every
//! run. How many values lie between the edges is exact all the same: either all values were held,
//! or the rows are given a second time, to a [`Recount`].

pub(super) mod cells;
mod gather;
mod grid;
mod plan;
#[cfg(test)]
mod tests;

use cells::{Rows, Wholes};
use gather::Gathered;
use plan::{Followed, Plan};

use super::{EDGES_MAX, FEATURES_MAX, REFERENCE_BYTES_MAX, SCORING_BINS_MAX};
use super::{Feature, Reference, Values};
use crate::model::{GraphIo, Output, Signature};
use crate::tensor::Tensor;

const _: () = assert!(EDGES_MAX == 251 && SCORING_BINS_MAX == 10, "what `grid` makes");

/// Gathers what a reference says, block by block, in the order of the rows.
pub struct Builder {
    signature: Signature,
    io: GraphIo,
    values_max: usize,
    rows: u64,
    /// What is followed; `None` before the first row.
    plans: Option<Plans>,
}

struct Plans {
    inputs: Plan,
    outputs: Plan,
    /// Values that are held of each numeric feature.
    held_max: usize,
}

/// A reference, and what it leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    pub reference: Reference,
    pub left_out: Vec<LeftOut>,
}

/// A tensor or a feature that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub name: String,
    /// Reads after the name.
    pub reason: String,
}

/// Counts all rows once more, into a grid that stands.
pub struct Recount {
    io: GraphIo,
    built: Built,
    rows: u64,
}

/// Why there is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("there are no rows")]
    NoRows,
    #[error("nothing of the model can be followed")]
    NoFeatures,
    #[error("there were more rows than could be held, and they were not given a second time")]
    NotRecounted,
    #[error("the rows are others than at the first reading")]
    Changed,
    #[error("it would have {bytes} bytes, and a reference has at most {REFERENCE_BYTES_MAX}")]
    TooLarge { bytes: usize },
}

impl Builder {
    /// `io` has the names of the tensors, `signature` those of columns. At most `values_max`
    /// numbers of 8 bytes are held, but for a thousand of each feature.
    #[must_use]
    pub fn new(signature: &Signature, io: &GraphIo, values_max: usize) -> Self {
        let (signature, io) = (signature.clone(), io.clone());
        Self { signature, io, values_max, rows: 0, plans: None }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next rows: one tensor for each input of the graph, one output for each of its outputs.
    pub fn add(&mut self, feeds: &[Tensor], outputs: &[Output]) {
        let len = block_rows(feeds);
        if len == 0 {
            return;
        }
        self.rows += len as u64;
        let (inputs, outputs) = (input_rows(&self.io, feeds), output_rows(&self.io, outputs));
        let plans = self.plans.get_or_insert_with(|| {
            let outputs = Plan::outputs(&outputs);
            let inputs = Plan::inputs(&inputs, &self.signature, &outputs);
            Plans::new(inputs, outputs, self.values_max)
        });
        let Plans { inputs: into, outputs: out_of, held_max } = plans;
        for (followed, (_, rows)) in into.followed.iter_mut().zip(inputs) {
            followed.add(rows, len, *held_max);
        }
        for (followed, (_, rows)) in out_of.followed.iter_mut().zip(outputs) {
            followed.add(rows, len, *held_max);
        }
    }

    /// Whether there were more values than could be held, so that [`recount`](Self::recount) must
    /// see all rows again.
    #[must_use]
    pub fn needs_recount(&self) -> bool {
        self.plans.as_ref().is_some_and(|plans| {
            let followed = plans.inputs.followed.iter().chain(&plans.outputs.followed);
            followed
                .filter(|followed| followed.fault.is_none())
                .flat_map(|followed| &followed.features)
                .any(|feature| feature.gathered.is_thinned())
        })
    }

    /// The reference. `signature` is the digest of the model's.
    ///
    /// # Errors
    /// When there is nothing to say, or too much, or the rows must be counted again.
    pub fn finish(self, signature: Option<String>) -> Result<Built, BuildError> {
        if self.needs_recount() {
            return Err(BuildError::NotRecounted);
        }
        checked(self.gathered(signature)?)
    }

    /// Keeps the grid and forgets the counts.
    ///
    /// # Errors
    /// When there is nothing to say.
    pub fn recount(self, signature: Option<String>) -> Result<Recount, BuildError> {
        let io = self.io.clone();
        let mut built = self.gathered(signature)?;
        let Reference { inputs, outputs, .. } = &mut built.reference;
        for feature in inputs.iter_mut().chain(outputs) {
            if let Values::Numeric(numeric) = &mut feature.values {
                numeric.counts.fill(0);
            }
        }
        Ok(Recount { io, built, rows: 0 })
    }

    fn gathered(self, signature: Option<String>) -> Result<Built, BuildError> {
        let Some(Plans { inputs, outputs, .. }) = self.plans else {
            return Err(BuildError::NoRows);
        };
        let mut left_out = Vec::new();
        let inputs = finish(inputs, &mut left_out);
        let outputs = finish(outputs, &mut left_out);
        if inputs.is_empty() && outputs.is_empty() {
            return Err(BuildError::NoFeatures);
        }
        let reference = Reference { signature, rows: self.rows, inputs, outputs };
        Ok(Built { reference, left_out })
    }
}

impl Plans {
    fn new(inputs: Plan, outputs: Plan, values_max: usize) -> Self {
        let followed = inputs.followed.iter().chain(&outputs.followed);
        let features = followed.flat_map(|followed| &followed.features);
        let numeric = features.filter(|feature| feature.gathered.holds()).count();
        Self { inputs, outputs, held_max: values_max / numeric.max(1) }
    }
}

impl Followed {
    fn add(&mut self, rows: Result<Rows<'_>, &'static str>, len: usize, held_max: usize) {
        if self.fault.is_some() {
            return;
        }
        match rows {
            Err(reason) => self.fault = Some(reason),
            Ok(rows) if rows.len != len => self.fault = Some("it is not one row for each row"),
            Ok(rows) if rows.width != self.width || rows.kind() != self.kind => {
                self.fault = Some("its rows have different lengths");
            }
            Ok(rows) => {
                for feature in &mut self.features {
                    feature.gathered.add(&rows, feature.part, held_max);
                }
            }
        }
        if self.fault.is_some() {
            // What was held is of no use.
            self.features.clear();
        }
    }
}

impl Recount {
    /// The next rows, the same ones and in the same order as they were given before.
    pub fn add(&mut self, feeds: &[Tensor], outputs: &[Output]) {
        self.rows += block_rows(feeds) as u64;
        let Reference { inputs, outputs: features, .. } = &mut self.built.reference;
        count(inputs, &input_rows(&self.io, feeds));
        count(features, &output_rows(&self.io, outputs));
    }

    /// The reference, with the counts of all rows.
    ///
    /// # Errors
    /// When the rows were others.
    pub fn finish(self) -> Result<Built, BuildError> {
        let Reference { rows, inputs, outputs, .. } = &self.built.reference;
        let adds_up = |feature: &Feature| feature.nulls + feature.known() == *rows;
        if self.rows != *rows || !inputs.iter().chain(outputs).all(adds_up) {
            return Err(BuildError::Changed);
        }
        checked(self.built)
    }
}

type NamedRows<'a> = Vec<(&'a str, Result<Rows<'a>, &'static str>)>;

fn input_rows<'a>(io: &'a GraphIo, feeds: &'a [Tensor]) -> NamedRows<'a> {
    let named = io.inputs.iter().zip(feeds);
    named
        .map(|(input, feed)| (input.name.as_str(), Rows::of_tensor(feed, Wholes::AreNumbers)))
        .collect()
}

fn output_rows<'a>(io: &'a GraphIo, outputs: &'a [Output]) -> NamedRows<'a> {
    let named = io.outputs.iter().zip(outputs);
    named.map(|(output, computed)| (output.name.as_str(), Rows::of_output(computed))).collect()
}

/// Rows of a block: those of the longest input, as one may be a single value.
fn block_rows(feeds: &[Tensor]) -> usize {
    feeds.iter().filter_map(Tensor::rows).max().unwrap_or(0)
}

fn count(features: &mut [Feature], tensors: &NamedRows<'_>) {
    for Feature { tensor, width, part, values, .. } in features {
        let Values::Numeric(numeric) = values else { continue };
        let found = tensors.iter().find(|(name, _)| name == tensor);
        let Some((_, Ok(rows))) =
            found.filter(|(_, rows)| rows.as_ref().is_ok_and(|rows| rows.width == *width))
        else {
            continue;
        };
        for value in rows.numbers(*part).filter(|value| value.is_finite()) {
            if let Some(cell) = grid::cell(&numeric.edges, value) {
                numeric.counts[cell] += 1;
            }
        }
    }
}

fn finish(plan: Plan, left_out: &mut Vec<LeftOut>) -> Vec<Feature> {
    let mut features = Vec::new();
    for Followed { tensor, width, features: followed, fault, .. } in plan.followed {
        if let Some(reason) = fault {
            left_out.push(LeftOut { name: tensor, reason: reason.to_owned() });
            continue;
        }
        for plan::FollowedFeature { name, part, gathered } in followed {
            match Gathered::finish(gathered) {
                Ok((nulls, values)) => {
                    let tensor = tensor.clone();
                    features.push(Feature { name, tensor, width, part, nulls, values });
                }
                Err(reason) => left_out.push(LeftOut { name, reason: reason.to_owned() }),
            }
        }
    }
    left_out.extend(plan.left_out);
    features
}

fn checked(built: Built) -> Result<Built, BuildError> {
    let bytes = built.reference.to_json().len();
    if bytes > REFERENCE_BYTES_MAX { Err(BuildError::TooLarge { bytes }) } else { Ok(built) }
}
