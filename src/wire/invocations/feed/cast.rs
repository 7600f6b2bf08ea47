//! Numbers in the graph's own type.

use half::f16;
use ndarray::ArrayD;

use crate::model::GraphInput;
use crate::tensor::{DType, Element, Tensor};
use crate::wire::invocations::WireError;
use crate::wire::invocations::numpy::NdArray;
use crate::wire::invocations::value::Value;

/// Whether a number may take the graph's type where MLflow would fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casts {
    /// Only MLflow's own cast, from float64 to float32.
    Mlflow,
    /// Also any cast that every value survives exactly (parity policy, P3.2).
    Exact,
}

/// Gives an array the graph input's element type, if the protocol's casts allow.
pub(super) fn to_graph(
    array: NdArray,
    input: &GraphInput,
    casts: Casts,
) -> Result<Tensor, WireError> {
    let refused = |got: &str| {
        Err(WireError::bad_request(format!(
            "input '{}': the model takes {} values, got {got}",
            input.name, input.dtype
        )))
    };
    match array {
        // To ONNX Runtime's Python binding, a NUL ends the text of numpy's own strings.
        NdArray::Tensor(Tensor::Str(mut texts)) if input.dtype == DType::Str => {
            texts.iter_mut().for_each(|text| text.truncate(text.find('\0').unwrap_or(text.len())));
            Ok(Tensor::Str(texts))
        }
        NdArray::Tensor(tensor) if tensor.dtype() == input.dtype => Ok(tensor),
        NdArray::Tensor(Tensor::F64(values)) if input.dtype == DType::F32 => {
            Ok(Tensor::F32(values.mapv(|value| value as f32)))
        }
        NdArray::Tensor(tensor) => {
            let got = tensor.dtype().name();
            match casts {
                Casts::Exact => exact_cast(&tensor, input.dtype).map_or_else(|| refused(got), Ok),
                Casts::Mlflow => refused(got),
            }
        }
        // ONNX Runtime's Python binding takes an object array for strings, by `str(x)`.
        NdArray::Object(cells) if input.dtype == DType::Str => {
            let shape = cells.shape().to_vec();
            let texts = cells.into_iter().map(|cell| match cell {
                Value::Str(text) => Some(text),
                other => other.to_text(),
            });
            let texts = texts.collect::<Option<Vec<_>>>();
            texts
                .and_then(|texts| Tensor::from_vec(&shape, texts))
                .map_or_else(|| refused("text that is not valid Unicode"), Ok)
        }
        other => refused(other.dtype_name()),
    }
}

/// Up to here a double is sure to be the number that the request gave: beyond, an integer among
/// fractions may have been rounded.
const SURE_MAX: f64 = 9_007_199_254_740_992.0;

/// The values of a number tensor in a type that holds them all.
enum Wide {
    Ints(ArrayD<i128>),
    Floats(ArrayD<f64>),
}

