//! Tensors of ours into ONNX Runtime's values and back.

use std::ffi::c_char;
use std::fmt::Debug;
use std::hash::Hash;
use std::ptr;

use ndarray::{ArrayD, IxDyn};
use ort::AsPointer as _;
use ort::value::{
    DynMap, DynMapValueType, DynValue, IntoTensorElementType, PrimitiveTensorElementType,
    SequenceValueType, Tensor as OrtTensor, TensorElementType, ValueType,
};

use crate::model::{ClassKey, ClassMaps, Output, OutputKind};
use crate::tensor::{DType, Element, Tensor};

/// The element type of ours, if there is one.
pub(super) fn dtype(ty: TensorElementType) -> Option<DType> {
    Some(match ty {
        TensorElementType::Bool => DType::Bool,
        TensorElementType::Int8 => DType::I8,
        TensorElementType::Int16 => DType::I16,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Uint16 => DType::U16,
        TensorElementType::Uint32 => DType::U32,
        TensorElementType::Uint64 => DType::U64,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::String => DType::Str,
        _ => return None,
    })
}

/// Whether a type is a sequence of maps that [`into_output`] can read.
pub(super) fn is_maps(ty: &ValueType) -> bool {
    let ValueType::Sequence(item) = ty else { return false };
    let ValueType::Map { key, value } = **item else { return false };
    matches!(key, TensorElementType::Int64 | TensorElementType::String)
        && matches!(value, TensorElementType::Float32 | TensorElementType::Float64)
}

/// Hands a tensor over: numbers without a copy, strings copied.
pub(super) fn from_tensor(tensor: Tensor) -> ort::Result<DynValue> {
    match tensor {
        Tensor::Bool(array) => numbers(array),
        Tensor::I8(array) => numbers(array),
        Tensor::I16(array) => numbers(array),
        Tensor::I32(array) => numbers(array),
        Tensor::I64(array) => numbers(array),
        Tensor::U8(array) => numbers(array),
        Tensor::U16(array) => numbers(array),
        Tensor::U32(array) => numbers(array),
        Tensor::U64(array) => numbers(array),
        Tensor::F16(array) => numbers(array),
        Tensor::F32(array) => numbers(array),
        Tensor::F64(array) => numbers(array),
        Tensor::Str(array) => strings(array),
    }
}

fn numbers<T>(array: ArrayD<T>) -> ort::Result<DynValue>
where
    T: PrimitiveTensorElementType + Debug + Clone + 'static,
{
    OrtTensor::from_array(array).map(OrtTensor::into_dyn)
}

/// Copies strings over. ort takes C strings, which end at a NUL; the rare strings that hold one
/// go in a second step.
fn strings(mut array: ArrayD<String>) -> ort::Result<DynValue> {
    let mut with_nul = Vec::new();
    for (at, text) in array.iter_mut().enumerate() {
        if text.contains('\0') {
            with_nul.push((at, std::mem::take(text)));
        }
    }
    let mut tensor = OrtTensor::from_string_array(&array)?;
    for (at, text) in with_nul {
        put_string(&mut tensor, at, &text)?;
    }
    Ok(tensor.into_dyn())
}

/// Sets one element of a string tensor to a text with NULs.
#[expect(unsafe_code, reason = "ort has no safe call that takes strings with NULs")]
fn put_string(tensor: &mut OrtTensor<String>, at: usize, text: &str) -> ort::Result<()> {
    let mut buffer: *mut c_char = ptr::null_mut();
    // SAFETY: the tensor is ours and alive, and borrowed mutably. "This API resizes String Tensor
    // element to requested amount of bytes (UTF-8) and returns a pointer to the resized buffer"
    // (ONNX Runtime's C API, since 1.15): on success the buffer has room for `text`, which is
    // copied before anything else can touch the tensor. An index out of range is an error status.
    unsafe {
        ort::Error::result_from_status((ort::api().GetResizedStringTensorElementBuffer)(
            tensor.ptr_mut(),
            at,
            text.len(),
            &raw mut buffer,
        ))?;
        ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), text.len());
    }
    Ok(())
}

