//! Answers: `predictions_to_json`, byte for byte but for the last digits of computed floats.

use half::f16;
use ndarray::ArrayD;

use super::WireError;
use super::scoring::{Layout, RecordShape};
use crate::model::{ClassKey, ClassMap, GraphIo, Output};
use crate::tensor::Tensor;
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
    pub fn encode(
        &self,
        outputs: &[Output],
        layout: Layout,
        body: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        body.extend_from_slice(b"{\"predictions\": ");
        match layout {
            Layout::Tensors => self.write_tensors(outputs, body),
            Layout::Records => self.write_records(outputs, body)?,
        }
        body.push(b'}');
        Ok(())
    }

    fn write_tensors(&self, outputs: &[Output], body: &mut Vec<u8>) {
        self.write_members(outputs, body, |_, output, body| match output {
            Output::Tensor(tensor) => {
                with_array!(tensor, array => write_nested(array.shape(), slice(array), body));
            }
            Output::Maps(maps) => write_list(maps, body, write_map),
        });
    }

    /// An object with a member for each output.
    fn write_members(
        &self,
        outputs: &[Output],
        body: &mut Vec<u8>,
        write: impl Fn(usize, &Output, &mut Vec<u8>),
    ) {
        body.push(b'{');
        for (i, (key, output)) in self.keys.iter().zip(outputs).enumerate() {
            if i > 0 {
                body.extend_from_slice(b", ");
            }
            body.extend_from_slice(key);
            write(i, output, body);
        }
        body.push(b'}');
    }

    /// Records: MLflow flattens every output and lays them side by side. Where their flattened
    /// lengths differ it fails; then, and where the model asks for it, a record holds one row and
    /// a cell may be a list (parity policy, P3.1).
    fn write_records(&self, outputs: &[Output], body: &mut Vec<u8>) -> Result<(), WireError> {
        let flat = |output: &Output| match output {
            Output::Tensor(tensor) => tensor.len(),
            Output::Maps(maps) => maps.len(),
        };
        let first = outputs.first().map_or(0, flat);
        let agree = outputs.iter().all(|output| flat(output) == first);
        let rows = |output: &Output| match output {
            Output::Tensor(tensor) => tensor.shape().first().copied(),
            Output::Maps(maps) => Some(maps.len()),
        };
        let shared = outputs.first().and_then(rows);
        let shared = shared.filter(|_| outputs.iter().all(|output| rows(output) == shared));
        let by_row = !agree || self.record_shape == RecordShape::Rows;
        match shared.filter(|_| by_row) {
            Some(rows) => {
                self.write_record_list(outputs, rows, body, |output| match output {
                    Output::Tensor(tensor) => cell_shape(tensor.shape()),
                    Output::Maps(_) => Vec::new(),
                });
            }
            None if agree => self.write_record_list(outputs, first, body, |_| Vec::new()),
            None => {
                return Err(WireError::bad_request(
                    "the model's outputs hold different numbers of values and are not all one \
                     per row, so they cannot be answered as records; send the request as 'inputs'",
                ));
            }
        }
        Ok(())
    }

    fn write_record_list(
        &self,
        outputs: &[Output],
        records: usize,
        body: &mut Vec<u8>,
        cell_shape: impl Fn(&Output) -> Vec<usize>,
    ) {
        let shapes: Vec<Vec<usize>> = outputs.iter().map(cell_shape).collect();
        body.push(b'[');
        for row in 0..records {
            if row > 0 {
                body.extend_from_slice(b", ");
            }
            self.write_members(outputs, body, |i, output, body| match output {
                Output::Tensor(tensor) => write_cell(tensor, &shapes[i], row, body),
                Output::Maps(maps) => write_map(&maps[row], body),
            });
        }
        body.push(b']');
    }
}

/// The shape of one row's cell: a single value is printed bare.
fn cell_shape(shape: &[usize]) -> Vec<usize> {
    match shape.get(1..) {
        None | Some([] | [1]) => Vec::new(),
        Some(inner) => inner.to_vec(),
    }
}

