//! Signatures: JSON texts inside the `MLmodel` file, read as `mlflow/types/schema.py` reads them.
//!
//! MLflow 2.9 and older wrote `optional: true` where newer ones write `required: false`; both are
//! read. Nesting is bounded by the JSON reader, which refuses more than 128 levels.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value as Json};

use crate::model::{
    ColumnSpec, ColumnType, Columns, ParamSpec, ParamType, Property, Schema, Signature,
    TensorDType, TensorSpec, ValueType,
};
use crate::tensor::{DType, Dim, Dims};

use super::signature_json;

/// Names of numpy types that no tensor of ours holds, but that a signature may declare.
pub(super) const OTHER_DTYPES: [&str; 12] = [
    "object",
    "bytes",
    "complex64",
    "complex128",
    "complex256",
    "float128",
    "void",
    "datetime64",
    "datetime64[ns]",
    "datetime64[us]",
    "datetime64[ms]",
    "datetime64[s]",
];

const COLUMN_TYPES: &str = "boolean, integer, long, float, double, string, binary, datetime, \
                            array, object, map or any";

/// Why a signature cannot be read. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("signature.{part} is not JSON: {reason}")]
    Json { part: &'static str, reason: String },
    /// One value, named by its path (`signature.inputs[2].items.type`).
    #[error("{at}: expected {expected}, got {got}")]
    Field { at: String, expected: &'static str, got: String },
    /// The parts contradict each other.
    #[error("signature.{part}: {rule}")]
    Rule { part: &'static str, rule: &'static str },
}

/// Reads the three texts of a signature; `None` and an empty text declare nothing.
pub(super) fn parse(
    inputs: Option<&str>,
    outputs: Option<&str>,
    params: Option<&str>,
) -> Result<Option<Signature>, SignatureError> {
    let [inputs, outputs, params] =
        [inputs, outputs, params].map(|text| text.filter(|text| !text.is_empty()));
    if inputs.is_none() && outputs.is_none() && params.is_none() {
        return Ok(None);
    }
    Ok(Some(Signature {
        inputs: inputs.map(|text| parse_schema("inputs", text)).transpose()?,
        // Outputs play no role in scoring: a model is not refused for them.
        outputs: outputs.and_then(|text| parse_schema("outputs", text).ok()),
        params: params.map(parse_params).transpose()?,
    }))
}

/// A place in a signature, for error texts. Borrowed links instead of a text built on the way:
/// nothing is formatted unless something is wrong.
#[derive(Clone, Copy)]
enum At<'a> {
    Part(&'static str),
    Index(&'a At<'a>, usize),
    Key(&'a At<'a>, &'a str),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(f, "signature.{part}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
        }
    }
}

impl At<'_> {
    /// The error that this place does not hold what it should.
    fn expected(&self, expected: &'static str, got: Option<&Json>) -> SignatureError {
        SignatureError::Field { at: self.to_string(), expected, got: signature_json::describe(got) }
    }
}

fn parse_schema(part: &'static str, text: &str) -> Result<Schema, SignatureError> {
    let rule = |rule| Err(SignatureError::Rule { part, rule });
    let specs = parse_list(part, text)?;
    let at = At::Part(part);
    let is_tensor = |spec: &Map<String, Json>| spec.get("type") == Some(&Json::from("tensor"));
    let tensor_count = specs.iter().filter(|spec| is_tensor(spec)).count();
    let indexed = specs.iter().enumerate();
    if specs.is_empty() {
        rule("an empty list declares nothing; write null instead")
    } else if tensor_count == specs.len() {
        let specs = indexed.map(|(i, spec)| parse_tensor(At::Index(&at, i), spec));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        let unnamed = specs.iter().filter(|spec| spec.name.is_none()).count();
        if unnamed > 0 && specs.len() > 1 {
            return rule("several tensors must all have names");
        }
        Ok(Schema::Tensors(specs))
    } else if tensor_count == 0 {
        let specs = indexed.map(|(i, spec)| parse_column(At::Index(&at, i), spec));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        parse_columns(part, specs).map(Schema::Columns)
    } else {
        rule("tensors and columns cannot be mixed")
    }
}

fn parse_list(part: &'static str, text: &str) -> Result<Vec<Map<String, Json>>, SignatureError> {
    let at = At::Part(part);
    let json = signature_json::read(text)
        .map_err(|error| SignatureError::Json { part, reason: error.to_string() })?;
    let Json::Array(items) = json else {
        return Err(at.expected("a list", Some(&json)));
    };
    let objects = items.into_iter().enumerate().map(|(i, item)| match item {
        Json::Object(object) => Ok(object),
        other => Err(At::Index(&at, i).expected("an object", Some(&other))),
    });
    objects.collect()
}

