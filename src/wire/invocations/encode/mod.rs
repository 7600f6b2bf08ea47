//! Answers: `predictions_to_json`, byte for byte but for the last digits of computed floats.

#[cfg(test)]
mod tests;

use std::ops::Range;

use half::f16;
use ndarray::ArrayD;

use super::WireError;
use super::scoring::{Layout, RecordShape};
use crate::model::{ClassKey, ClassMap, GraphIo, Output, OutputRows};
use crate::wire::number::write_f64;
use crate::wire::text::write_json_string;
use crate::with_array;

/// Writes `{"predictions": ...}` for the outputs of a graph.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// `"name": `, ready to print, for each output.
    keys: Vec<Vec<u8>>,
    record_shape: RecordShape,
}

impl Encoder {
    /// Prepares the output names.
    #[must_use]
    pub fn new(io: &GraphIo, record_shape: RecordShape) -> Self {
        let key = |name: &str| {
            let mut key = Vec::with_capacity(name.len() + 4);
            write_json_string(&mut key, name);
            key.extend_from_slice(b": ");
            key
        };
        Self { keys: io.outputs.iter().map(|output| key(&output.name)).collect(), record_shape }
    }

    /// Appends the answer.
    ///
    /// # Errors
    /// `BAD_REQUEST` when the outputs of a data frame cannot be told apart by row.
    ///
    /// # Panics
    /// When a range of rows is asked for that an output does not have.
    pub fn encode(
        &self,
        outputs: &OutputRows<'_>,
        layout: Layout,
        body: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let parts: Vec<Part<'_>> =
            outputs.outputs.iter().map(|output| Part::new(output, outputs.rows.as_ref())).collect();
        body.extend_from_slice(b"{\"predictions\": ");
        match layout {
            Layout::Tensors => self.write_members(&parts, body, Part::write_whole),
            Layout::Records => self.write_records(&parts, body)?,
        }
        body.push(b'}');
        Ok(())
    }

