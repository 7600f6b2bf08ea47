//! What the streaming decoder may do for a model, decided once from its signature and graph.

use super::arrays::{self, ArrayTarget, IntRule};
use super::columns::{self, ColumnTarget, Extras};
use super::cursor::Cursor;
use crate::model::{GraphIo, Schema, Signature, TensorDType, TensorSpec};
use crate::tensor::{DType, Dim, Dims};
use crate::wire::invocations::scoring::{Decoded, FORMS, Layout};

/// The streaming decoder of one model.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    kind: Kind,
    /// Whether a request's parameters have to be checked, which only the exact path does.
    has_params: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Named scalar columns.
    Columns(ColumnTarget),
    /// One array for each graph input: named tensors, or a single tensor.
    Arrays(Vec<ArrayTarget>),
}

impl StreamPlan {
    /// The plan for a model, if its signature is of a kind that streams.
    #[must_use]
    pub fn new(signature: &Signature, io: &GraphIo) -> Option<Self> {
        let kind = match &signature.inputs {
            Some(Schema::Columns(columns)) => Kind::Columns(ColumnTarget::new(columns, io)?),
            Some(Schema::Tensors(specs)) => Kind::Arrays(declared_arrays(specs, io)?),
            None => Kind::Arrays(vec![inferred_array(io)?]),
        };
        Some(Self { kind, has_params: signature.params.is_some() })
    }

    /// Whether texts may be among the values.
    pub(in crate::wire::invocations) fn has_texts(&self) -> bool {
        match &self.kind {
            Kind::Columns(target) => target.has_texts(),
            Kind::Arrays(targets) => targets.iter().any(|target| target.read == DType::Str),
        }
    }

    /// Decodes a whole body, or gives up.
    #[must_use]
    pub fn decode(&self, body: &[u8]) -> Option<Decoded> {
        let mut cursor = Cursor::new(body)?;
        cursor.expect(b'{')?;
        let form = FORMS.into_iter().find(|form| cursor.take_name(form))?;
        let decoded = match (&self.kind, form) {
            (Kind::Columns(target), "dataframe_split") => columns::split(target, &mut cursor)?,
            (Kind::Columns(target), "dataframe_records") => {
                columns::records(target, Extras::Drop, &mut cursor)?
            }
            (Kind::Columns(target), "inputs" | "instances") => {
                let extras = if form == "instances" { Extras::Count } else { Extras::Drop };
                cursor.skip_blanks();
                match cursor.peek()? {
                    b'{' => columns::lists(target, &mut cursor)?,
                    _ => columns::records(target, extras, &mut cursor)?,
                }
            }
            (Kind::Arrays(targets), "inputs" | "instances") => {
                cursor.skip_blanks();
                match (targets.as_slice(), cursor.peek()?) {
                    ([target], b'[') => arrays::single(target, &mut cursor)?,
                    (targets, b'{') => arrays::named(targets, &mut cursor)?,
                    _ => return None,
                }
            }
            (Kind::Arrays(targets), "dataframe_split") => match targets.as_slice() {
                [target] => arrays::split(target, &mut cursor)?,
                _ => return None,
            },
            _ => return None,
        };
        if cursor.more(b'}')? {
            // Only parameters that nobody reads may follow.
            if self.has_params || !cursor.take_name("params") {
                return None;
            }
            cursor.expect(b'{')?;
            if !cursor.take(b'}') {
                return None;
            }
            cursor.expect(b'}')?;
        }
        cursor.at_end().then_some(decoded)
    }
}

/// One target for each graph input, in the graph's order, from a tensor signature.
fn declared_arrays(specs: &[TensorSpec], io: &GraphIo) -> Option<Vec<ArrayTarget>> {
    if specs.len() != io.inputs.len() {
        return None;
    }
    let targets = io.inputs.iter().map(|input| {
        let spec = match specs {
            [spec] if spec.name.is_none() => spec,
            specs => specs.iter().find(|spec| spec.name.as_deref() == Some(&input.name))?,
        };
        let TensorDType::Known(dtype) = spec.dtype else { return None };
        if dtype != input.dtype && (dtype, input.dtype) != (DType::F64, DType::F32) {
            return None;
        }
        Some(ArrayTarget {
            name: spec.name.clone(),
            read: dtype,
            feed: input.dtype,
            dims: spec.dims.clone(),
            frame_layout: Layout::Tensors,
            ints: IntRule::Declared,
        })
    });
    targets.collect()
}

/// Without a signature: numbers for a graph with a single number input.
fn inferred_array(io: &GraphIo) -> Option<ArrayTarget> {
    let [input] = io.inputs.as_slice() else { return None };
    if !matches!(input.dtype, DType::F32 | DType::F64) {
        return None;
    }
    // The graph's own check of the shape says more than we could.
    let dims = Dims(input.dims.0.iter().map(|_| Dim::Any).collect());
    Some(ArrayTarget {
        name: None,
        read: DType::F64,
        feed: input.dtype,
        dims,
        frame_layout: Layout::Records,
        ints: IntRule::Exact,
    })
}
