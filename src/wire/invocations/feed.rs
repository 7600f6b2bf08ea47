//! From what passed the schema to the graph's feeds: `_OnnxModelWrapper.predict`.

use half::f16;
use ndarray::ArrayD;

use super::WireError;
use super::frame::{Frame, Series};
use super::numpy::NdArray;
use super::value::Value;
use crate::model::{GraphInput, GraphIo};
use crate::tensor::{DType, Dim, Tensor};
use crate::with_array;

/// What reaches the model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelInput {
    Frame(Frame),
    Array(NdArray),
    Named(Vec<(String, NdArray)>),
}

/// Whether a number may take the graph's type where MLflow would fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casts {
    /// Only MLflow's own cast, from float64 to float32.
    Mlflow,
    /// Also any cast that every value survives exactly (parity policy, P3.2).
    Exact,
}

/// One tensor for each graph input, and the number of rows.
///
/// # Errors
/// `BAD_REQUEST` when an input is missing or its values do not have the graph's type.
pub fn feed(
    input: ModelInput,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    match input {
        ModelInput::Frame(frame) => feed_frame(frame, io, casts),
        ModelInput::Array(array) => {
            let [input] = io.inputs.as_slice() else {
                return Err(WireError::bad_request(format!(
                    "the model has {} inputs, so an object of named arrays is expected, got one \
                     array",
                    io.inputs.len()
                )));
            };
            let rows = array.shape().first().copied().unwrap_or(1);
            Ok((vec![to_graph(array, input, casts)?], rows))
        }
        ModelInput::Named(arrays) => feed_named(arrays, io, casts),
    }
}

fn feed_named(
    mut arrays: Vec<(String, NdArray)>,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    let mut feeds = Vec::with_capacity(io.inputs.len());
    let mut rows = None;
    for input in &io.inputs {
        let position = arrays.iter().position(|(name, _)| *name == input.name);
        let position = position.ok_or_else(|| missing(&input.name))?;
        let (_, array) = arrays.swap_remove(position);
        rows = rows.or_else(|| array.shape().first().copied());
        feeds.push(to_graph(array, input, casts)?);
    }
    if !arrays.is_empty() {
        return Err(WireError::bad_request(format!(
            "the request has an input that the model does not have; its inputs are {}",
            io.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ")
        )));
    }
    Ok((feeds, rows.unwrap_or(1)))
}

fn feed_frame(
    mut frame: Frame,
    io: &GraphIo,
    casts: Casts,
) -> Result<(Vec<Tensor>, usize), WireError> {
    let rows = frame.rows;
    if let [input] = io.inputs.as_slice() {
        return Ok((vec![to_graph(frame_values(frame), input, casts)?], rows));
    }
    let mut feeds = Vec::with_capacity(io.inputs.len());
    for input in &io.inputs {
        let positions: Vec<usize> = frame.positions(&input.name).collect();
        let series = match *positions.as_slice() {
            [position] => {
                std::mem::replace(&mut frame.columns[position].1, Series::Bool(Vec::new()))
            }
            [] => return Err(missing(&input.name)),
            _ => {
                return Err(WireError::bad_request(format!(
                    "column '{}' is given more than once",
                    input.name
                )));
            }
        };
        let column = array_of(series);
        // `skl2onnx` writes a column as [N, 1] (parity policy, P3.3).
        let column = match *input.dims.0.as_slice() {
            [_, Dim::Any | Dim::Fixed(1)] => with_shape(column, &[rows, 1]),
            _ => column,
        };
        feeds.push(to_graph(column, input, casts)?);
    }
    Ok((feeds, rows))
}

fn missing(name: &str) -> WireError {
    WireError::bad_request(format!("the model needs the input '{name}', which is missing"))
}

/// A column as an array of rank 1 (`Series.values`).
fn array_of(series: Series) -> NdArray {
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
        other @ (Series::DatetimeTz(_) | Series::Object(_)) => {
            return NdArray::Object(rank1(other.into_values()));
        }
    })
}