impl Wide {
    fn of(tensor: &Tensor) -> Option<Self> {
        Some(match tensor {
            Tensor::I8(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::I16(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::I32(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::I64(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::U8(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::U16(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::U32(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::U64(a) => Self::Ints(a.mapv(i128::from)),
            Tensor::F16(a) => Self::Floats(a.mapv(f64::from)),
            Tensor::F32(a) => Self::Floats(a.mapv(f64::from)),
            Tensor::F64(a) => Self::Floats(a.clone()),
            Tensor::Bool(_) | Tensor::Str(_) => return None,
        })
    }

    fn to_ints<T: Element + TryFrom<i128>>(&self) -> Option<Tensor> {
        match self {
            Self::Ints(array) => each(array, |value| T::try_from(value).ok()),
            Self::Floats(array) => each(array, |value| {
                let whole = value as i128;
                let exact = whole as f64 == value && value.abs() <= SURE_MAX;
                exact.then(|| T::try_from(whole).ok()).flatten()
            }),
        }
    }

    /// `narrow` rounds to the wanted type, `widen` is exact.
    fn to_floats<T: Element + Copy>(
        &self,
        narrow: fn(f64) -> T,
        widen: fn(T) -> f64,
    ) -> Option<Tensor> {
        match self {
            Self::Ints(array) => each(array, |value| {
                let cast = narrow(value as f64);
                ((value as f64) as i128 == value && widen(cast) == value as f64).then_some(cast)
            }),
            Self::Floats(array) => each(array, |value| {
                let cast = narrow(value);
                (widen(cast) == value || value.is_nan()).then_some(cast)
            }),
        }
    }
}

fn each<A: Copy, B: Element>(array: &ArrayD<A>, cast: impl Fn(A) -> Option<B>) -> Option<Tensor> {
    let values = array.iter().map(|&value| cast(value)).collect::<Option<Vec<B>>>()?;
    Tensor::from_vec(array.shape(), values)
}

/// A number tensor in another number type, if every value survives the way there and back.
fn exact_cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
    let wide = Wide::of(tensor)?;
    match to {
        DType::I8 => wide.to_ints::<i8>(),
        DType::I16 => wide.to_ints::<i16>(),
        DType::I32 => wide.to_ints::<i32>(),
        DType::I64 => wide.to_ints::<i64>(),
        DType::U8 => wide.to_ints::<u8>(),
        DType::U16 => wide.to_ints::<u16>(),
        DType::U32 => wide.to_ints::<u32>(),
        DType::U64 => wide.to_ints::<u64>(),
        DType::F16 => wide.to_floats(f16::from_f64, f64::from),
        DType::F32 => wide.to_floats(|value| value as f32, f64::from),
        DType::F64 => wide.to_floats(|value| value, |value| value),
        DType::Bool | DType::Str => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Dim, Dims};

    fn cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
        exact_cast(tensor, to)
    }

    fn floats(values: &[f64]) -> Tensor {
        Tensor::from_vec(&[values.len()], values.to_vec()).unwrap()
    }

    fn longs(values: &[i64]) -> Tensor {
        Tensor::from_vec(&[values.len()], values.to_vec()).unwrap()
    }

    #[test]
    fn a_nul_ends_numpys_own_strings() {
        let input = GraphInput { name: "s".into(), dtype: DType::Str, dims: Dims(vec![Dim::Any]) };
        let texts = || vec!["a\0b".to_owned(), "\0".to_owned(), "c".to_owned()];
        let array = NdArray::Tensor(Tensor::from_vec(&[3], texts()).unwrap());
        let cut = vec!["a".to_owned(), String::new(), "c".to_owned()];
        assert_eq!(
            to_graph(array, &input, Casts::Mlflow).unwrap(),
            Tensor::from_vec(&[3], cut).unwrap()
        );
        let cells = texts().into_iter().map(Value::Str).collect();
        let array = NdArray::Object(ArrayD::from_shape_vec(vec![3], cells).unwrap());
        assert_eq!(
            to_graph(array, &input, Casts::Mlflow).unwrap(),
            Tensor::from_vec(&[3], texts()).unwrap()
        );
    }

    #[test]
    fn only_values_that_survive_are_cast() {
        assert_eq!(
            cast(&longs(&[1, -16_777_216]), DType::F32),
            Tensor::from_vec(&[2], vec![1_f32, -16_777_216.0])
        );
        assert_eq!(cast(&longs(&[16_777_217]), DType::F32), None);
        assert_eq!(cast(&longs(&[i64::MAX]), DType::F64), None);
        assert_eq!(cast(&floats(&[9_007_199_254_740_994.0]), DType::I64), None);
        assert_eq!(
            cast(&longs(&[i64::MAX]), DType::U64),
            Tensor::from_vec(&[1], vec![i64::MAX as u64])
        );
        assert_eq!(cast(&longs(&[-1]), DType::U64), None);
        assert_eq!(cast(&longs(&[256]), DType::U8), None);
        assert_eq!(cast(&floats(&[2.0, -0.0]), DType::I64), Some(longs(&[2, 0])));
        assert_eq!(cast(&floats(&[2.5]), DType::I64), None);
        assert_eq!(cast(&floats(&[f64::NAN]), DType::I64), None);
        assert_eq!(cast(&floats(&[0.1]), DType::F32), None);
        assert!(cast(&floats(&[0.5, f64::NAN, f64::INFINITY]), DType::F16).is_some());
    }
}
