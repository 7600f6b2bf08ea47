//! What a model file says about itself, read before tract builds anything from it.

use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path};

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

use crate::backend::LoadError;
use crate::model::{GraphInput, GraphIo, GraphOutput, OutputKind};
use crate::tensor::{DType, Dim, Dims};

use super::RUNTIME;

const ADVICE: &str = "use ONNX Runtime for this model (`backend: ort`)";

/// Domains whose operators tract's registry means; it goes by the operator's name alone.
const DOMAINS: [&str; 3] = ["", "ai.onnx", "ai.onnx.ml"];

pub(super) fn unsupported(what: String) -> LoadError {
    LoadError::Unsupported { runtime: RUNTIME, what, advice: ADVICE.to_owned() }
}

/// Refuses a graph with operators that tract does not know, naming all of them.
pub(super) fn operators(graph: &GraphProto, known: &Onnx) -> Result<(), LoadError> {
    let mut unknown = BTreeSet::new();
    collect_unknown(graph, known, &mut unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    let names = unknown.into_iter().collect::<Vec<_>>().join("`, `");
    Err(unsupported(format!("it has no operator `{names}`")))
}

fn collect_unknown(graph: &GraphProto, known: &Onnx, unknown: &mut BTreeSet<String>) {
    for node in &graph.node {
        if !DOMAINS.contains(&node.domain.as_str()) {
            unknown.insert(format!("{}:{}", node.domain, node.op_type));
        } else if !known.op_register.0.contains_key(&node.op_type) {
            unknown.insert(node.op_type.clone());
        }
        for attribute in &node.attribute {
            for subgraph in attribute.g.iter().chain(&attribute.graphs) {
                collect_unknown(subgraph, known, unknown);
            }
        }
    }
}

/// Refuses what tract would compute without complaint, and wrongly.
///
/// Its `TreeEnsembleClassifier`, where both classes share one column of scores, takes the larger
/// of that score and an unused column for the label: about half of the labels come out swapped.
pub(super) fn wrong_results(graph: &GraphProto) -> Result<(), LoadError> {
    let wrong = graph.node.iter().find(|node| {
        let ints = |name: &str| {
            let found = node.attribute.iter().find(|attribute| attribute.name == name);
            found.map(|attribute| attribute.ints.as_slice()).unwrap_or_default()
        };
        let scores: HashSet<_> = ints("class_ids").iter().collect();
        node.op_type == "TreeEnsembleClassifier" && scores.len() < 2
    });
    match wrong {
        Some(node) => Err(unsupported(format!(
            "its `{}` gets the labels of models with two classes wrong",
            node.op_type
        ))),
        None => Ok(()),
    }
}

/// Checks that every initializer kept in a file beside the model is there and whole.
pub(super) fn external_data(model: &ModelProto, directory: &Path) -> Result<(), String> {
    let initializers = model.graph.iter().flat_map(|graph| &graph.initializer);
    for tensor in initializers {
        if tensor.data_location == Some(DataLocation::External as i32) {
            external_tensor(tensor, directory).map_err(|reason| {
                format!("the external data of initializer `{}` {reason}", tensor.name)
            })?;
        }
    }
    Ok(())
}

fn external_tensor(tensor: &TensorProto, directory: &Path) -> Result<(), String> {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|entry| entry.key == key);
        found.map(|entry| entry.value.as_str())
    };
    let location = entry("location").ok_or("has no location")?;
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(inside) {
        return Err(format!("is outside the model's directory: {location}"));
    }
    let path = directory.join(location);
    let size = path
        .metadata()
        .map_err(|error| format!("cannot be read: {}: {error}", path.display()))?
        .len();
    let number = |key| entry(key).map_or(Ok(0), str::parse::<u64>);
    let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
        return Err("has a bad offset or length".to_owned());
    };
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!("reaches beyond the end of {} ({size} bytes)", path.display()));
    }
    Ok(())
}

/// The graph's ends; inputs that are also initializers are not to be fed.
pub(super) fn graph_io(graph: &GraphProto) -> Result<GraphIo, LoadError> {
    let initialized: HashSet<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let inputs = graph
        .input
        .iter()
        .filter(|input| !initialized.contains(&input.name))
        .map(|input| {
            let (dtype, dims) = tensor(input).ok_or_else(|| {
                unsupported(format!("input `{}` is no tensor of ours", input.name))
            })?;
            Ok(GraphInput { name: input.name.clone(), dtype, dims })
        })
        .collect::<Result<_, _>>()?;
    let outputs = graph
        .output
        .iter()
        .map(|output| {
            let (dtype, dims) = tensor(output).ok_or_else(|| {
                unsupported(format!("output `{}` is no tensor of ours", output.name))
            })?;
            let kind = OutputKind::Tensor { dtype, dims };
            Ok(GraphOutput { name: output.name.clone(), kind })
        })
        .collect::<Result<_, _>>()?;
    Ok(GraphIo { inputs, outputs })
}

fn tensor(info: &ValueInfoProto) -> Option<(DType, Dims)> {
    let TypeValue::TensorType(ty) = info.r#type.as_ref()?.value.as_ref()?;
    Some((dtype(ty.elem_type)?, dims(ty)))
}

fn dims(ty: &TensorType) -> Dims {
    let declared = ty.shape.iter().flat_map(|shape| &shape.dim);
    declared
        .map(|dim| match dim.value {
            Some(DimValue::DimValue(size)) => usize::try_from(size).map_or(Dim::Any, Dim::Fixed),
            _ => Dim::Any,
        })
        .collect()
}

fn dtype(number: i32) -> Option<DType> {
    Some(match DataType::try_from(number).ok()? {
        DataType::Bool => DType::Bool,
        DataType::Int8 => DType::I8,
        DataType::Int16 => DType::I16,
        DataType::Int32 => DType::I32,
        DataType::Int64 => DType::I64,
        DataType::Uint8 => DType::U8,
        DataType::Uint16 => DType::U16,
        DataType::Uint32 => DType::U32,
        DataType::Uint64 => DType::U64,
        DataType::Float16 => DType::F16,
        DataType::Float => DType::F32,
        DataType::Double => DType::F64,
        DataType::String => DType::Str,
        _ => return None,
    })
}
