//! Columns as numpy arrays: `Series.values` and `DataFrame.values`.

use half::f16;
use ndarray::ArrayD;

use crate::tensor::{DType, Tensor};
use crate::wire::invocations::frame::{Frame, Series};
use crate::wire::invocations::numpy::NdArray;

/// A column as an array of rank 1 (`Series.values`).
pub(super) fn array_of(series: Series) -> NdArray {
    fn rank1<T>(values: Vec<T>) -> ArrayD<T> {
        ndarray::Array1::from_vec(values).into_dyn()
    }
    NdArray::Tensor(match series {
        Series::Bool(v) => Tensor::Bool(rank1(v)),
        Series::I8(v) => Tensor::I8(rank1(v)),
        Series::I16(v) => Tensor::I16(rank1(v)),
        Series::I32(v) => Tensor::I32(rank1(v)),
        Series::I64(v) => Tensor::I64(rank1(v)),
        Series::U8(v) => Tensor::U8(rank1(v)),
        Series::U16(v) => Tensor::U16(rank1(v)),
        Series::U32(v) => Tensor::U32(rank1(v)),
        Series::U64(v) => Tensor::U64(rank1(v)),
        Series::F16(v) => Tensor::F16(rank1(v)),
        Series::F32(v) => Tensor::F32(rank1(v)),
        Series::F64(v) => Tensor::F64(rank1(v)),
        Series::Datetime(v) => return NdArray::Datetime(rank1(v)),
        other @ (Series::DatetimeTz(_) | Series::Object(_) | Series::Category(_)) => {
            return NdArray::Object(rank1(other.into_values()));
        }
    })
}

/// `DataFrame.values`: all columns in their common dtype, as `[rows, columns]`.
#[must_use]
pub fn frame_values(frame: Frame) -> NdArray {
    let (rows, width) = (frame.rows, frame.columns.len());
    let common = frame.columns.iter().map(|(_, series)| Kind::of(series)).reduce(Kind::common);
    let columns = frame.columns.into_iter().map(|(_, series)| series);
    let shape = [rows, width];
    match common.unwrap_or(Kind::Number(DType::F64)) {
        Kind::Bool => NdArray::Tensor(interleave(columns, shape, |s, out: &mut Vec<bool>| {
            if let Series::Bool(values) = s {
                out.extend(values);
            }
        })),
        Kind::Datetime => {
            let mut values = Vec::with_capacity(rows * width);
            for series in columns {
                if let Series::Datetime(column) | Series::DatetimeTz(column) = series {
                    values.extend(column);
                }
            }
            NdArray::Datetime(transposed(values, shape))
        }
        Kind::Object => {
            let cells = columns.flat_map(Series::into_values).collect();
            NdArray::Object(transposed(cells, shape))
        }
        Kind::Number(dtype) => NdArray::Tensor(numbers(columns, shape, dtype)),
    }
}

/// What a column's dtype is to `numpy.result_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Number(DType),
    Datetime,
    Object,
}

impl Kind {
    fn of(series: &Series) -> Self {
        match series {
            Series::Bool(_) => Self::Bool,
            Series::I8(_) => Self::Number(DType::I8),
            Series::I16(_) => Self::Number(DType::I16),
            Series::I32(_) => Self::Number(DType::I32),
            Series::I64(_) => Self::Number(DType::I64),
            Series::U8(_) => Self::Number(DType::U8),
            Series::U16(_) => Self::Number(DType::U16),
            Series::U32(_) => Self::Number(DType::U32),
            Series::U64(_) => Self::Number(DType::U64),
            Series::F16(_) => Self::Number(DType::F16),
            Series::F32(_) => Self::Number(DType::F32),
            Series::F64(_) => Self::Number(DType::F64),
            Series::Datetime(_) => Self::Datetime,
            Series::DatetimeTz(_) | Series::Object(_) | Series::Category(_) => Self::Object,
        }
    }

    /// pandas' common type: booleans and datetimes mix with nothing else but as objects.
    fn common(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Number(a), Self::Number(b)) => Self::Number(promote(a, b)),
            _ => Self::Object,
        }
    }
}