fn write_cell(tensor: &Tensor, shape: &[usize], row: usize, body: &mut Vec<u8>) {
    let size: usize = shape.iter().product();
    with_array!(tensor, array => {
        write_nested(shape, &slice(array)[row * size..(row + 1) * size], body);
    });
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

/// Nested lists; a bare value where the shape is empty.
fn write_nested<T: Print>(shape: &[usize], values: &[T], body: &mut Vec<u8>) {
    match shape.split_first() {
        None => values[0].print(body),
        Some((_, [])) => write_list(values, body, Print::print),
        Some((&size, inner)) => {
            let step: usize = inner.iter().product();
            let rows: Vec<&[T]> = (0..size).map(|i| &values[i * step..(i + 1) * step]).collect();
            write_list(&rows, body, |row, body| write_nested(inner, row, body));
        }
    }
}

fn write_list<T>(items: &[T], body: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    body.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        write(item, body);
    }
    body.push(b']');
}

fn write_map(map: &ClassMap, body: &mut Vec<u8>) {
    body.push(b'{');
    for (i, (key, value)) in map.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GraphOutput, OutputKind};
    use crate::tensor::{DType, Dim, Dims};

    fn encode(outputs: &[Output], layout: Layout, shape: RecordShape) -> String {
        let kind = OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) };
        let named = ["label", "probabilities"].into_iter().take(outputs.len());
        let named = named.map(|name| GraphOutput { name: name.into(), kind: kind.clone() });
        let io = GraphIo { inputs: Vec::new(), outputs: named.collect() };
        let mut body = Vec::new();
        match Encoder::new(&io, shape).encode(outputs, layout, &mut body) {
            Ok(()) => String::from_utf8(body).unwrap(),
            Err(error) => error.message,
        }
    }

    fn label_and_probabilities() -> [Output; 2] {
        [
            Output::Tensor(Tensor::from_vec(&[2], vec![1_i64, 0]).unwrap()),
            Output::Tensor(Tensor::from_vec(&[2, 2], vec![0.5_f32, 0.1, 1.0, f32::NAN]).unwrap()),
        ]
    }

    #[test]
    fn tensors_are_nested_lists() {
        assert_eq!(
            encode(&label_and_probabilities(), Layout::Tensors, RecordShape::Flattened),
            "{\"predictions\": {\"label\": [1, 0], \"probabilities\": [[0.5, \
             0.10000000149011612], [1.0, NaN]]}}"
        );
        let scalar = Output::Tensor(Tensor::from_vec(&[], vec![3.5_f64]).unwrap());
        assert_eq!(
            encode(&[scalar], Layout::Tensors, RecordShape::Flattened),
            "{\"predictions\": {\"label\": 3.5}}"
        );
    }

    #[test]
    fn one_output_is_flattened_unless_rows_are_asked_for() {
        let wide = [Output::Tensor(Tensor::from_vec(&[1, 2], vec![1_i64, 2]).unwrap())];
        assert_eq!(
            encode(&wide, Layout::Records, RecordShape::Flattened),
            "{\"predictions\": [{\"label\": 1}, {\"label\": 2}]}"
        );
        assert_eq!(
            encode(&wide, Layout::Records, RecordShape::Rows),
            "{\"predictions\": [{\"label\": [1, 2]}]}"
        );
    }

    #[test]
    fn outputs_of_different_lengths_are_one_record_a_row() {
        assert_eq!(
            encode(&label_and_probabilities(), Layout::Records, RecordShape::Flattened),
            "{\"predictions\": [{\"label\": 1, \"probabilities\": [0.5, 0.10000000149011612]}, \
             {\"label\": 0, \"probabilities\": [1.0, NaN]}]}"
        );
        let mut outputs = label_and_probabilities();
        outputs[0] = Output::Tensor(Tensor::from_vec(&[3], vec![1_i64, 0, 1]).unwrap());
        let refused = encode(&outputs, Layout::Records, RecordShape::Flattened);
        assert!(refused.contains("different numbers"), "{refused}");
    }

    #[test]
    fn maps_print_their_keys_as_text() {
        let map = vec![(ClassKey::Int(0), 0.5), (ClassKey::Str("é".into()), 1.0)];
        let maps = [Output::Maps(vec![map])];
        assert_eq!(
            encode(&maps, Layout::Records, RecordShape::Flattened),
            "{\"predictions\": [{\"label\": {\"0\": 0.5, \"\\u00e9\": 1.0}}]}"
        );
    }
}
