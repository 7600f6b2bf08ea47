use std::ops::Range;

use half::f16;
use ndarray::{Axis, Slice};
use proptest::prelude::*;

use super::*;
use crate::model::{ClassKey, ClassMaps, GraphIo, GraphOutput, Output, OutputKind, OutputRows};
use crate::tensor::{DType, Dim, Dims, Element, Tensor};
use crate::with_array;

/// The text of an answer, which has no more bytes than were foretold, or the message of a refusal.
fn encode(outputs: &[Output], layout: Layout, shape: RecordShape) -> String {
    encode_rows(&OutputRows::all(outputs), layout, shape)
}

fn encode_rows(outputs: &OutputRows<'_>, layout: Layout, shape: RecordShape) -> String {
    let kind = OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) };
    let named = ["label", "probabilities", "third"].into_iter().take(outputs.outputs.len());
    let named = named.map(|name| GraphOutput { name: name.into(), kind: kind.clone() });
    let io = GraphIo { inputs: Vec::new(), outputs: named.collect() };
    let mut body = Vec::new();
    let encoder = Encoder::new(&io, shape);
    match encoder.draft(outputs, layout) {
        Ok(draft) => {
            draft.write(&mut body);
            let bytes_max = draft.bytes_max();
            assert!(body.len() <= bytes_max, "{} bytes, at most {bytes_max}", body.len());
            String::from_utf8(body).unwrap()
        }
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
    let maps = [Output::Maps([map].into_iter().collect())];
    assert_eq!(
        encode(&maps, Layout::Records, RecordShape::Flattened),
        "{\"predictions\": [{\"label\": {\"0\": 0.5, \"\\u00e9\": 1.0}}]}"
    );
}

fn tensor_of<T: Element + std::fmt::Debug + 'static>(
    shape: Vec<usize>,
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Output> {
    let size = shape.iter().product::<usize>();
    prop::collection::vec(value, size)
        .prop_map(move |values| Output::Tensor(Tensor::from_vec(&shape, values).unwrap()))
        .boxed()
}

fn maps_of(rows: usize) -> BoxedStrategy<Output> {
    let key = prop_oneof![(-2..2_i64).prop_map(ClassKey::Int), "[a\"é]".prop_map(ClassKey::Str)];
    let mixed = prop::collection::vec(prop::collection::vec((key, any::<f64>()), 0..3), rows);
    let scores = prop::collection::vec(prop::array::uniform2(any::<f64>()), rows);
    let alike = scores.prop_map(|rows| {
        let classes = |[no, yes]: [f64; 2]| vec![(ClassKey::Int(0), no), (ClassKey::Int(1), yes)];
        rows.into_iter().map(classes).collect::<Vec<_>>()
    });
    prop_oneof![mixed, alike].prop_map(|rows| Output::Maps(rows.into_iter().collect())).boxed()
}

/// An output of that many rows.
fn output_of(rows: usize) -> impl Strategy<Value = Output> {
    let inner = prop::collection::vec(0..3_usize, 0..3);
    (inner, 0..9_u8).prop_flat_map(move |(inner, kind)| {
        let shape = [vec![rows], inner].concat();
        match kind {
            0 => tensor_of(shape, any::<bool>()),
            1 => tensor_of(shape, any::<i8>()),
            2 => tensor_of(shape, any::<i64>()),
            3 => tensor_of(shape, any::<u64>()),
            4 => tensor_of(shape, any::<u16>().prop_map(f16::from_bits)),
            5 => tensor_of(shape, any::<f32>()),
            6 => tensor_of(shape, any::<f64>()),
            7 => tensor_of(shape, "[a\"\n€]{0,3}".prop_map(String::from)),
            _ => maps_of(rows),
        }
    })
}

/// A batch of outputs with equally many rows, and a range of these.
fn batch() -> impl Strategy<Value = (Vec<Output>, Range<usize>)> {
    (0..6_usize).prop_flat_map(|rows| {
        let outputs = prop::collection::vec(output_of(rows), 1..4);
        let range = (0..=rows, 0..=rows).prop_map(|(a, b)| a.min(b)..a.max(b));
        (outputs, range)
    })
}

fn copied_out(output: &Output, range: &Range<usize>) -> Output {
    match output {
        Output::Tensor(tensor) => Output::Tensor(with_array!(tensor, array => {
            Element::wrap(array.slice_axis(Axis(0), Slice::from(range.clone())).to_owned())
        })),
        Output::Maps(maps) => Output::Maps(copied_maps(maps, range)),
    }
}

fn copied_maps(maps: &ClassMaps, range: &Range<usize>) -> ClassMaps {
    let rows = maps.rows(range.clone());
    rows.map(|row| row.keys.iter().cloned().zip(row.values.iter().copied())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_range_of_rows_reads_like_outputs_of_just_these_rows(
        (outputs, range) in batch(), tensors: bool, by_row: bool,
    ) {
        let layout = if tensors { Layout::Tensors } else { Layout::Records };
        let shape = if by_row { RecordShape::Rows } else { RecordShape::Flattened };
        let copies: Vec<Output> = outputs.iter().map(|o| copied_out(o, &range)).collect();
        let part = OutputRows { outputs: &outputs, rows: Some(range) };
        prop_assert_eq!(
            encode_rows(&part, layout, shape), encode(&copies, layout, shape)
        );
    }
}

#[test]
fn the_bound_of_an_answer_is_close() {
    let kind = OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) };
    let io = GraphIo { inputs: Vec::new(), outputs: vec![GraphOutput { name: "y".into(), kind }] };
    let encoder = Encoder::new(&io, RecordShape::Flattened);
    let scores = (0..1000_u16).map(|i| f32::from(i) / 7.0).collect();
    let outputs = [Output::Tensor(Tensor::from_vec(&[500, 2], scores).unwrap())];
    for layout in [Layout::Tensors, Layout::Records] {
        let mut body = Vec::new();
        let draft = encoder.draft(&OutputRows::all(&outputs), layout).unwrap();
        draft.write(&mut body);
        let bytes_max = draft.bytes_max();
        assert!(bytes_max < body.len() * 2, "{} bytes, at most {bytes_max}", body.len());
    }
}