/// `numpy.promote_types` of two different number types.
fn promote(a: DType, b: DType) -> DType {
    /// (is float, is signed, bits)
    const fn class(dtype: DType) -> (bool, bool, u32) {
        match dtype {
            DType::I8 => (false, true, 8),
            DType::I16 => (false, true, 16),
            DType::I32 => (false, true, 32),
            DType::I64 => (false, true, 64),
            DType::U8 => (false, false, 8),
            DType::U16 => (false, false, 16),
            DType::U32 => (false, false, 32),
            DType::U64 => (false, false, 64),
            DType::F16 => (true, true, 16),
            DType::F32 => (true, true, 32),
            DType::F64 | DType::Bool | DType::Str => (true, true, 64),
        }
    }
    let ((a_float, a_signed, a_bits), (b_float, b_signed, b_bits)) = (class(a), class(b));
    match (a_float, b_float) {
        (true, true) => {
            if a_bits > b_bits {
                a
            } else {
                b
            }
        }
        (false, false) if a_signed == b_signed => {
            if a_bits > b_bits {
                a
            } else {
                b
            }
        }
        (false, false) => {
            let (signed, unsigned) = if a_signed { (a_bits, b_bits) } else { (b_bits, a_bits) };
            match signed.max(unsigned * 2) {
                16 => DType::I16,
                32 => DType::I32,
                64 => DType::I64,
                _ => DType::F64,
            }
        }
        _ => {
            // A float that holds the integers exactly: float16 for 8 bits, float32 for 16.
            let (float, integer) = if a_float { (a_bits, b_bits) } else { (b_bits, a_bits) };
            match float.max(integer * 2) {
                16 => DType::F16,
                32 => DType::F32,
                _ => DType::F64,
            }
        }
    }
}

/// Columns one after the other become rows one after the other.
fn transposed<T: Clone>(columns: Vec<T>, [rows, width]: [usize; 2]) -> ArrayD<T> {
    let by_column = ndarray::Array2::from_shape_vec((width, rows), columns)
        .expect("every column has as many cells as the frame has rows");
    if width == 1 {
        return by_column.into_shape_with_order((rows, 1)).expect("one column").into_dyn();
    }
    by_column.reversed_axes().as_standard_layout().into_owned().into_dyn()
}

fn interleave<T: crate::tensor::Element>(
    columns: impl Iterator<Item = Series>,
    shape: [usize; 2],
    push: impl Fn(Series, &mut Vec<T>),
) -> Tensor {
    let mut values = Vec::with_capacity(shape[0] * shape[1]);
    for series in columns {
        push(series, &mut values);
    }
    T::wrap(transposed(values, shape))
}

/// Number columns in one number type that holds them all.
fn numbers(columns: impl Iterator<Item = Series>, shape: [usize; 2], dtype: DType) -> Tensor {
    macro_rules! widen {
        ($ty:ty) => {
            interleave(columns, shape, |series, out: &mut Vec<$ty>| match series {
                Series::I8(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::I16(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::I32(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::I64(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::U8(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::U16(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::U32(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::U64(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::F16(v) => out.extend(v.into_iter().map(|v| f32::from(v) as $ty)),
                Series::F32(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                Series::F64(v) => out.extend(v.into_iter().map(|v| v as $ty)),
                _ => {}
            })
        };
    }
    match dtype {
        DType::I8 => widen!(i8),
        DType::I16 => widen!(i16),
        DType::I32 => widen!(i32),
        DType::I64 => widen!(i64),
        DType::U8 => widen!(u8),
        DType::U16 => widen!(u16),
        DType::U32 => widen!(u32),
        DType::U64 => widen!(u64),
        DType::F16 => interleave(columns, shape, |series, out: &mut Vec<f16>| match series {
            Series::I8(v) => out.extend(v.into_iter().map(f16::from)),
            Series::U8(v) => out.extend(v.into_iter().map(f16::from)),
            Series::F16(v) => out.extend(v),
            _ => {}
        }),
        DType::F32 => widen!(f32),
        DType::F64 | DType::Bool | DType::Str => widen!(f64),
    }
}
