//! Distinct rows, from a file or made, as batches that fit a graph's inputs.

use std::fs;
use std::num::NonZeroUsize;

use fastrand::Rng;
use flowgate::model::{GraphInput, GraphIo};
use flowgate::tensor::{DType, Dim, Tensor};
use serde_json::Value;

use super::{Failure, Options};

/// One row: for each of the graph's inputs its values, in row-major order.
pub(crate) type Row = Vec<Vec<Value>>;

/// The rows of the file, or random ones.
///
/// # Errors
/// When the file cannot be read or a row does not fit, or the graph's rows have no fixed size.
pub(crate) fn read_or_make(io: &GraphIo, options: &Options) -> Result<Vec<Row>, Failure> {
    let Some(path) = &options.rows_file else {
        let mut rng = Rng::with_seed(options.seed);
        let count = options.rows.max(options.batch).get();
        return (0..count).map(|_| random(io, &mut rng)).collect();
    };
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parsed = text.lines().filter(|line| !line.trim().is_empty()).map(|line| parse(io, line));
    parsed
        .zip(1..)
        .map(|(row, at)| row.map_err(|error| format!("{}, row {at}: {error}", path.display())))
        .map(|row| row.map_err(Failure::from))
        .collect()
}

/// As many whole batches as the rows make.
///
/// # Errors
/// When they make none, or a value does not fit its input.
pub(crate) fn batches(
    io: &GraphIo,
    rows: &[Row],
    batch: NonZeroUsize,
) -> Result<Vec<Vec<Tensor>>, Failure> {
    let chunks = rows.chunks_exact(batch.get());
    if chunks.len() == 0 {
        return Err(format!("{} rows make no batch of {batch}", rows.len()).into());
    }
    chunks
        .map(|rows| {
            let inputs = io.inputs.iter().enumerate();
            inputs.map(|(i, input)| tensor(input, rows.iter().map(|row| &row[i]))).collect()
        })
        .collect()
}

/// The shape of one row of an input.
fn row_shape(input: &GraphInput) -> Result<Vec<usize>, Failure> {
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Any => None,
    };
    let sizes = input.dims.0.get(1..).map(|dims| dims.iter().map(fixed).collect());
    sizes.flatten().ok_or_else(|| {
        let GraphInput { name, dims, .. } = input;
        format!("input `{name}` has the shape {dims}: rows of no fixed size").into()
    })
}

fn random(io: &GraphIo, rng: &mut Rng) -> Result<Row, Failure> {
    io.inputs
        .iter()
        .map(|input| {
            let count = row_shape(input)?.iter().product();
            Ok((0..count).map(|_| random_value(input.dtype, rng)).collect())
        })
        .collect()
}

/// Floats from -1 to 1, small integers, short words.
fn random_value(dtype: DType, rng: &mut Rng) -> Value {
    match dtype {
        DType::F16 | DType::F32 | DType::F64 => (rng.f64() * 2.0 - 1.0).into(),
        DType::Bool => rng.bool().into(),
        DType::Str => rng.alphabetic().to_string().into(),
        _ => rng.u8(..100).into(),
    }
}

fn parse(io: &GraphIo, line: &str) -> Result<Row, Failure> {
    let value: Value = serde_json::from_str(line)?;
    let columns = match value {
        Value::Array(columns) if io.inputs.len() > 1 => columns,
        row @ Value::Array(_) => vec![row],
        _ => return Err("expected an array".into()),
    };
    if columns.len() != io.inputs.len() {
        return Err(format!("{} values for {} inputs", columns.len(), io.inputs.len()).into());
    }
    let flat = columns.into_iter().zip(&io.inputs).map(|(column, input)| {
        let mut values = Vec::new();
        flatten(column, &mut values);
        let expected: usize = row_shape(input)?.iter().product();
        if values.len() == expected {
            return Ok(values);
        }
        let (name, count) = (&input.name, values.len());
        Err(format!("input `{name}` takes {expected} values a row, got {count}").into())
    });
    flat.collect()
}

fn flatten(value: Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, into)),
        leaf => into.push(leaf),
    }
}

