//! The outputs of a graph as typed columns, one cell a row: a single value as itself, several as
//! a list, nested as the tensor is; a map from class to number as a map.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float16Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use ndarray::ArrayD;

use crate::model::{ClassKey, ClassMaps, GraphIo, GraphOutput, Output, OutputKind};
use crate::tensor::{DType, Dim, Tensor};

/// The outputs for `rows` rows, by the graph's names.
///
/// # Errors
/// An output that is not one cell a row.
pub(super) fn to_columns(
    io: &GraphIo,
    outputs: Vec<Output>,
    rows: usize,
) -> Result<RecordBatch, String> {
    let mut fields = Vec::with_capacity(outputs.len());
    let mut columns = Vec::with_capacity(outputs.len());
    for (GraphOutput { name, .. }, output) in io.outputs.iter().zip(outputs) {
        let column = match output {
            Output::Tensor(tensor) => tensor_column(tensor, rows),
            Output::Maps(maps) if maps.len() == rows => Ok(map_column(&maps)),
            Output::Maps(maps) => Err(format!("{} maps", maps.len())),
        };
        let column = column.map_err(|got| {
            format!(
                "the model's output `{name}` is not one cell a row: got {got} for {rows} rows; \
                 such a model cannot score files"
            )
        })?;
        fields.push(Field::new(name, column.data_type().clone(), false));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}

/// The columns of no rows at all, as far as the graph declares them.
pub(super) fn declared_columns(io: &GraphIo) -> SchemaRef {
    let fields = io.outputs.iter().map(|output| {
        let ty = match &output.kind {
            OutputKind::Maps => map_type(),
            OutputKind::Tensor { dtype, dims } => {
                let inner = match dims.0.get(1..) {
                    None | Some([Dim::Fixed(1)]) => &[],
                    Some(inner) => inner,
                };
                inner.iter().fold(value_type(*dtype), |ty, _| DataType::List(item_field(ty)))
            }
        };
        Field::new(&output.name, ty, false)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn tensor_column(tensor: Tensor, rows: usize) -> Result<ArrayRef, String> {
    let shape = tensor.shape().to_vec();
    if shape.first() != Some(&rows) {
        return Err(format!("an array of shape {shape:?}"));
    }
    if i32::try_from(tensor.len()).is_err() {
        return Err(format!("{} values, too many at once (fewer --rows-per-batch)", tensor.len()));
    }
    let inner = match &shape[1..] {
        [1] => &[],
        inner => inner,
    };
    let mut column = values(tensor);
    for (depth, size) in inner.iter().enumerate().rev() {
        let lists: usize = shape[..=depth].iter().product();
        let ends = OffsetBuffer::from_lengths(std::iter::repeat_n(*size, lists));
        let item = item_field(column.data_type().clone());
        column = Arc::new(ListArray::new(item, ends, column, None));
    }
    Ok(column)
}

fn item_field(ty: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(ty, false))
}

/// The elements in row-major order.
fn values(tensor: Tensor) -> ArrayRef {
    match tensor {
        Tensor::Bool(array) => Arc::new(BooleanArray::from(elements(array))),
        Tensor::I8(array) => Arc::new(Int8Array::from(elements(array))),
        Tensor::I16(array) => Arc::new(Int16Array::from(elements(array))),
        Tensor::I32(array) => Arc::new(Int32Array::from(elements(array))),
        Tensor::I64(array) => Arc::new(Int64Array::from(elements(array))),
        Tensor::U8(array) => Arc::new(UInt8Array::from(elements(array))),
        Tensor::U16(array) => Arc::new(UInt16Array::from(elements(array))),
        Tensor::U32(array) => Arc::new(UInt32Array::from(elements(array))),
        Tensor::U64(array) => Arc::new(UInt64Array::from(elements(array))),
        Tensor::F16(array) => Arc::new(Float16Array::from(elements(array))),
        Tensor::F32(array) => Arc::new(Float32Array::from(elements(array))),
        Tensor::F64(array) => Arc::new(Float64Array::from(elements(array))),
        Tensor::Str(array) => Arc::new(StringArray::from(elements(array))),
    }
}

fn elements<T: Clone>(array: ArrayD<T>) -> Vec<T> {
    let length = array.len();
    let (elements, start) = array.into_raw_vec_and_offset();
    match start {
        None | Some(0) if elements.len() == length => elements,
        start => elements[start.unwrap_or(0)..][..length].to_vec(),
    }
}

fn value_type(dtype: DType) -> DataType {
    match dtype {
        DType::Bool => DataType::Boolean,
        DType::I8 => DataType::Int8,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::U8 => DataType::UInt8,
        DType::U16 => DataType::UInt16,
        DType::U32 => DataType::UInt32,
        DType::U64 => DataType::UInt64,
        DType::F16 => DataType::Float16,
        DType::F32 => DataType::Float32,
        DType::F64 => DataType::Float64,
        DType::Str => DataType::Utf8,
    }
}

/// Maps from the class's text, as JSON has to write it, to its number.
fn map_column(maps: &ClassMaps) -> ArrayRef {
    let rows = || maps.rows(0..maps.len());
    let keys = rows().flat_map(|row| row.keys).map(|key| match key {
        ClassKey::Int(key) => key.to_string(),
        ClassKey::Str(key) => key.clone(),
    });
    let keys = StringArray::from_iter_values(keys);
    let values = Float64Array::from_iter_values(rows().flat_map(|row| row.values).copied());
    let ends = OffsetBuffer::from_lengths(rows().map(|row| row.keys.len()));
    let entries = StructArray::new(entry_fields(), vec![Arc::new(keys), Arc::new(values)], None);
    Arc::new(MapArray::new(entries_field(), ends, entries, None, false))
}

fn map_type() -> DataType {
    DataType::Map(entries_field(), false)
}

fn entries_field() -> FieldRef {
    Arc::new(Field::new("entries", DataType::Struct(entry_fields()), false))
}

fn entry_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Float64, false),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dims;

    fn io(dims: Vec<Dim>, dtype: DType) -> GraphIo {
        let kind = OutputKind::Tensor { dtype, dims: Dims(dims) };
        GraphIo { inputs: Vec::new(), outputs: vec![GraphOutput { name: "y".into(), kind }] }
    }

    fn column(shape: &[usize], rows: usize) -> Result<RecordBatch, String> {
        let values = (0..shape.iter().product()).map(|i: usize| i as f32).collect();
        let tensor = Tensor::from_vec(shape, values).unwrap();
        to_columns(&io(vec![], DType::F32), vec![Output::Tensor(tensor)], rows)
    }

    #[test]
    fn declared_and_computed_columns_have_one_type() {
        let any = Dim::Any;
        for (dims, shape) in [
            (vec![any], vec![3]),
            (vec![any, Dim::Fixed(1)], vec![3, 1]),
            (vec![any, Dim::Fixed(2)], vec![3, 2]),
            (vec![any, any, Dim::Fixed(2)], vec![3, 0, 2]),
        ] {
            let computed = column(&shape, 3).unwrap();
            assert_eq!(computed.schema(), declared_columns(&io(dims, DType::F32)), "{shape:?}");
            assert_eq!(computed.num_rows(), 3);
        }
        let maps = vec![vec![(ClassKey::Int(1), 0.5)], vec![]];
        let graph = GraphIo {
            inputs: Vec::new(),
            outputs: vec![GraphOutput { name: "p".into(), kind: OutputKind::Maps }],
        };
        let computed =
            to_columns(&graph, vec![Output::Maps(maps.into_iter().collect())], 2).unwrap();
        assert_eq!(computed.schema(), declared_columns(&graph));
    }

    #[test]
    fn an_output_that_is_not_one_cell_a_row_is_named() {
        for shape in [vec![], vec![2], vec![4, 1]] {
            let error = column(&shape, 3).unwrap_err();
            assert!(error.contains("`y` is not one cell a row"), "{error}");
        }
    }
}