    /// An object with a member for each output.
    fn write_members<'a>(
        &self,
        parts: &[Part<'a>],
        body: &mut Vec<u8>,
        write: impl Fn(&Part<'a>, &mut Vec<u8>),
    ) {
        body.push(b'{');
        for (i, (key, part)) in self.keys.iter().zip(parts).enumerate() {
            if i > 0 {
                body.extend_from_slice(b", ");
            }
            body.extend_from_slice(key);
            write(part, body);
        }
        body.push(b'}');
    }

    /// Records: MLflow flattens every output and lays them side by side. Where their flattened
    /// lengths differ it fails; then, and where the model asks for it, a record holds one row and
    /// a cell may be a list (parity policy, P3.1).
    fn write_records(&self, parts: &[Part<'_>], body: &mut Vec<u8>) -> Result<(), WireError> {
        let first = parts.first().map_or(0, Part::flat_len);
        let agree = parts.iter().all(|part| part.flat_len() == first);
        let shared = parts.first().and_then(|part| part.rows);
        let shared = shared.filter(|_| parts.iter().all(|part| part.rows == shared));
        let by_row = !agree || self.record_shape == RecordShape::Rows;
        match shared.filter(|_| by_row) {
            Some(rows) => self.write_record_list(parts, rows, body, Part::write_row),
            None if agree => self.write_record_list(parts, first, body, Part::write_value),
            None => {
                return Err(WireError::bad_request(
                    "the model's outputs hold different numbers of values and are not all one \
                     per row, so they cannot be answered as records; send the request as 'inputs'",
                ));
            }
        }
        Ok(())
    }

    fn write_record_list<'a>(
        &self,
        parts: &[Part<'a>],
        records: usize,
        body: &mut Vec<u8>,
        write: impl Fn(&Part<'a>, usize, &mut Vec<u8>),
    ) {
        body.push(b'[');
        for at in 0..records {
            if at > 0 {
                body.extend_from_slice(b", ");
            }
            self.write_members(parts, body, |part, body| write(part, at, body));
        }
        body.push(b']');
    }
}

/// What an answer shows of one output.
struct Part<'a> {
    output: &'a Output,
    /// The first row that is shown.
    first: usize,
    /// How many are; a scalar has none.
    rows: Option<usize>,
    /// The shape of one row.
    row_shape: &'a [usize],
    /// Values in one row.
    row_size: usize,
}

impl<'a> Part<'a> {
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
    fn flat_len(&self) -> usize {
        self.rows.unwrap_or(1) * self.row_size
    }

    /// Nested lists.
    fn write_whole(&self, body: &mut Vec<u8>) {
        let from = self.first * self.row_size;
        match (self.output, self.rows) {
            (Output::Tensor(tensor), Some(rows)) => with_array!(tensor, array => {
                let values = &slice(array)[from..from + self.flat_len()];
                write_nested(rows, self.row_shape, values, body);
            }),
            (Output::Maps(maps), Some(rows)) => {
                write_list(maps.rows(self.first..self.first + rows), body, write_map);
            }
            (_, None) => self.write_value(0, body),
        }
    }

    /// One row: a list of its values, or the only one bare.
    fn write_row(&self, row: usize, body: &mut Vec<u8>) {
        match (self.output, self.row_shape) {
            (Output::Maps(_), _) | (_, [] | [1]) => self.write_value(row, body),
            (Output::Tensor(tensor), [size, inner @ ..]) => with_array!(tensor, array => {
                let from = (self.first + row) * self.row_size;
                write_nested(*size, inner, &slice(array)[from..from + self.row_size], body);
            }),
        }
    }

    /// One value, counted over all dimensions.
    fn write_value(&self, at: usize, body: &mut Vec<u8>) {
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

/// A value that JSON can show.
trait Print {
    fn print(&self, body: &mut Vec<u8>);
}

macro_rules! print_as {
    ($($ty:ty: |$value:ident, $body:ident| $print:expr;)*) => {
        $(impl Print for $ty {
            fn print(&self, $body: &mut Vec<u8>) {
                let $value = self;
                $print;
            }
        })*
    };
}

print_as! {
    bool: |value, body| body.extend_from_slice(if *value { b"true" } else { b"false" });
    i8: |value, body| write_integer(i64::from(*value), body);
    i16: |value, body| write_integer(i64::from(*value), body);
    i32: |value, body| write_integer(i64::from(*value), body);
    i64: |value, body| write_integer(*value, body);
    u8: |value, body| write_integer(*value, body);
    u16: |value, body| write_integer(*value, body);
    u32: |value, body| write_integer(*value, body);
    u64: |value, body| write_integer(*value, body);
    f16: |value, body| write_f64(body, f64::from(*value));
    f32: |value, body| write_f64(body, f64::from(*value));
    f64: |value, body| write_f64(body, *value);
    String: |value, body| write_json_string(body, value);
}

fn write_integer(value: impl itoa::Integer, body: &mut Vec<u8>) {
    body.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A list of `size` items of the shape `inner`.
fn write_nested<T: Print>(size: usize, inner: &[usize], values: &[T], body: &mut Vec<u8>) {
    let Some((&inner_size, innermost)) = inner.split_first() else {
        return write_list(values, body, Print::print);
    };
    let step: usize = inner.iter().product();
    body.push(b'[');
    for i in 0..size {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        write_nested(inner_size, innermost, &values[i * step..(i + 1) * step], body);
    }
    body.push(b']');
}

fn write_list<I: IntoIterator>(
    items: I,
    body: &mut Vec<u8>,
    write: impl Fn(I::Item, &mut Vec<u8>),
) {
    body.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        write(item, body);
    }
    body.push(b']');
}

fn write_map(map: ClassMap<'_>, body: &mut Vec<u8>) {
    body.push(b'{');
    for (i, (key, value)) in map.keys.iter().zip(map.values).enumerate() {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        match key {
            ClassKey::Int(key) => {
                body.push(b'"');
                write_integer(*key, body);
                body.push(b'"');
            }
            ClassKey::Str(key) => write_json_string(body, key),
        }
        body.extend_from_slice(b": ");
        write_f64(body, *value);
    }
    body.push(b'}');
}
