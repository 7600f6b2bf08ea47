//! Whether a model's outputs are what its graph declares.
//!
//! Types, and how many there are, an answer relies on. Declared dimensions it does not: an engine
//! that finds others says so and goes on, and so does MLflow. Numbers that are not finite are legal
//! JSON to MLflow. What a signature says of outputs plays no role in MLflow's protocol, and may
//! describe something else than the graph gives: it is no measure.

use crate::model::{ClassMaps, GraphIo, Output, OutputKind};
use crate::tensor::Tensor;

/// Why the outputs of a run cannot be answered with, if they cannot.
pub(super) fn malformed(io: &GraphIo, outputs: &[Output]) -> Option<String> {
    if outputs.len() != io.outputs.len() {
        let (got, want) = (outputs.len(), io.outputs.len());
        return Some(format!("the engine gave {got} outputs, and the graph declares {want}"));
    }
    io.outputs.iter().zip(outputs).find_map(|(declared, output)| {
        let (got, want) = match (&declared.kind, output) {
            (OutputKind::Maps, Output::Maps(_)) => return None,
            (OutputKind::Tensor { dtype, .. }, Output::Tensor(tensor))
                if *dtype == tensor.dtype() =>
            {
                return None;
            }
            (OutputKind::Maps, Output::Tensor(tensor)) => (tensor.dtype().name(), "maps"),
            (OutputKind::Tensor { dtype, .. }, Output::Maps(_)) => ("maps", dtype.name()),
            (OutputKind::Tensor { dtype, .. }, Output::Tensor(tensor)) => {
                (tensor.dtype().name(), dtype.name())
            }
        };
        let name = &declared.name;
        Some(format!("for output `{name}` the engine gave {got}, and the graph declares {want}"))
    })
}

/// What is odd about the outputs, though they can be answered with: one sentence each.
pub(super) fn remarks(io: &GraphIo, outputs: &[Output]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (declared, output) in io.outputs.iter().zip(outputs) {
        let name = &declared.name;
        // A scalar and a shape that is not declared look the same.
        if let (OutputKind::Tensor { dims, .. }, Output::Tensor(tensor)) = (&declared.kind, output)
            && dims.rank() > 0
            && !dims.accepts(tensor.shape())
        {
            let shape = tensor.shape();
            remarks.push(format!("output `{name}` has shape {shape:?}, and declares {dims}"));
        }
        match not_finite(output) {
            0 => {}
            1 => remarks.push(format!("output `{name}` holds a number that is not finite")),
            count => {
                remarks.push(format!("output `{name}` holds {count} numbers that are not finite"));
            }
        }
    }
    remarks
}

fn not_finite(output: &Output) -> usize {
    let in_maps = |maps: &ClassMaps| {
        let values = maps.rows(0..maps.len()).flat_map(|row| row.values.iter());
        values.filter(|value| !value.is_finite()).count()
    };
    match output {
        Output::Maps(maps) => in_maps(maps),
        Output::Tensor(Tensor::F16(array)) => array.iter().filter(|x| !x.is_finite()).count(),
        Output::Tensor(Tensor::F32(array)) => array.iter().filter(|x| !x.is_finite()).count(),
        Output::Tensor(Tensor::F64(array)) => array.iter().filter(|x| !x.is_finite()).count(),
        Output::Tensor(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClassKey, GraphOutput};
    use crate::tensor::{DType, Dim, Dims, Element};

    fn io(kinds: Vec<OutputKind>) -> GraphIo {
        let names = ["label", "scores"].into_iter().map(str::to_owned);
        let outputs = names.zip(kinds).map(|(name, kind)| GraphOutput { name, kind }).collect();
        GraphIo { inputs: Vec::new(), outputs }
    }

    fn tensor(dtype: DType, dims: &[Dim]) -> OutputKind {
        OutputKind::Tensor { dtype, dims: Dims(dims.to_vec()) }
    }

    fn made<T: Element>(shape: &[usize], values: Vec<T>) -> Output {
        Output::Tensor(Tensor::from_vec(shape, values).unwrap())
    }

    fn maps(value: f64) -> Output {
        let mut maps = ClassMaps::default();
        maps.push([(ClassKey::Int(0), value), (ClassKey::Int(1), 1.0)]);
        Output::Maps(maps)
    }

    #[test]
    fn an_output_of_another_type_is_named() {
        let float = tensor(DType::F32, &[Dim::Any]);
        let one = io(vec![float.clone()]);
        let both = io(vec![tensor(DType::I64, &[Dim::Any]), OutputKind::Maps]);
        let cases = [
            (&one, vec![made(&[2], vec![1_f32, 2.0])], None),
            // Whatever the shape.
            (&one, vec![made(&[1, 2, 1], vec![1_f32, 2.0])], None),
            (
                &one,
                vec![made(&[1], vec![1_f64])],
                Some("for output `label` the engine gave float64, and the graph declares float32"),
            ),
            (
                &one,
                vec![maps(1.0)],
                Some("for output `label` the engine gave maps, and the graph declares float32"),
            ),
            (&one, vec![], Some("the engine gave 0 outputs, and the graph declares 1")),
            (&both, vec![made(&[1], vec![7_i64]), maps(1.0)], None),
            (
                &both,
                vec![made(&[1], vec![7_i64]), made(&[1], vec![7_i64])],
                Some("for output `scores` the engine gave int64, and the graph declares maps"),
            ),
        ];
        for (io, outputs, want) in cases {
            assert_eq!(malformed(io, &outputs).as_deref(), want);
        }
    }

    #[test]
    fn what_is_legal_but_odd_is_remarked() {
        let fixed = tensor(DType::F64, &[Dim::Any, Dim::Fixed(2)]);
        let io = io(vec![fixed, OutputKind::Maps]);
        let fine = [made(&[1, 2], vec![1.0, 2.0]), maps(0.5)];
        assert_eq!(remarks(&io, &fine), [""; 0]);
        let odd = [made(&[1, 3], vec![f64::NAN, f64::INFINITY, 1.0]), maps(f64::NEG_INFINITY)];
        assert_eq!(
            remarks(&io, &odd),
            [
                "output `label` has shape [1, 3], and declares (-1, 2)",
                "output `label` holds 2 numbers that are not finite",
                "output `scores` holds a number that is not finite",
            ]
        );
        let undeclared = super::tests::io(vec![tensor(DType::F64, &[])]);
        assert_eq!(remarks(&undeclared, &fine[..1]), [""; 0]);
    }
}
