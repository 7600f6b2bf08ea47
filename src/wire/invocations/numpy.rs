//! `numpy.array(data, dtype)` for values that came from JSON.

use half::f16;
use ndarray::ArrayD;
use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::datetime::is_datetime64_array_element;
use super::value::{NotConvertible, Value};
use crate::tensor::{DType, Element, Tensor};
use crate::with_array;

/// Most dimensions that numpy gives an array.
const RANK_MAX: usize = 64;

/// A numpy array.
#[derive(Clone, Debug, PartialEq)]
pub enum NdArray {
    /// Numbers, booleans, or `str` (numpy's `<U`).
    Tensor(Tensor),
    /// `datetime64[ns]`.
    Datetime(ArrayD<i64>),
    /// numpy's `S`.
    Bytes(ArrayD<Vec<u8>>),
    Object(ArrayD<Value>),
}

/// The element type asked of [`array()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Let numpy choose from the values.
    Inferred,
    Tensor(DType),
    Datetime,
    Bytes,
}

/// Why the values do not become an array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    #[error("expected lists of equal length at every level")]
    Ragged,
    #[error("expected at most {RANK_MAX} levels of nested lists")]
    TooDeep,
    #[error("expected {want} values, got {got}")]
    Element { want: &'static str, got: &'static str },
    #[error("expected {want} values, got a number out of range")]
    Range { want: &'static str },
}

impl NdArray {
    /// Sizes of the dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Tensor(tensor) => tensor.shape(),
            Self::Datetime(array) => array.shape(),
            Self::Bytes(array) => array.shape(),
            Self::Object(array) => array.shape(),
        }
    }

    /// `array.reshape(shape)`; `None` where the shape has another number of elements.
    #[must_use]
    pub fn reshape(self, shape: &[usize]) -> Option<Self> {
        Some(match self {
            Self::Tensor(tensor) => Self::Tensor(with_array!(tensor, array => {
                Element::wrap(array.into_shape_with_order(shape).ok()?)
            })),
            Self::Datetime(array) => Self::Datetime(array.into_shape_with_order(shape).ok()?),
            Self::Bytes(array) => Self::Bytes(array.into_shape_with_order(shape).ok()?),
            Self::Object(array) => Self::Object(array.into_shape_with_order(shape).ok()?),
        })
    }

    /// The numpy dtype's name.
    #[must_use]
    pub const fn dtype_name(&self) -> &'static str {
        match self {
            Self::Tensor(tensor) => tensor.dtype().name(),
            Self::Datetime(_) => "datetime64[ns]",
            Self::Bytes(_) => "bytes",
            Self::Object(_) => "object",
        }
    }

    /// The elements as Python values, in row-major order (`array.ravel().tolist()`).
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        match self {
            Self::Tensor(tensor) => tensor_values(tensor),
            Self::Datetime(array) => {
                array.iter().map(|_| Value::Other("numpy.datetime64")).collect()
            }
            Self::Bytes(array) => array.iter().cloned().map(Value::Bytes).collect(),
            Self::Object(array) => array.iter().cloned().collect(),
        }
    }

    /// The array as nested lists (`array.tolist()`): the bare element where the rank is 0.
    #[must_use]
    pub fn to_list(&self) -> Value {
        fn nest(shape: &[usize], values: &mut impl Iterator<Item = Value>) -> Value {
            match shape.split_first() {
                None => values.next().unwrap_or(Value::None),
                Some((&size, inner)) => {
                    Value::List((0..size).map(|_| nest(inner, values)).collect())
                }
            }
        }
        nest(self.shape(), &mut self.values().into_iter())
    }
}