fn parse_tensor(at: At<'_>, spec: &Map<String, Json>) -> Result<TensorSpec, SignatureError> {
    let name = parse_name(at, spec)?;
    let at = At::Key(&at, "tensor-spec");
    let Some(info) = spec.get("tensor-spec").and_then(Json::as_object) else {
        return Err(at.expected("an object with dtype and shape", spec.get("tensor-spec")));
    };
    let at_dtype = At::Key(&at, "dtype");
    let dtype = info
        .get("dtype")
        .and_then(Json::as_str)
        .and_then(parse_dtype)
        .ok_or_else(|| at_dtype.expected("the name of a numpy type", info.get("dtype")))?;
    let at_shape = At::Key(&at, "shape");
    let Some(Json::Array(sizes)) = info.get("shape") else {
        return Err(at_shape.expected("a list of sizes", info.get("shape")));
    };
    let dims = sizes.iter().enumerate().map(|(i, size)| {
        let fixed = size.as_u64().and_then(|size| usize::try_from(size).ok()).map(Dim::Fixed);
        let any = (size.as_i64() == Some(-1)).then_some(Dim::Any);
        fixed.or(any).ok_or_else(|| At::Index(&at_shape, i).expected("-1 or a size", Some(size)))
    });
    Ok(TensorSpec { name, dtype, dims: dims.collect::<Result<Dims, _>>()? })
}

/// A numpy type by MLflow's spelling (`float32`), or by one of numpy's other names that people
/// write by hand.
fn parse_dtype(name: &str) -> Option<TensorDType> {
    let known = DType::from_name(name).or(match name {
        "float" | "double" => Some(DType::F64),
        "single" => Some(DType::F32),
        "half" => Some(DType::F16),
        "int" | "long" => Some(DType::I64),
        "uint" => Some(DType::U64),
        _ => None,
    });
    let other = || OTHER_DTYPES.contains(&name).then(|| TensorDType::Other(name.to_owned()));
    known.map(TensorDType::Known).or_else(other)
}

/// A column with what only the whole list can judge: whether it has a name at all.
struct RawColumn {
    name: Option<String>,
    ty: ValueType,
    required: bool,
}

fn parse_column(at: At<'_>, spec: &Map<String, Json>) -> Result<RawColumn, SignatureError> {
    let name = parse_name(at, spec)?;
    let ty = parse_type(at, spec)?;
    // MLflow's own defaults: a missing `required` is true for scalars and false for the others.
    let required = parse_required(at, spec)?.unwrap_or(matches!(ty, ValueType::Scalar(_)));
    Ok(RawColumn { name, ty, required })
}

fn parse_columns(part: &'static str, raw: Vec<RawColumn>) -> Result<Columns, SignatureError> {
    let named = raw.iter().filter(|column| column.name.is_some()).count();
    if named != 0 && named != raw.len() {
        let rule = "either all columns have names or none";
        return Err(SignatureError::Rule { part, rule });
    }
    if named == 0 && raw.iter().any(is_optional_scalar) {
        let rule = "columns without names cannot be optional";
        return Err(SignatureError::Rule { part, rule });
    }
    let specs = raw.into_iter().map(|column| ColumnSpec {
        name: column.name.unwrap_or_default(),
        ty: column.ty,
        required: column.required,
    });
    Ok(Columns { specs: specs.collect(), named: named != 0 })
}

/// Arrays, objects and maps are optional by default, so in them it is not a contradiction.
fn is_optional_scalar(column: &RawColumn) -> bool {
    !column.required && matches!(column.ty, ValueType::Scalar(_))
}

/// `None` for no name. A `DataFrame` without column names has numbers for names; they count as
/// their text.
fn parse_name(at: At<'_>, spec: &Map<String, Json>) -> Result<Option<String>, SignatureError> {
    match spec.get("name") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) => Ok(Some(name.clone())),
        Some(Json::Number(name)) => Ok(Some(name.to_string())),
        other => Err(At::Key(&at, "name").expected("text", other)),
    }
}

/// `None` where neither spelling is there. A null is MLflow's `None`: not required.
fn parse_required(at: At<'_>, spec: &Map<String, Json>) -> Result<Option<bool>, SignatureError> {
    for (key, meaning) in [("required", true), ("optional", false)] {
        match spec.get(key) {
            None => {}
            Some(Json::Bool(flag)) => return Ok(Some(*flag == meaning)),
            Some(Json::Null) => return Ok(Some(!meaning)),
            other => return Err(At::Key(&at, key).expected("true or false", other)),
        }
    }
    Ok(None)
}

