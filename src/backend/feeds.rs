//! The check of feeds before a run, the same for every runtime.

use crate::model::{GraphInput, GraphIo};
use crate::tensor::Tensor;

use super::RunError;

/// Checks number, element type, rank and fixed sizes of the feeds against the graph's inputs.
///
/// An input declared without dimensions takes any shape here: a scalar and an undeclared shape
/// look the same, and the runtime knows which it is.
///
/// # Errors
/// The first mismatch, with the input's name.
pub(super) fn check(io: &GraphIo, feeds: &[Tensor]) -> Result<(), RunError> {
    if feeds.len() > io.inputs.len() {
        let (fed, inputs) = (feeds.len(), io.inputs.len());
        return Err(RunError::Failed(format!("{fed} tensors fed to a graph of {inputs} inputs")));
    }
    for (i, input) in io.inputs.iter().enumerate() {
        let reason = match feeds.get(i) {
            None => Some("it is not fed".to_owned()),
            Some(feed) => mismatch(input, feed),
        };
        if let Some(reason) = reason {
            return Err(RunError::Input { input: input.name.clone(), reason });
        }
    }
    Ok(())
}

fn mismatch(input: &GraphInput, feed: &Tensor) -> Option<String> {
    if feed.dtype() != input.dtype {
        return Some(format!("expected {}, got {}", input.dtype, feed.dtype()));
    }
    if input.dims.rank() == 0 || input.dims.accepts(feed.shape()) {
        return None;
    }
    Some(format!("expected shape {}, got {:?}", input.dims, feed.shape()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Dim, Dims};

    fn verdict(dims: Vec<Dim>, feeds: &[Tensor]) -> Result<(), String> {
        let inputs = vec![GraphInput { name: "x".into(), dtype: DType::F32, dims: Dims(dims) }];
        check(&GraphIo { inputs, outputs: vec![] }, feeds).map_err(|error| error.to_string())
    }

    fn f32s(shape: &[usize]) -> Tensor {
        Tensor::from_vec(shape, vec![0_f32; shape.iter().product()]).unwrap()
    }

    #[test]
    fn a_mismatch_names_the_input_what_was_expected_and_what_came() {
        let dims = vec![Dim::Any, Dim::Fixed(4)];
        assert_eq!(verdict(dims.clone(), &[f32s(&[0, 4])]), Ok(()));
        let err = |text: &str| Err(text.to_owned());
        assert_eq!(
            verdict(dims.clone(), &[f32s(&[2, 3])]),
            err("input `x`: expected shape (-1, 4), got [2, 3]")
        );
        assert_eq!(
            verdict(dims.clone(), &[f32s(&[4])]),
            err("input `x`: expected shape (-1, 4), got [4]")
        );
        let i64s = Tensor::from_vec(&[1, 4], vec![0_i64; 4]).unwrap();
        assert_eq!(verdict(dims.clone(), &[i64s]), err("input `x`: expected float32, got int64"));
        assert_eq!(verdict(dims.clone(), &[]), err("input `x`: it is not fed"));
        let two = [f32s(&[1, 4]), f32s(&[1, 4])];
        assert_eq!(verdict(dims, &two), err("2 tensors fed to a graph of 1 inputs"));
    }

    #[test]
    fn an_undeclared_shape_is_left_to_the_runtime() {
        assert_eq!(verdict(vec![], &[f32s(&[2, 3])]), Ok(()));
    }
}
