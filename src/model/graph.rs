//! The inputs and outputs of a graph, and what it computes, whatever runtime runs it.

use std::ops::Range;

use super::ClassMaps;
use crate::tensor::{DType, Dims, Tensor};

/// The inputs and outputs of a graph, in the graph's order.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphIo {
    pub inputs: Vec<GraphInput>,
    pub outputs: Vec<GraphOutput>,
}

/// One input of a graph that a request has to feed (initializers are not among them).
#[derive(Clone, Debug, PartialEq)]
pub struct GraphInput {
    pub name: String,
    pub dtype: DType,
    pub dims: Dims,
}

/// One output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphOutput {
    pub name: String,
    pub kind: OutputKind,
}

/// What an output holds.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    Tensor {
        dtype: DType,
        dims: Dims,
    },
    /// A sequence of maps, as `ZipMap` makes: one map a row, from class to number.
    Maps,
}

/// A computed output.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Tensor(Tensor),
    Maps(ClassMaps),
}

/// What a graph computed for one request: all that it gave, or a range of the rows where several
/// requests ran together. A view: splitting a batch copies nothing.
#[derive(Clone, Debug)]
pub struct OutputRows<'a> {
    pub outputs: &'a [Output],
    /// Rows of every output that are the request's; `None` is everything, whatever its shape.
    pub rows: Option<Range<usize>>,
}

impl<'a> OutputRows<'a> {
    /// Everything that the graph gave.
    #[must_use]
    pub fn all(outputs: &'a [Output]) -> Self {
        Self { outputs, rows: None }
    }
}