fn tensor_values(tensor: &Tensor) -> Vec<Value> {
    match tensor {
        Tensor::Bool(a) => a.iter().map(|&v| Value::Bool(v)).collect(),
        Tensor::I8(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::I16(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::I32(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::I64(a) => a.iter().map(|&v| Value::Int(v)).collect(),
        Tensor::U8(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::U16(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::U32(a) => a.iter().map(|&v| Value::Int(v.into())).collect(),
        Tensor::U64(a) => a.iter().map(|&v| unsigned(v)).collect(),
        Tensor::F16(a) => a.iter().map(|&v| Value::Float(v.into())).collect(),
        Tensor::F32(a) => a.iter().map(|&v| Value::Float(v.into())).collect(),
        Tensor::F64(a) => a.iter().map(|&v| Value::Float(v)).collect(),
        Tensor::Str(a) => a.iter().map(|v| Value::Str(v.clone())).collect(),
    }
}

/// An unsigned integer as a Python value.
#[must_use]
pub fn unsigned(value: u64) -> Value {
    i64::try_from(value).map_or_else(|_| Value::BigInt(Box::new(value.into())), Value::Int)
}

/// `numpy.array(data, dtype)`. A scalar becomes an array of rank 0.
///
/// # Errors
/// Where numpy raises: lists of unequal length, values that do not convert or do not fit.
pub fn array(data: &Value, want: ElementType) -> Result<NdArray, ArrayError> {
    let (shape, leaves) = flatten(data)?;
    match want {
        ElementType::Inferred => infer(&shape, &leaves),
        ElementType::Tensor(dtype) => tensor(&shape, &leaves, dtype).map(NdArray::Tensor),
        ElementType::Datetime => {
            collect(&shape, &leaves, "datetime", to_datetime_ns).map(NdArray::Datetime)
        }
        ElementType::Bytes => collect(&shape, &leaves, "ASCII text", to_ascii).map(NdArray::Bytes),
    }
}

/// The shape of nested lists, and their leaves in row-major order.
///
/// # Errors
/// When lists on one level differ in length, or lists and other values share a level.
pub fn flatten(data: &Value) -> Result<(Vec<usize>, Vec<&Value>), ArrayError> {
    fn descend<'a>(
        value: &'a Value,
        depth: usize,
        shape: &mut Vec<usize>,
        leaf_depth: &mut Option<usize>,
        leaves: &mut Vec<&'a Value>,
    ) -> Result<(), ArrayError> {
        let (Value::List(items) | Value::Array(items)) = value else {
            if *leaf_depth.get_or_insert(depth) != depth || shape.len() != depth {
                return Err(ArrayError::Ragged);
            }
            leaves.push(value);
            return Ok(());
        };
        if depth == RANK_MAX {
            return Err(ArrayError::TooDeep);
        }
        match shape.get(depth) {
            Some(&size) if size != items.len() => return Err(ArrayError::Ragged),
            Some(_) => {}
            None if leaf_depth.is_some() || shape[..depth].contains(&0) => {
                return Err(ArrayError::Ragged);
            }
            None => shape.push(items.len()),
        }
        items.iter().try_for_each(|item| descend(item, depth + 1, shape, leaf_depth, leaves))
    }
    let (mut shape, mut leaves) = (Vec::new(), Vec::new());
    descend(data, 0, &mut shape, &mut None, &mut leaves)?;
    // A list of only empty lists fixes its depth by the first; deeper ones differ.
    let size: usize = shape.iter().product();
    if size == leaves.len() { Ok((shape, leaves)) } else { Err(ArrayError::Ragged) }
}

fn tensor(shape: &[usize], leaves: &[&Value], dtype: DType) -> Result<Tensor, ArrayError> {
    fn of<T: Element>(
        shape: &[usize],
        leaves: &[&Value],
        convert: impl Fn(&Value) -> Result<T, NotConvertible>,
    ) -> Result<Tensor, ArrayError> {
        collect(shape, leaves, T::DTYPE.name(), convert).map(T::wrap)
    }
    match dtype {
        DType::Bool => of(shape, leaves, |v| Ok(v.truthy())),
        DType::I8 => of(shape, leaves, |v| to_integer(v, BigInt::to_i8, |i| i.try_into().ok())),
        DType::I16 => of(shape, leaves, |v| to_integer(v, BigInt::to_i16, |i| i.try_into().ok())),
        DType::I32 => of(shape, leaves, |v| to_integer(v, BigInt::to_i32, |i| i.try_into().ok())),
        DType::I64 => of(shape, leaves, |v| to_integer(v, BigInt::to_i64, Some)),
        DType::U8 => of(shape, leaves, |v| to_integer(v, BigInt::to_u8, |i| i.try_into().ok())),
        DType::U16 => of(shape, leaves, |v| to_integer(v, BigInt::to_u16, |i| i.try_into().ok())),
        DType::U32 => of(shape, leaves, |v| to_integer(v, BigInt::to_u32, |i| i.try_into().ok())),
        DType::U64 => of(shape, leaves, |v| to_integer(v, BigInt::to_u64, |i| i.try_into().ok())),
        DType::F16 => of(shape, leaves, |v| v.to_float().map(f16::from_f64)),
        DType::F32 => of(shape, leaves, |v| v.to_float().map(|f| f as f32)),
        DType::F64 => of(shape, leaves, Value::to_float),
        DType::Str => of(shape, leaves, to_numpy_str),
    }
}

fn collect<T>(
    shape: &[usize],
    leaves: &[&Value],
    want: &'static str,
    convert: impl Fn(&Value) -> Result<T, NotConvertible>,
) -> Result<ArrayD<T>, ArrayError> {
    let elements = leaves.iter().map(|&leaf| {
        convert(leaf).map_err(|why| match why {
            NotConvertible::Type => ArrayError::Element { want, got: leaf.type_name() },
            NotConvertible::Range => ArrayError::Range { want },
        })
    });
    let elements = elements.collect::<Result<Vec<T>, _>>()?;
    Ok(ArrayD::from_shape_vec(shape, elements).expect("flatten counts the leaves of the shape"))
}

/// An integer element: numpy 2 refuses what does not fit.
pub(super) fn to_integer<T>(
    value: &Value,
    from_big: impl Fn(&BigInt) -> Option<T>,
    from_small: impl Fn(i64) -> Option<T>,
) -> Result<T, NotConvertible> {
    match value {
        Value::Int(small) => from_small(*small).ok_or(NotConvertible::Range),
        other => from_big(&other.to_int()?).ok_or(NotConvertible::Range),
    }
}

/// A `<U` element: `str(x)` without trailing NULs, which numpy pads with.
fn to_numpy_str(value: &Value) -> Result<String, NotConvertible> {
    let mut text = value.to_text().ok_or(NotConvertible::Type)?;
    text.truncate(text.trim_end_matches('\0').len());
    Ok(text)
}

/// An `S` element: `str(x)` in ASCII.
fn to_ascii(value: &Value) -> Result<Vec<u8>, NotConvertible> {
    let text = to_numpy_str(value)?;
    if text.is_ascii() { Ok(text.into_bytes()) } else { Err(NotConvertible::Type) }
}

/// A `datetime64[ns]` element: nanoseconds as an integer, or ISO text.
fn to_datetime_ns(value: &Value) -> Result<i64, NotConvertible> {
    match value {
        Value::None => Ok(super::frame::NAT),
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Int(value) => Ok(*value),
        Value::BigInt(_) => Err(NotConvertible::Range),
        // No graph takes datetimes, so which one it is does not matter.
        Value::Str(text) if is_datetime64_array_element(text) => Ok(0),
        _ => Err(NotConvertible::Type),
    }
}

/// The element type that numpy finds for values of mixed types.
fn infer(shape: &[usize], leaves: &[&Value]) -> Result<NdArray, ArrayError> {
    #[derive(Default)]
    #[expect(clippy::struct_excessive_bools, reason = "which kinds of value occur")]
    struct Seen {
        bool: bool,
        int: bool,
        wide_int: bool,
        float: bool,
        text: bool,
        object: bool,
    }
    let mut seen = Seen::default();
    for leaf in leaves {
        match leaf {
            Value::Bool(_) => seen.bool = true,
            Value::Int(_) => seen.int = true,
            Value::BigInt(value) if value.to_u64().is_some() => seen.wide_int = true,
            Value::Float(_) => seen.float = true,
            Value::Str(_) => seen.text = true,
            _ => seen.object = true,
        }
    }
    let numeric = seen.bool || seen.int || seen.wide_int || seen.float;
    let dtype = if seen.object {
        let elements = leaves.iter().map(|&leaf| leaf.clone()).collect();
        let elements = ArrayD::from_shape_vec(shape, elements);
        return Ok(NdArray::Object(elements.expect("flatten counts the leaves of the shape")));
    } else if seen.text {
        DType::Str
    } else if seen.float || !numeric || (seen.wide_int && seen.int) {
        DType::F64
    } else if seen.wide_int {
        DType::U64
    } else if seen.int {
        DType::I64
    } else {
        DType::Bool
    };
    tensor(shape, leaves, dtype).map(NdArray::Tensor)
}

/// `numpy.stack` of arrays that one conversion made: equal shapes and element types.
/// `None` when they differ.
#[must_use]
pub fn stack(arrays: &[NdArray]) -> Option<NdArray> {
    fn joined<T: Clone>(
        arrays: &[NdArray],
        part: impl Fn(&NdArray) -> Option<&ArrayD<T>>,
    ) -> Option<ArrayD<T>> {
        let views = arrays.iter().map(|array| part(array).map(|part| part.view()));
        ndarray::stack(ndarray::Axis(0), &views.collect::<Option<Vec<_>>>()?).ok()
    }
    /// Of the element type of `_first`.
    fn tensors<T: Element>(_first: &ArrayD<T>, arrays: &[NdArray]) -> Option<Tensor> {
        joined(arrays, |array| match array {
            NdArray::Tensor(tensor) => T::unwrap_ref(tensor),
            _ => None,
        })
        .map(T::wrap)
    }
    macro_rules! like {
        ($variant:ident) => {
            joined(arrays, |array| match array {
                NdArray::$variant(array) => Some(array),
                _ => None,
            })
            .map(NdArray::$variant)
        };
    }
    match arrays.first()? {
        NdArray::Tensor(tensor) => {
            with_array!(tensor, first => tensors(first, arrays)).map(NdArray::Tensor)
        }
        NdArray::Datetime(_) => like!(Datetime),
        NdArray::Bytes(_) => like!(Bytes),
        NdArray::Object(_) => like!(Object),
    }
}