/// Copies a value out of ONNX Runtime's memory. The error is a reason without the output's name.
pub(super) fn into_output(value: &DynValue, kind: &OutputKind) -> Result<Output, String> {
    match kind {
        OutputKind::Tensor { .. } => to_tensor(value).map(Output::Tensor),
        OutputKind::Maps => to_maps(value).map(Output::Maps),
    }
}

fn to_tensor(value: &DynValue) -> Result<Tensor, String> {
    // The value's own type: a graph may declare another one than its last node computes.
    match value.dtype().tensor_type() {
        Some(TensorElementType::Bool) => copied::<bool>(value),
        Some(TensorElementType::Int8) => copied::<i8>(value),
        Some(TensorElementType::Int16) => copied::<i16>(value),
        Some(TensorElementType::Int32) => copied::<i32>(value),
        Some(TensorElementType::Int64) => copied::<i64>(value),
        Some(TensorElementType::Uint8) => copied::<u8>(value),
        Some(TensorElementType::Uint16) => copied::<u16>(value),
        Some(TensorElementType::Uint32) => copied::<u32>(value),
        Some(TensorElementType::Uint64) => copied::<u64>(value),
        Some(TensorElementType::Float16) => copied::<half::f16>(value),
        Some(TensorElementType::Float32) => copied::<f32>(value),
        Some(TensorElementType::Float64) => copied::<f64>(value),
        Some(TensorElementType::String) => {
            let (shape, strings) = value.try_extract_strings().map_err(text)?;
            shaped(shape, strings)
        }
        _ => Err(format!("a {} came out", value.dtype())),
    }
}

fn copied<T: PrimitiveTensorElementType + Element>(value: &DynValue) -> Result<Tensor, String> {
    let (shape, numbers) = value.try_extract_tensor::<T>().map_err(text)?;
    shaped(shape, numbers.to_vec())
}

fn shaped<T: Element>(shape: &[i64], values: Vec<T>) -> Result<Tensor, String> {
    let sizes: Option<Vec<_>> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    sizes
        .and_then(|sizes| ArrayD::from_shape_vec(IxDyn(&sizes), values).ok())
        .map(T::wrap)
        .ok_or_else(|| format!("shape {shape:?} does not fit its values"))
}

/// Reads one row after the other, so that no more than one of ONNX Runtime's copies exists.
fn to_maps(value: &DynValue) -> Result<ClassMaps, String> {
    let rows = value.view().downcast::<SequenceValueType<DynMapValueType>>().map_err(text)?;
    let mut maps = ClassMaps::default();
    for i in 0..rows.len() {
        let row = rows.get(i).ok_or_else(|| format!("row {i} cannot be read"))?;
        match row.dtype() {
            ValueType::Map { key: TensorElementType::Int64, value } => match value {
                TensorElementType::Float64 => push(&mut maps, &row, ClassKey::Int, |v: f64| v)?,
                _ => push(&mut maps, &row, ClassKey::Int, |v: f32| f64::from(v))?,
            },
            ValueType::Map { value: TensorElementType::Float64, .. } => {
                push(&mut maps, &row, ClassKey::Str, |v: f64| v)?;
            }
            _ => push(&mut maps, &row, ClassKey::Str, |v: f32| f64::from(v))?,
        }
    }
    Ok(maps)
}

fn push<K, V>(
    maps: &mut ClassMaps,
    row: &DynMap,
    key: fn(K) -> ClassKey,
    number: fn(V) -> f64,
) -> Result<(), String>
where
    K: IntoTensorElementType + Clone + Hash + Eq,
    V: PrimitiveTensorElementType + Clone,
{
    let entries = row.try_extract_key_values::<K, V>().map_err(text)?;
    maps.push(entries.into_iter().map(|(k, v)| (key(k), number(v))));
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn text(error: ort::Error) -> String {
    error.message().to_owned()
}
