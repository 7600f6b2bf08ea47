//! A tensor signature: data become arrays of exactly the declared types and shapes.

use super::columns::missing_inputs;
use crate::model::{TensorDType, TensorSpec};
use crate::tensor::{DType, Dim, Tensor};
use crate::wire::invocations::WireError;
use crate::wire::invocations::astype::{astype, numpy_astype};
use crate::wire::invocations::coerce::{describe, tensor_type_text};
use crate::wire::invocations::feed::{ModelInput, frame_values};
use crate::wire::invocations::frame::{Frame, Label, Series};
use crate::wire::invocations::infer::infer;
use crate::wire::invocations::numpy::{ElementType, NdArray, array};
use crate::wire::invocations::tensors::{Data, Item, promote};
use crate::wire::invocations::value::Value;

/// Checks data against a tensor signature.
///
/// # Errors
/// `SCHEMA_ENFORCEMENT_FAILED` when an input is missing, or its type or shape does not fit.
pub fn enforce_tensors(data: Data, specs: &[TensorSpec]) -> Result<ModelInput, WireError> {
    let enforced = match specs {
        [spec] if spec.name.is_none() => enforce_unnamed(data, spec).map(ModelInput::Array),
        _ => {
            check_missing(&data, specs)?;
            enforce_named(data, specs).map(ModelInput::Named)
        }
    };
    enforced.map_err(WireError::schema)
}

fn enforce_unnamed(data: Data, spec: &TensorSpec) -> Result<NdArray, String> {
    match data {
        Data::Item(Item::Array(array)) => fits(array, spec),
        Data::Frame(mut frame) => match frame.columns.len() {
            _ if frame.rows == 0 => Err("the request has no row".into()),
            0 => Err("the request has no column".into()),
            1 => {
                let (label, series) = frame.columns.remove(0);
                reshape_column(&label, series, spec)
            }
            width => {
                if spec.dims.0 != [Dim::Any, Dim::Fixed(width)] {
                    return Err(format!(
                        "the request has {width} columns, which makes an input of shape \
                         (-1, {width}), but the model declares {}",
                        spec.dims
                    ));
                }
                let array = frame_values(frame);
                fits(array, spec)
            }
        },
        _ => Err(format!("expected an array of shape {}, got named values", spec.dims)),
    }
}

fn check_missing(data: &Data, specs: &[TensorSpec]) -> Result<(), WireError> {
    let has = |name: &str| match data {
        Data::Frame(frame) => frame.positions(name).next().is_some(),
        Data::Named(items) => items.iter().any(|(own, _)| own == name),
        // A bare array stands for the only input.
        Data::Item(Item::Array(_)) => specs.len() == 1,
        Data::Item(_) | Data::Rows(_) => false,
    };
    let names = specs.iter().filter_map(|spec| spec.name.as_deref());
    let missing: Vec<&str> = names.filter(|name| !has(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing_inputs(&missing)) }
}

fn enforce_named(data: Data, specs: &[TensorSpec]) -> Result<Vec<(String, NdArray)>, String> {
    let mut named = Vec::with_capacity(specs.len());
    match data {
        Data::Named(mut items) => {
            for (name, spec) in with_names(specs) {
                let position = items.iter().position(|(own, _)| own == name);
                let position = position.ok_or("an input is missing")?;
                let Item::Array(array) = items.swap_remove(position).1 else {
                    return Err(format!("input '{name}': expected an array"));
                };
                let array = fits(array, spec).map_err(|why| format!("input '{name}': {why}"))?;
                named.push((name.to_owned(), array));
            }
        }
        Data::Item(Item::Array(array)) => {
            for (name, spec) in with_names(specs).take(1) {
                named.push((name.to_owned(), fits(array.clone(), spec)?));
            }
        }
        Data::Frame(frame) => {
            for (name, spec) in with_names(specs) {
                let positions: Vec<usize> = frame.positions(name).collect();
                let &[position] = positions.as_slice() else {
                    return Err(format!("column '{name}' is given more than once"));
                };
                let (label, series) = frame.columns[position].clone();
                named.push((name.to_owned(), reshape_column(&label, series, spec)?));
            }
        }
        Data::Item(_) | Data::Rows(_) => {
            return Err("expected an object of named arrays".into());
        }
    }
    Ok(named)
}

