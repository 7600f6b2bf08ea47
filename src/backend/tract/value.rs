//! Tensors of ours into tract's and back.

use half::f16;
use tract_onnx::prelude::{
    Datum, SymbolValues, TDim, TValue, Tensor as TractTensor, TractError, TractResult,
};

use crate::tensor::{DType, Element, Tensor};
use crate::with_array;

pub(super) fn from_tensor(tensor: Tensor) -> TValue {
    with_array!(tensor, array => TractTensor::from(array).into())
}

/// Copies a value out, as the declared type: tract computes sizes and labels in types of its own,
/// and may leave sizes as expressions in the symbols of the inputs.
pub(super) fn into_tensor(
    value: &TractTensor,
    dtype: DType,
    sizes: &SymbolValues,
) -> TractResult<Tensor> {
    let numbers;
    let value = if value.datum_type() == TDim::datum_type() {
        let expressions = value.to_plain_array_view::<TDim>()?;
        let shape = expressions.raw_dim();
        let computed = expressions.iter().map(|size| Ok(size.eval(sizes).to_i64()?));
        let computed: Vec<i64> = computed.collect::<Result<_, TractError>>()?;
        numbers = TractTensor::from(ndarray::ArrayD::from_shape_vec(shape, computed)?);
        &numbers
    } else {
        value
    };
    match dtype {
        DType::Bool => copied::<bool>(value),
        DType::I8 => copied::<i8>(value),
        DType::I16 => copied::<i16>(value),
        DType::I32 => copied::<i32>(value),
        DType::I64 => copied::<i64>(value),
        DType::U8 => copied::<u8>(value),
        DType::U16 => copied::<u16>(value),
        DType::U32 => copied::<u32>(value),
        DType::U64 => copied::<u64>(value),
        DType::F16 => copied::<f16>(value),
        DType::F32 => copied::<f32>(value),
        DType::F64 => copied::<f64>(value),
        DType::Str => copied::<String>(value),
    }
}

fn copied<T: Datum + Element>(value: &TractTensor) -> TractResult<Tensor> {
    Ok(T::wrap(value.cast_to::<T>()?.to_plain_array_view::<T>()?.as_standard_layout().into_owned()))
}

/// A sample of zeros, `false` or empty strings.
pub(super) fn zeros(dtype: DType, shape: &[usize]) -> Tensor {
    fn filled<T: Element + Default>(shape: &[usize]) -> Tensor {
        T::wrap(ndarray::ArrayD::from_elem(shape, T::default()))
    }
    match dtype {
        DType::Bool => filled::<bool>(shape),
        DType::I8 => filled::<i8>(shape),
        DType::I16 => filled::<i16>(shape),
        DType::I32 => filled::<i32>(shape),
        DType::I64 => filled::<i64>(shape),
        DType::U8 => filled::<u8>(shape),
        DType::U16 => filled::<u16>(shape),
        DType::U32 => filled::<u32>(shape),
        DType::U64 => filled::<u64>(shape),
        DType::F16 => filled::<f16>(shape),
        DType::F32 => filled::<f32>(shape),
        DType::F64 => filled::<f64>(shape),
        DType::Str => filled::<String>(shape),
    }
}
