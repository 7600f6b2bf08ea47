//! The tensor: an owned, row-major array of one element type.

use half::f16;
use ndarray::ArrayD;

use super::DType;

/// An owned array in standard (row-major, contiguous) layout. Axis 0 is the batch axis of
/// everything a model reads or writes; its length is the tensor's number of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    Bool(ArrayD<bool>),
    I8(ArrayD<i8>),
    I16(ArrayD<i16>),
    I32(ArrayD<i32>),
    I64(ArrayD<i64>),
    U8(ArrayD<u8>),
    U16(ArrayD<u16>),
    U32(ArrayD<u32>),
    U64(ArrayD<u64>),
    F16(ArrayD<f16>),
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    Str(ArrayD<String>),
}

/// A Rust type that is the element of some tensor.
pub trait Element: Clone + Sized {
    const DTYPE: DType;
    /// Wraps an array as a tensor.
    fn wrap(array: ArrayD<Self>) -> Tensor;
    /// The array inside, if the tensor has this element type.
    fn unwrap_ref(tensor: &Tensor) -> Option<&ArrayD<Self>>;
}

macro_rules! elements {
    ($($variant:ident => $ty:ty),* $(,)?) => {
        $(impl Element for $ty {
            const DTYPE: DType = DType::$variant;
            fn wrap(array: ArrayD<Self>) -> Tensor {
                Tensor::$variant(array)
            }
            fn unwrap_ref(tensor: &Tensor) -> Option<&ArrayD<Self>> {
                if let Tensor::$variant(array) = tensor { Some(array) } else { None }
            }
        })*

        impl Tensor {
            /// Element type.
            #[must_use]
            pub const fn dtype(&self) -> DType {
                match self {
                    $(Self::$variant(_) => DType::$variant,)*
                }
            }

            /// Sizes of the dimensions, outermost first.
            #[must_use]
            pub fn shape(&self) -> &[usize] {
                match self {
                    $(Self::$variant(array) => array.shape(),)*
                }
            }
        }
    };
}

elements! {
    Bool => bool, I8 => i8, I16 => i16, I32 => i32, I64 => i64,
    U8 => u8, U16 => u16, U32 => u32, U64 => u64,
    F16 => f16, F32 => f32, F64 => f64, Str => String,
}

/// Calls `$body` with `$array` bound to the `ArrayD` inside a tensor, whatever its type.
#[macro_export]
macro_rules! with_array {
    ($tensor:expr, $array:ident => $body:expr) => {
        match $tensor {
            $crate::tensor::Tensor::Bool($array) => $body,
            $crate::tensor::Tensor::I8($array) => $body,
            $crate::tensor::Tensor::I16($array) => $body,
            $crate::tensor::Tensor::I32($array) => $body,
            $crate::tensor::Tensor::I64($array) => $body,
            $crate::tensor::Tensor::U8($array) => $body,
            $crate::tensor::Tensor::U16($array) => $body,
            $crate::tensor::Tensor::U32($array) => $body,
            $crate::tensor::Tensor::U64($array) => $body,
            $crate::tensor::Tensor::F16($array) => $body,
            $crate::tensor::Tensor::F32($array) => $body,
            $crate::tensor::Tensor::F64($array) => $body,
            $crate::tensor::Tensor::Str($array) => $body,
        }
    };
}

impl Tensor {
    /// A tensor of `shape` over `values` in row-major order; `None` if the counts differ.
    #[must_use]
    pub fn from_vec<T: Element>(shape: &[usize], values: Vec<T>) -> Option<Self> {
        ArrayD::from_shape_vec(shape, values).ok().map(T::wrap)
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