/// The rows' values as one contiguous tensor.
fn tensor<'a>(
    input: &GraphInput,
    rows: impl ExactSizeIterator<Item = &'a Vec<Value>>,
) -> Result<Tensor, Failure> {
    let shape = [&[rows.len()], row_shape(input)?.as_slice()].concat();
    let values: Vec<&Value> = rows.flatten().collect();
    let made = match input.dtype {
        DType::F32 => of(&shape, &values, |value| Some(value.as_f64()? as f32)),
        DType::F64 => of(&shape, &values, Value::as_f64),
        DType::I64 => of(&shape, &values, Value::as_i64),
        DType::I32 => of(&shape, &values, |value| i32::try_from(value.as_i64()?).ok()),
        DType::Bool => of(&shape, &values, Value::as_bool),
        DType::Str => of(&shape, &values, |value| Some(value.as_str()?.to_owned())),
        dtype => return Err(format!("rows of {dtype} are not measured").into()),
    };
    let (name, dtype) = (&input.name, input.dtype);
    made.ok_or_else(|| format!("input `{name}`: a value is no {dtype}").into())
}

fn of<T: flowgate::tensor::Element>(
    shape: &[usize],
    values: &[&Value],
    convert: impl Fn(&Value) -> Option<T>,
) -> Option<Tensor> {
    let values = values.iter().map(|value| convert(value)).collect::<Option<Vec<T>>>()?;
    Tensor::from_vec(shape, values)
}

#[cfg(test)]
mod tests {
    use flowgate::tensor::Dims;

    use super::*;

    fn io(inputs: &[(DType, &[usize])]) -> GraphIo {
        let input = |(i, (dtype, row)): (usize, &(DType, &[usize]))| {
            let fixed = row.iter().map(|size| Dim::Fixed(*size));
            let dims: Dims = [Dim::Any].into_iter().chain(fixed).collect();
            GraphInput { name: format!("x{i}"), dtype: *dtype, dims }
        };
        GraphIo { inputs: inputs.iter().enumerate().map(input).collect(), outputs: Vec::new() }
    }

    fn two() -> NonZeroUsize {
        NonZeroUsize::new(2).unwrap()
    }

    #[test]
    fn rows_become_contiguous_batches_and_a_rest_is_left_out() {
        let io = io(&[(DType::F32, &[2])]);
        let rows: Vec<_> =
            ["[1, 2]", "[[3, 4]]", "[5, 6]"].map(|line| parse(&io, line).unwrap()).into();
        let batches = batches(&io, &rows, two()).unwrap();
        let expected = Tensor::from_vec(&[2, 2], vec![1.0_f32, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(batches, [[expected]]);
    }

    #[test]
    fn several_inputs_take_an_array_each() {
        let io = io(&[(DType::I64, &[1]), (DType::Str, &[1])]);
        let rows: Vec<_> =
            [r#"[[7], ["a"]]"#, r#"[8, "b"]"#].map(|line| parse(&io, line).unwrap()).into();
        let batches = batches(&io, &rows, two()).unwrap();
        let words = ["a", "b"].map(str::to_owned).to_vec();
        assert_eq!(batches[0][0], Tensor::from_vec(&[2, 1], vec![7_i64, 8]).unwrap());
        assert_eq!(batches[0][1], Tensor::from_vec(&[2, 1], words).unwrap());
    }

    #[test]
    fn random_rows_differ_from_each_other_and_not_from_run_to_run() {
        let io = io(&[(DType::F32, &[8]), (DType::Bool, &[1])]);
        let made = |seed| {
            let mut rng = Rng::with_seed(seed);
            [(); 2].map(|()| random(&io, &mut rng).unwrap())
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        let [a, b] = made(1);
        assert_ne!(a, b);
        assert!(batches(&io, &[a, b], two()).is_ok());
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let floats = io(&[(DType::F32, &[2])]);
        for line in ["[1]", "[1, 2, 3]", "7", "[1, "] {
            assert!(parse(&floats, line).is_err(), "{line}");
        }
        let text = parse(&floats, r#"[1, "a"]"#).unwrap();
        assert!(batches(&floats, &[text.clone(), text], two()).is_err());
        assert!(batches(&floats, &[], two()).is_err());
        let mut open = floats;
        open.inputs[0].dims.0[1] = Dim::Any;
        assert!(parse(&open, "[1, 2]").is_err());
        assert!(random(&open, &mut Rng::with_seed(0)).is_err());
    }
}