fn parse_type(at: At<'_>, spec: &Map<String, Json>) -> Result<ValueType, SignatureError> {
    let ty = spec.get("type");
    let expected_type = || At::Key(&at, "type").expected(COLUMN_TYPES, ty);
    let name = ty.and_then(Json::as_str).ok_or_else(expected_type)?;
    match name {
        "array" => parse_inner(At::Key(&at, "items"), spec.get("items"))
            .map(|items| ValueType::Array(Box::new(items))),
        "map" => parse_inner(At::Key(&at, "values"), spec.get("values")).map(|values| {
            match values {
                // MLflow's reader answers a map of vectors with the vector type itself.
                ValueType::SparkMlVector => ValueType::SparkMlVector,
                values => ValueType::Map(Box::new(values)),
            }
        }),
        "object" => parse_properties(at, spec).map(ValueType::Object),
        "any" => Ok(ValueType::Any),
        "sparkml_vector" => Ok(ValueType::SparkMlVector),
        scalar => ColumnType::from_name(scalar).map(ValueType::Scalar).ok_or_else(expected_type),
    }
}

fn parse_inner(at: At<'_>, spec: Option<&Json>) -> Result<ValueType, SignatureError> {
    match spec {
        Some(Json::Object(spec)) => parse_type(at, spec),
        other => Err(at.expected("an object with a type", other)),
    }
}

/// The properties of an object type, sorted by name as MLflow sorts them.
fn parse_properties(at: At<'_>, spec: &Map<String, Json>) -> Result<Vec<Property>, SignatureError> {
    let at = At::Key(&at, "properties");
    let members = match spec.get("properties") {
        Some(Json::Object(members)) if !members.is_empty() => members,
        other => return Err(at.expected("an object with at least one property", other)),
    };
    let properties = members.iter().map(|(name, spec)| {
        let at = At::Key(&at, name);
        let Json::Object(object) = spec else {
            return Err(at.expected("an object with a type", Some(spec)));
        };
        // Unlike columns, properties of every type are required by default.
        let required = parse_required(at, object)?.unwrap_or(true);
        Ok(Property { name: name.clone(), ty: parse_type(at, object)?, required })
    });
    let mut properties = properties.collect::<Result<Vec<_>, _>>()?;
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(properties)
}

fn parse_params(text: &str) -> Result<Vec<ParamSpec>, SignatureError> {
    let part = "params";
    let at = At::Part(part);
    let specs = parse_list(part, text)?;
    let params = specs.iter().enumerate().map(|(i, spec)| parse_param(At::Index(&at, i), spec));
    let params = params.collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    if !params.iter().all(|param| names.insert(param.name.as_str())) {
        return Err(SignatureError::Rule { part, rule: "two parameters have the same name" });
    }
    Ok(params)
}

fn parse_param(at: At<'_>, spec: &Map<String, Json>) -> Result<ParamSpec, SignatureError> {
    let name = parse_name(at, spec)?
        .ok_or_else(|| At::Key(&at, "name").expected("text", spec.get("name")))?;
    // Older files say `dtype`.
    let type_name = spec.get("type").or_else(|| spec.get("dtype"));
    let ty = match type_name.and_then(Json::as_str) {
        Some("object") => ParamType::Object(parse_properties(at, spec)?),
        other => other
            .and_then(ColumnType::from_name)
            .filter(|ty| *ty != ColumnType::Binary)
            .map(ParamType::Scalar)
            .ok_or_else(|| {
                let expected = "boolean, integer, long, float, double, string, datetime or object";
                At::Key(&at, "type").expected(expected, type_name)
            })?,
    };
    let default = spec
        .get("default")
        .cloned()
        .ok_or_else(|| At::Key(&at, "default").expected("a value or null", None))?;
    let at_shape = At::Key(&at, "shape");
    let is_array = match (spec.get("shape"), &ty) {
        (None | Some(Json::Null), _) => false,
        (Some(shape), ParamType::Scalar(_)) if *shape == Json::from([-1]) => true,
        (shape, ParamType::Scalar(_)) => {
            return Err(at_shape.expected("null or [-1]", shape));
        }
        (shape, ParamType::Object(_)) => {
            return Err(at_shape.expected("null, as for every object parameter", shape));
        }
    };
    Ok(ParamSpec { name, ty, default, is_array })
}
