//! What an answer shows of one output: all of it, or some rows.

use std::ops::Range;

use ndarray::ArrayD;

use super::print::{Print, lists_bytes, maps_bytes_max, write_list, write_map, write_nested};
use crate::model::{Output, OutputRows};
use crate::with_array;

/// What an answer shows of one output.
pub(super) struct Part<'a> {
    output: &'a Output,
    /// The first row that is shown.
    first: usize,
    /// How many are; a scalar has none.
    pub(super) rows: Option<usize>,
    /// The shape of one row.
    row_shape: &'a [usize],
    /// Values in one row.
    row_size: usize,
}

impl<'a> Part<'a> {
    /// What an answer shows of each output.
    pub(super) fn all(outputs: &OutputRows<'a>) -> Vec<Self> {
        let OutputRows { outputs, rows } = outputs;
        outputs.iter().map(|output| Self::new(output, rows.as_ref())).collect()
    }

    fn new(output: &'a Output, range: Option<&Range<usize>>) -> Self {
        let (all, row_shape) = match output {
            Output::Tensor(tensor) => match tensor.shape().split_first() {
                Some((&rows, row_shape)) => (Some(rows), row_shape),
                None => (None, Default::default()),
            },
            Output::Maps(maps) => (Some(maps.len()), Default::default()),
        };
        let range = range.filter(|_| all.is_some());
        Self {
            output,
            first: range.map_or(0, |range| range.start),
            rows: range.map(ExactSizeIterator::len).or(all),
            row_shape,
            row_size: row_shape.iter().product(),
        }
    }

    /// The number of values, all dimensions taken together; a map is one value.
    pub(super) fn values(&self) -> usize {
        self.rows.unwrap_or(1) * self.row_size
    }

    /// Most bytes of all values and of the lists around them, in any layout.
    pub(super) fn bytes_max(&self) -> usize {
        let rows = self.rows.unwrap_or(1);
        match self.output {
            Output::Tensor(tensor) => with_array!(tensor, array => {
                let from = self.first * self.row_size;
                let values = Print::bytes_max(&slice(array)[from..from + self.values()]);
                values.saturating_add(lists_bytes(rows, self.row_shape))
            }),
            Output::Maps(maps) => maps_bytes_max(maps, self.first..self.first + rows),
        }
    }

    /// Nested lists.
    pub(super) fn write(&self, body: &mut Vec<u8>) {
        let from = self.first * self.row_size;
        match (self.output, self.rows) {
            (Output::Tensor(tensor), Some(rows)) => with_array!(tensor, array => {
                let values = &slice(array)[from..from + self.values()];
                write_nested(rows, self.row_shape, values, body);
            }),
            (Output::Maps(maps), Some(rows)) => {
                write_list(maps.rows(self.first..self.first + rows), body, write_map);
            }
            (_, None) => self.write_value(0, body),
        }
    }

    /// One row: a list of its values, or the only one bare.
    pub(super) fn write_row(&self, row: usize, body: &mut Vec<u8>) {
        match (self.output, self.row_shape) {
            (Output::Maps(_), _) | (_, [] | [1]) => self.write_value(row, body),
            (Output::Tensor(tensor), [size, inner @ ..]) => with_array!(tensor, array => {
                let from = (self.first + row) * self.row_size;
                write_nested(*size, inner, &slice(array)[from..from + self.row_size], body);
            }),
        }
    }

    /// One value, counted over all dimensions.
    pub(super) fn write_value(&self, at: usize, body: &mut Vec<u8>) {
        let at = self.first * self.row_size + at;
        match self.output {
            Output::Tensor(tensor) => with_array!(tensor, array => slice(array)[at].print(body)),
            Output::Maps(maps) => write_map(maps.row(at), body),
        }
    }
}

fn slice<T>(array: &ArrayD<T>) -> &[T] {
    array.as_slice().expect("tensors are in standard layout")
}
