//! Columns as text: JSON records and CSV lines. Numbers and strings look as in the server's
//! answers.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};

use crate::number::write_f64;
use crate::wire::text::write_json_string;

/// Appends every row as a JSON object, with `separator` between two.
pub(super) fn write_records(batch: &RecordBatch, separator: &[u8], out: &mut Vec<u8>) {
    let schema = batch.schema();
    let keys = schema.fields().iter().enumerate().map(|(i, field)| {
        let mut key = if i == 0 { b"{".to_vec() } else { b", ".to_vec() };
        write_json_string(&mut key, field.name());
        key.extend_from_slice(b": ");
        key
    });
    let columns: Vec<_> = keys.zip(batch.columns()).collect();
    for row in 0..batch.num_rows() {
        if row > 0 {
            out.extend_from_slice(separator);
        }
        for (key, column) in &columns {
            out.extend_from_slice(key);
            write_value(&**column, row, out);
        }
        out.push(b'}');
    }
}

/// Appends every row as a line of CSV. Lists and maps are JSON in a quoted field.
pub(super) fn write_csv(batch: &RecordBatch, out: &mut Vec<u8>) {
    let mut cell = Vec::new();
    for row in 0..batch.num_rows() {
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match column.data_type() {
                DataType::Utf8 => {
                    write_field(column.as_string::<i32>().value(row).as_bytes(), out);
                }
                DataType::List(_) | DataType::Map(..) => {
                    cell.clear();
                    write_value(&**column, row, &mut cell);
                    write_field(&cell, out);
                }
                _ => write_value(&**column, row, out),
            }
        }
        out.push(b'\n');
    }
}

/// Appends the header line.
pub(super) fn write_csv_header(schema: &Schema, out: &mut Vec<u8>) {
    for (i, field) in schema.fields().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_field(field.name().as_bytes(), out);
    }
    out.push(b'\n');
}

/// A field, quoted where it could be read as something else: an only empty one would be no line.
fn write_field(text: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| !matches!(byte, b',' | b'"' | b'\n' | b'\r' | b' ' | b'\t');
    if !text.is_empty() && text.iter().all(is_plain) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for piece in text.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// Appends a cell as JSON. Columns are those that `columns` makes: without missing values.
fn write_value(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    macro_rules! integer {
        ($ty:ty) => {
            write_integer(array.as_primitive::<$ty>().value(row), out)
        };
    }
    match array.data_type() {
        DataType::Boolean => {
            let value: &[u8] = if array.as_boolean().value(row) { b"true" } else { b"false" };
            out.extend_from_slice(value);
        }
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float16 => write_f64(out, array.as_primitive::<Float16Type>().value(row).into()),
        DataType::Float32 => write_f64(out, array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => write_f64(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => write_json_string(out, array.as_string::<i32>().value(row)),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let ends = list.value_offsets();
            write_list(&**list.values(), ends[row] as usize..ends[row + 1] as usize, out);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let ends = map.value_offsets();
            write_map(map, ends[row] as usize..ends[row + 1] as usize, out);
        }
        other => unreachable!("`columns` makes no column of type {other}"),
    }
}

fn write_list(items: &dyn Array, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, item) in range.enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(items, item, out);
    }
    out.push(b']');
}

fn write_map(map: &arrow_array::MapArray, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, entry) in range.enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(&**map.keys(), entry, out);
        out.extend_from_slice(b": ");
        write_value(&**map.values(), entry, out);
    }
    out.push(b'}');
}

fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::columns::to_columns;
    use super::*;
    use crate::model::{ClassKey, GraphIo, GraphOutput, Output, OutputKind};
    use crate::tensor::Tensor;

    fn batch() -> RecordBatch {
        let names = ["label", "scores", "map", "x"];
        let output = |name: &str| GraphOutput { name: name.into(), kind: OutputKind::Maps };
        let io = GraphIo { inputs: Vec::new(), outputs: names.map(output).to_vec() };
        let labels = ["a,\"b\"", ""].map(str::to_owned).to_vec();
        let maps = vec![vec![(ClassKey::Int(0), 0.5), (ClassKey::Str("é".into()), 1.0)], vec![]];
        let outputs = vec![
            Output::Tensor(Tensor::from_vec(&[2, 1], labels).unwrap()),
            Output::Tensor(Tensor::from_vec(&[2, 2], vec![0.1_f32, 1.0, f32::NAN, 2.0]).unwrap()),
            Output::Maps(maps.into_iter().collect()),
            Output::Tensor(Tensor::from_vec(&[2], vec![-1_i64, 7]).unwrap()),
        ];
        to_columns(&io, outputs, 2).unwrap()
    }

    #[test]
    fn records_look_like_the_servers_answers() {
        let mut out = Vec::new();
        write_records(&batch(), b"\n", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"label\": \"a,\\\"b\\\"\", \"scores\": [0.10000000149011612, 1.0], \
             \"map\": {\"0\": 0.5, \"\\u00e9\": 1.0}, \"x\": -1}\n\
             {\"label\": \"\", \"scores\": [NaN, 2.0], \"map\": {}, \"x\": 7}"
        );
    }

    #[test]
    fn csv_fields_are_quoted_where_they_have_to_be() {
        let mut out = Vec::new();
        write_csv_header(&batch().schema(), &mut out);
        write_csv(&batch(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "label,scores,map,x\n\
             \"a,\"\"b\"\"\",\"[0.10000000149011612, 1.0]\",\
             \"{\"\"0\"\": 0.5, \"\"\\u00e9\"\": 1.0}\",-1\n\
             \"\",\"[NaN, 2.0]\",{},7\n"
        );
    }
}
