//! The least that a call can cost: through `ort`, inputs and outputs bound once.

use std::time::Instant;

use flowgate::backend::LibrarySearch;
use flowgate::model::{GraphInput, GraphIo};
use flowgate::tensor::{DType, Dim, Tensor};
use ort::environment::Environment;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, DynValue, Tensor as OrtTensor, TensorElementType, ValueType};

use super::{Failure, Measured, Options, Report, cpu_time, rows, run_for};

/// Measures the graph on a session of its own.
///
/// # Errors
/// When there is no library, the graph does not load or run, or more than one thread is wanted.
pub(crate) fn measure(options: &Options, library: &LibrarySearch) -> Result<Report, Failure> {
    if options.threads.get() > 1 {
        return Err("--api is for one thread: ort lends a session to one caller at a time".into());
    }
    let libraries = library.candidates()?;
    let library = libraries.first().ok_or("no ONNX Runtime library found")?;
    let environment = ort::init_from(library)?.with_name("raw").with_telemetry(false).build()?;
    let mut session = open(&environment, options)?;
    let io = graph_io(&session)?;
    let rows = rows::read_or_make(&io, options)?;
    let batches = rows::batches(&io, &rows, options.batch)?;
    let count = batches.len();
    let bindings = batches
        .into_iter()
        .map(|batch| bind(&mut session, &io, batch))
        .collect::<Result<Vec<_>, _>>()?;

    let mut turn = bindings.iter().cycle();
    let mut call = || {
        let binding = turn.next().ok_or("there is no batch")?;
        session.run_binding(binding)?;
        Ok(())
    };
    run_for(options.time / 10, &mut call)?;
    let (begin, cpu) = (Instant::now(), cpu_time());
    let calls = run_for(options.time, &mut call)?;
    let measured = Measured { calls, wall: begin.elapsed(), cpu: cpu_time().saturating_sub(cpu) };
    Ok(Report::new(options, "ort with bound values", count, measured))
}

fn open(environment: &Environment, options: &Options) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(options.intra_op_threads.get())?
        .with_config_entry("session.intra_op.allow_spinning", "0")?
        .commit_from_file(&options.graph)
}

/// A batch with room for its outputs, as large as a first run makes them. Outputs that are no
/// tensors are made anew in each run.
fn bind(session: &mut Session, io: &GraphIo, batch: Vec<Tensor>) -> Result<IoBinding, Failure> {
    let mut binding = session.create_binding()?;
    for (input, tensor) in io.inputs.iter().zip(batch) {
        binding.bind_input(&input.name, &value(tensor)?)?;
    }
    let names: Vec<_> = session.outputs().iter().map(|output| output.name().to_owned()).collect();
    for name in &names {
        binding.bind_output_to_device(name, &MemoryInfo::default())?;
    }
    let sizes: Vec<_> = session
        .run_binding(&binding)?
        .iter()
        .map(|(name, value)| (name.to_owned(), value.dtype().clone()))
        .collect();
    binding.clear_outputs();
    for (name, size) in sizes {
        match size {
            ValueType::Tensor { ty, shape, .. } => {
                let tensor = DynTensor::new(&Allocator::default(), ty, shape)?;
                binding.bind_output(name, tensor)?;
            }
            _ => binding.bind_output_to_device(name, &MemoryInfo::default())?,
        }
    }
    Ok(binding)
}

fn graph_io(session: &Session) -> Result<GraphIo, Failure> {
    let inputs = session.inputs().iter().map(|input| {
        let ValueType::Tensor { ty, shape, .. } = input.dtype() else {
            return Err(format!("input `{}` is no tensor", input.name()));
        };
        let dims = shape.iter().map(|&size| usize::try_from(size).map_or(Dim::Any, Dim::Fixed));
        let dtype = match ty {
            TensorElementType::Float32 => DType::F32,
            TensorElementType::Float64 => DType::F64,
            TensorElementType::Int64 => DType::I64,
            TensorElementType::Int32 => DType::I32,
            TensorElementType::Bool => DType::Bool,
            TensorElementType::String => DType::Str,
            other => {
                return Err(format!("input `{}`: rows of {other} are not measured", input.name()));
            }
        };
        Ok(GraphInput { name: input.name().to_owned(), dtype, dims: dims.collect() })
    });
    Ok(GraphIo { inputs: inputs.collect::<Result<_, _>>()?, outputs: Vec::new() })
}

fn value(tensor: Tensor) -> Result<DynValue, Failure> {
    Ok(match tensor {
        Tensor::F32(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::F64(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::I64(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::I32(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::Bool(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::Str(array) => OrtTensor::from_string_array(&array)?.into_dyn(),
        other => return Err(format!("rows of {} are not measured", other.dtype()).into()),
    })
}