fn with_shape(array: NdArray, shape: &[usize]) -> NdArray {
    const SAME: &str = "the shape has as many elements as the array";
    match array {
        NdArray::Tensor(tensor) => NdArray::Tensor(with_array!(tensor, array => {
            crate::tensor::Element::wrap(array.into_shape_with_order(shape).expect(SAME))
        })),
        NdArray::Datetime(a) => NdArray::Datetime(a.into_shape_with_order(shape).expect(SAME)),
        NdArray::Bytes(a) => NdArray::Bytes(a.into_shape_with_order(shape).expect(SAME)),
        NdArray::Object(a) => NdArray::Object(a.into_shape_with_order(shape).expect(SAME)),
    }
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
            Series::DatetimeTz(_) | Series::Object(_) => Self::Object,
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

/// Gives an array the graph input's element type, if the protocol's casts allow.
fn to_graph(array: NdArray, input: &GraphInput, casts: Casts) -> Result<Tensor, WireError> {
    let refused = |got: &str| {
        Err(WireError::bad_request(format!(
            "input '{}': the model takes {} values, got {got}",
            input.name, input.dtype
        )))
    };
    match array {
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

/// A number tensor in another number type, if every value survives the way there and back.
fn exact_cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
    fn wide(tensor: &Tensor) -> Option<Wide> {
        macro_rules! ints {
            ($array:expr) => {
                Some(Wide::Ints($array.mapv(i128::from)))
            };
        }
        match tensor {
            Tensor::I8(a) => ints!(a),
            Tensor::I16(a) => ints!(a),
            Tensor::I32(a) => ints!(a),
            Tensor::I64(a) => ints!(a),
            Tensor::U8(a) => ints!(a),
            Tensor::U16(a) => ints!(a),
            Tensor::U32(a) => ints!(a),
            Tensor::U64(a) => ints!(a),
            Tensor::F16(a) => Some(Wide::Floats(a.mapv(f64::from))),
            Tensor::F32(a) => Some(Wide::Floats(a.mapv(f64::from))),
            Tensor::F64(a) => Some(Wide::Floats(a.clone())),
            Tensor::Bool(_) | Tensor::Str(_) => None,
        }
    }
    enum Wide {
        Ints(ArrayD<i128>),
        Floats(ArrayD<f64>),
    }
    fn each<A: Copy, B: crate::tensor::Element>(
        array: &ArrayD<A>,
        cast: impl Fn(A) -> Option<B>,
    ) -> Option<Tensor> {
        let values = array.iter().map(|&value| cast(value)).collect::<Option<Vec<B>>>()?;
        Tensor::from_vec(array.shape(), values)
    }
    macro_rules! to_int {
        ($wide:expr, $ty:ty) => {
            match $wide {
                Wide::Ints(a) => each(&a, |v| <$ty>::try_from(v).ok()),
                Wide::Floats(a) => each(&a, |v| {
                    let whole = v as i128;
                    (whole as f64 == v).then(|| <$ty>::try_from(whole).ok()).flatten()
                }),
            }
        };
    }
    macro_rules! to_float {
        ($wide:expr, $cast:expr, $back:expr) => {
            match $wide {
                Wide::Ints(a) => each(&a, |v| {
                    let cast = $cast(v as f64);
                    ((v as f64) as i128 == v && $back(cast) == v as f64).then_some(cast)
                }),
                Wide::Floats(a) => each(&a, |v| {
                    let cast = $cast(v);
                    ($back(cast) == v || v.is_nan()).then_some(cast)
                }),
            }
        };
    }
    let wide = wide(tensor)?;
    match to {
        DType::I8 => to_int!(wide, i8),
        DType::I16 => to_int!(wide, i16),
        DType::I32 => to_int!(wide, i32),
        DType::I64 => to_int!(wide, i64),
        DType::U8 => to_int!(wide, u8),
        DType::U16 => to_int!(wide, u16),
        DType::U32 => to_int!(wide, u32),
        DType::U64 => to_int!(wide, u64),
        DType::F16 => to_float!(wide, f16::from_f64, f64::from),
        DType::F32 => to_float!(wide, |v: f64| v as f32, f64::from),
        DType::F64 => to_float!(wide, |v: f64| v, |v: f64| v),
        DType::Bool | DType::Str => None,
    }
}
