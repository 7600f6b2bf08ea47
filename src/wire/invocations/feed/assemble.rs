//! One tensor for each graph input.

use super::cast::{Casts, to_graph};
use super::values::{array_of, frame_values};
use crate::model::{GraphInput, GraphIo};
use crate::tensor::{Dim, Tensor};
use crate::wire::invocations::WireError;
use crate::wire::invocations::frame::{Frame, Series};
use crate::wire::invocations::numpy::NdArray;

/// What reaches the model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelInput {
    Frame(Frame),
    Array(NdArray),
    Named(Vec<(String, NdArray)>),
}

/// One tensor for each graph input, and the number of rows.
///
/// # Errors
/// `BAD_REQUEST` when an input is missing or its values do not have the graph's type.
pub fn feed(
    input: ModelInput,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    match input {
        ModelInput::Frame(frame) => feed_frame(frame, io, casts),
        ModelInput::Array(array) => {
            let [input] = io.inputs.as_slice() else {
                return Err(WireError::bad_request(format!(
                    "the model has {} inputs, so an object of named arrays is expected, got one \
                     array",
                    io.inputs.len()
                )));
            };
            let rows = array.shape().first().copied().unwrap_or(1);
            Ok((vec![to_graph(array, input, casts)?], rows))
        }
        ModelInput::Named(arrays) => feed_named(arrays, io, casts),
    }
}

fn feed_named(
    mut arrays: Vec<(String, NdArray)>,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    let mut feeds = Vec::with_capacity(io.inputs.len());
    let mut rows = None;
    for input in &io.inputs {
        let position = arrays.iter().position(|(name, _)| *name == input.name);
        let position = position.ok_or_else(|| missing(&input.name))?;
        let (_, array) = arrays.swap_remove(position);
        rows = rows.or_else(|| array.shape().first().copied());
        feeds.push(to_graph(array, input, casts)?);
    }
    if !arrays.is_empty() {
        return Err(WireError::bad_request(format!(
            "the request has an input that the model does not have; its inputs are {}",
            io.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ")
        )));
    }
    Ok((feeds, rows.unwrap_or(1)))
}

fn feed_frame(
    mut frame: Frame,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    let rows = frame.rows;
    if let [input] = io.inputs.as_slice() {
        return Ok((vec![to_graph(frame_values(frame), input, casts)?], rows));
    }
    let mut feeds = Vec::with_capacity(io.inputs.len());
    for input in &io.inputs {
        let positions: Vec<usize> = frame.positions(&input.name).collect();
        let series = match *positions.as_slice() {
            [position] => {
                std::mem::replace(&mut frame.columns[position].1, Series::Bool(Vec::new()))
            }
            [] => return Err(missing(&input.name)),
            _ => {
                return Err(WireError::bad_request(format!(
                    "column '{}' is given more than once",
                    input.name
                )));
            }
        };
        feeds.push(feed_column(series, rows, input, casts)?);
    }
    Ok((feeds, rows))
}

/// The tensor of an input that one column feeds.
///
/// # Errors
/// `BAD_REQUEST` when its values do not have the graph's type.
pub fn feed_column(
    series: Series,
    rows: usize,
    input: &GraphInput,
    casts: Casts,
) -> Result<Tensor, WireError> {
    let column = array_of(series);
    // `skl2onnx` writes a column as [N, 1] (parity policy, P3.3).
    let column = match *input.dims.0.as_slice() {
        [_, Dim::Any | Dim::Fixed(1)] => {
            column.reshape(&[rows, 1]).expect("a column has as many cells as the frame has rows")
        }
        _ => column,
    };
    to_graph(column, input, casts)
}

fn missing(name: &str) -> WireError {
    WireError::bad_request(format!("the model needs the input '{name}', which is missing"))
}