fn with_names(specs: &[TensorSpec]) -> impl Iterator<Item = (&str, &TensorSpec)> {
    specs.iter().filter_map(|spec| Some((spec.name.as_deref()?, spec)))
}

/// `_enforce_tensor_spec`: rank and fixed sizes, then the exact element type.
fn fits(array: NdArray, spec: &TensorSpec) -> Result<NdArray, String> {
    if !spec.dims.accepts(array.shape()) {
        return Err(format!(
            "expected an array of shape {}, got {}",
            spec.dims,
            shape_text(array.shape())
        ));
    }
    let same = match (&spec.dtype, &array) {
        (TensorDType::Known(want), NdArray::Tensor(tensor)) => tensor.dtype() == *want,
        (TensorDType::Other(name), NdArray::Bytes(_)) => name == "bytes",
        (TensorDType::Other(name), NdArray::Datetime(_)) => name.starts_with("datetime64"),
        (TensorDType::Other(name), NdArray::Object(_)) => name == "object",
        _ => false,
    };
    if same {
        return Ok(array);
    }
    let want = tensor_type_text(&spec.dtype);
    Err(format!("expected {want} values, got {}", array.dtype_name()))
}

/// A shape as numpy prints it.
fn shape_text(shape: &[usize]) -> String {
    shape.iter().map(|&size| Dim::Fixed(size)).collect::<crate::tensor::Dims>().to_string()
}

/// `_reshape_and_cast_pandas_column_values`: a column's cells as one tensor.
fn reshape_column(label: &Label, series: Series, spec: &TensorSpec) -> Result<NdArray, String> {
    let column = describe(spec.name.as_deref(), 0);
    let inner = spec.dims.0.get(1..).unwrap_or_default();
    let fixed: Option<Vec<usize>> = inner
        .iter()
        .map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None })
        .collect();
    let (Some(Dim::Any), Some(inner)) = (spec.dims.0.first(), fixed) else {
        return Err(format!(
            "column {column}: a data frame cannot fill an input of shape {}, which must have a \
             free first dimension and fixed others",
            spec.dims
        ));
    };
    let rows = series.len();
    let first = match &series {
        Series::Object(cells) => cells.first().cloned(),
        typed => typed.clone().into_values().into_iter().next(),
    };
    let first = first.ok_or("the request has no row")?;
    match first {
        Value::List(items) => {
            if !items.first().is_some_and(Value::is_scalar) {
                return Err(format!("column {column}: expected flat lists of values"));
            }
            let want = || {
                format!(
                    "column {column}: expected lists of equal length that fill the shape {} with \
                     {} values",
                    spec.dims,
                    tensor_type_text(&spec.dtype)
                )
            };
            stack_cells(series, &inner, rows, spec).ok_or_else(want)
        }
        value if value.is_scalar() => {
            if !(inner.is_empty() || inner == [1]) {
                return Err(format!(
                    "column {column}: single values need an input of shape (-1,) or (-1, 1), the \
                     model declares {}",
                    spec.dims
                ));
            }
            let shape = std::iter::once(rows).chain(inner).collect::<Vec<_>>();
            frame_values(Frame { columns: vec![(label.clone(), series)], rows })
                .reshape(&shape)
                .and_then(|array| convert(&array, spec))
                .ok_or_else(|| {
                    format!("column {column}: expected {}", tensor_type_text(&spec.dtype))
                })
                .and_then(|array| fits(array, spec))
        }
        other => {
            Err(format!("column {column}: expected values or lists, got {}", other.type_name()))
        }
    }
}

/// `numpy.vstack(cells).reshape(shape).astype(dtype)`; `None` where numpy raises, or where the
/// rows do not come out the same in number.
fn stack_cells(series: Series, inner: &[usize], rows: usize, spec: &TensorSpec) -> Option<NdArray> {
    let mut stacked = Vec::with_capacity(rows);
    for cell in series.into_values() {
        let array = array(&cell, ElementType::Inferred).ok()?;
        // Each cell is at least a matrix: a value or a flat list is one row of it.
        let shape = match *array.shape() {
            [] => [1, 1],
            [width] => [1, width],
            [height, width] => [height, width],
            _ => return None,
        };
        stacked.push(array.reshape(&shape)?);
    }
    let width = stacked.first()?.shape()[1];
    if stacked.iter().any(|array| array.shape()[1] != width) {
        return None;
    }
    let height: usize = stacked.iter().map(|array| array.shape()[0]).sum();
    let joined = promote(&split_rows(stacked)?).ok()?;
    // Lists inside an object array would have made it deeper.
    if joined.shape() != [height, width] {
        return None;
    }
    let shape: Vec<usize> = std::iter::once(rows).chain(inner.iter().copied()).collect();
    convert(&joined.reshape(&shape)?, spec)
}

