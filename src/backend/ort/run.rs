//! Running a session from many threads at once.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use ort::AsPointer;
use ort::session::Session;
use ort::value::DynValue;

use crate::backend::{LoadedModel, RunError, feeds};
use crate::model::{GraphIo, Output};
use crate::tensor::Tensor;

use super::message;
use super::provider::CPU;
use super::value;

/// A session with the names that its calls need, as C strings.
pub(super) struct OrtModel {
    session: Session,
    io: GraphIo,
    provider: &'static str,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
    /// Held during a call, on any provider but the CPU's: the others do not all keep ONNX
    /// Runtime's promise that calls may overlap.
    one_at_a_time: Option<Mutex<()>>,
}

impl OrtModel {
    /// `None` when a name holds a NUL, which no name that ONNX Runtime gave can.
    pub(super) fn new(session: Session, io: GraphIo, provider: &'static str) -> Option<Self> {
        let c_string = |name: &str| CString::new(name).ok();
        let input_names =
            io.inputs.iter().map(|input| c_string(&input.name)).collect::<Option<_>>();
        let output_names =
            io.outputs.iter().map(|output| c_string(&output.name)).collect::<Option<_>>();
        Some(Self {
            session,
            provider,
            input_names: input_names?,
            output_names: output_names?,
            io,
            one_at_a_time: (provider != CPU).then(|| Mutex::new(())),
        })
    }

    /// One call of ONNX Runtime's `Run`. `values` are the graph's inputs, in order.
    #[expect(unsafe_code, reason = "ort offers `run` on `&mut Session` only; see the module doc")]
    fn call(&self, values: &[DynValue]) -> ort::Result<Vec<DynValue>> {
        let pointers = |names: &[CString]| -> Vec<*const c_char> {
            names.iter().map(|name| name.as_ptr()).collect()
        };
        let input_names = pointers(&self.input_names);
        let output_names = pointers(&self.output_names);
        let inputs: Vec<_> = values.iter().map(AsPointer::ptr).collect();
        let mut outputs = vec![ptr::null_mut(); output_names.len()];
        // ONNX Runtime reads as many names as values: a shorter list would be read beyond its end.
        assert_eq!(input_names.len(), inputs.len(), "feeds were checked against the inputs");
        // SAFETY:
        // - The session is alive (`self` owns it). `ort` hands out a `*const` because its own `run`
        //   asks for `&mut Session`; what it points to is a C++ object that Rust never reads or
        //   writes, so no Rust reference is aliased by the `*mut` that the C API wants.
        // - Overlapping calls: "Multiple threads can invoke the Run() method on the same session
        //   object" (ONNX Runtime's C API overview), and `InferenceSession::Run` is declared
        //   "Multiple threads are allowed to run this function; hence its thread-safe". That
        //   holds for the CPU provider; for the others `run` holds a lock.
        // - Every array has the length that is passed with it. Names end with NUL, values are
        //   alive until this function returns, null run options are documented as the default.
        // - After an error no output is ours. After success each pointer is null or a value that is
        //   now ours; it is wrapped once, with the allocator of the session that made it, and
        //   dropped in `run`, before the session can be.
        let outputs: Vec<Option<DynValue>> = unsafe {
            ort::Error::result_from_status((ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                input_names.as_ptr(),
                inputs.as_ptr(),
                inputs.len(),
                output_names.as_ptr(),
                output_names.len(),
                outputs.as_mut_ptr(),
            ))?;
            let allocator = Some(self.session.allocator());
            let wrap = |pointer| NonNull::new(pointer).map(|p| DynValue::from_ptr(p, allocator));
            outputs.into_iter().map(wrap).collect()
        };
        let all: Option<Vec<_>> = outputs.into_iter().collect();
        all.ok_or_else(|| ort::Error::new("an output is missing"))
    }
}

impl LoadedModel for OrtModel {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &str {
        self.provider
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        feeds::check(&self.io, &feeds)?;
        let named = self.io.inputs.iter().zip(feeds);
        let values = named
            .map(|(input, tensor)| {
                value::from_tensor(tensor).map_err(|error| {
                    RunError::Failed(format!("input `{}`: {}", input.name, error.message()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = {
            // Nothing that the lock guards can be left half done.
            let _turn = self
                .one_at_a_time
                .as_ref()
                .map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
            self.call(&values)
        };
        let outputs = outputs.map_err(|error| RunError::Failed(message::clean(error.message())))?;
        let declared = self.io.outputs.iter().zip(&outputs);
        declared
            .map(|(output, value)| {
                value::into_output(value, &output.kind).map_err(|reason| {
                    RunError::Failed(format!("output `{}`: {reason}", output.name))
                })
            })
            .collect()
    }
}