/// The rows of matrices, each an array of its own.
fn split_rows(matrices: Vec<NdArray>) -> Option<Vec<NdArray>> {
    let mut rows = Vec::with_capacity(matrices.len());
    for matrix in matrices {
        if matrix.shape()[0] == 1 {
            let width = matrix.shape()[1];
            rows.push(matrix.reshape(&[width])?);
            continue;
        }
        let Value::List(lists) = matrix.to_list() else { return None };
        for list in lists {
            rows.push(array(&list, ElementType::Inferred).ok()?);
        }
    }
    Some(rows)
}

/// `array.astype(dtype)`.
fn convert(array: &NdArray, spec: &TensorSpec) -> Option<NdArray> {
    let TensorDType::Known(dtype) = spec.dtype else { return None };
    match array {
        NdArray::Tensor(tensor) if tensor.dtype() == dtype => Some(array.clone()),
        _ => {
            let cast = match array {
                NdArray::Tensor(tensor) if dtype != DType::Str => cast_numbers(tensor, dtype)?,
                _ => astype(Series::Object(array.values()), dtype).ok()?,
            };
            let shape = array.shape().to_vec();
            let frame = Frame { rows: cast.len(), columns: vec![(Label::Number(0), cast)] };
            match frame_values(frame) {
                NdArray::Object(cells) if dtype == DType::Str => {
                    let text = cells.iter().map(Value::to_text).collect::<Option<Vec<_>>>()?;
                    Tensor::from_vec(&shape, text).map(NdArray::Tensor)
                }
                other => other.reshape(&shape),
            }
        }
    }
}

/// `array.astype(dtype)` of numbers or text.
fn cast_numbers(tensor: &Tensor, dtype: DType) -> Option<Series> {
    let values = || NdArray::Tensor(tensor.clone()).values();
    match tensor {
        Tensor::F64(array) => Some(numpy_astype(&array.iter().copied().collect::<Vec<_>>(), dtype)),
        Tensor::Str(_) => astype(Series::Object(values()), dtype).ok(),
        _ => astype(infer(values()).ok()?, dtype).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dims;
    use crate::wire::invocations::json;

    #[test]
    fn cells_are_stacked_as_numpy_stacks_them() {
        let stacked = |cells: &str, dtype, inner: &[usize]| {
            let Ok(Value::List(cells)) = json::parse(cells.as_bytes()) else { panic!("{cells}") };
            let rows = cells.len();
            let dims = std::iter::once(Dim::Any).chain(inner.iter().map(|&n| Dim::Fixed(n)));
            let spec = TensorSpec {
                name: None,
                dtype: TensorDType::Known(dtype),
                dims: dims.collect::<Dims>(),
            };
            let array = stack_cells(Series::Object(cells), inner, rows, &spec)?;
            Some(format!("{:?}", array.values()))
        };
        for (cells, dtype, inner, want) in [
            (
                "[[1, 2], [3, 4]]",
                DType::F64,
                &[2][..],
                Some("[Float(1.0), Float(2.0), Float(3.0), Float(4.0)]"),
            ),
            ("[[0], 1.5]", DType::F64, &[1], Some("[Float(0.0), Float(1.5)]")),
            ("[[true], 1]", DType::I64, &[], Some("[Int(1), Int(1)]")),
            ("[[1.5], \"a\"]", DType::Str, &[1], Some("[Str(\"1.5\"), Str(\"a\")]")),
            ("[[1], null]", DType::I64, &[1], None),
            ("[[1, null]]", DType::I64, &[2], None),
            ("[[1, null]]", DType::F64, &[2], Some("[Float(1.0), Float(NaN)]")),
            ("[[1, 2], [3]]", DType::F64, &[2], None),
            ("[[1], [[2], [3]]]", DType::F64, &[1], None),
        ] {
            assert_eq!(stacked(cells, dtype, inner).as_deref(), want, "{cells}");
        }
    }
}
