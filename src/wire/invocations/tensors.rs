//! `inputs` and `instances`: TensorFlow Serving's request forms, converted with numpy's rules
//! (`_cast_schema_type`, `parse_instances_data` and `convert_data_type` of MLflow).

use super::WireError;
use super::coerce::{tensor_type_text, type_text};
use super::dataframe::transpose;
use super::enforce::values::enforce_type;
use super::frame::Frame;
use super::numpy::{ArrayError, ElementType, NdArray, array, flatten, stack};
use super::value::Value;
use crate::model::{ColumnSpec, ColumnType, Schema, TensorDType, TensorSpec, ValueType};
use crate::tensor::{DType, Tensor};

/// What a body's data became; what `PyFuncModel.predict` receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Frame(Frame),
    Item(Item),
    /// Named arrays or values.
    Named(Vec<(String, Item)>),
    /// A list of records.
    Rows(Vec<Vec<(String, Item)>>),
}

/// One converted value.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Array(NdArray),
    /// A numpy scalar: an array of rank 0 that pandas takes for a scalar.
    Scalar(NdArray),
    /// A Python value, kept as it is.
    Value(Value),
}

impl Item {
    /// The item as a plain Python value.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Self::Array(array) if array.shape().is_empty() => {
                Value::ZeroRank(Box::new(array.to_list()))
            }
            Self::Array(array) | Self::Scalar(array) => match array.to_list() {
                Value::List(items) => Value::Array(items),
                scalar => scalar,
            },
            Self::Value(value) => value,
        }
    }
}

/// The spec that a value is converted with.
#[derive(Clone, Copy)]
enum Spec<'a> {
    Tensor(&'a TensorSpec),
    Column(&'a ColumnSpec),
}

/// The data of `inputs`.
///
/// # Errors
/// `BAD_REQUEST` when a value does not convert to its declared type.
pub fn from_inputs(data: Value, schema: Option<&Schema>) -> Result<Data, WireError> {
    let Some(schema) = schema else { return convert_all(data, None) };
    match data {
        Value::List(ref items)
            if schema.is_named()
                && schema.len() == 1
                && !items.iter().any(|item| matches!(item, Value::Dict(_))) =>
        {
            let (name, spec) = nth(schema, 0).expect("the schema has one input");
            let item = convert(data, name, Some(spec))?;
            Ok(Data::Named(vec![(name.to_owned(), item)]))
        }
        Value::Dict(_) | Value::None if !schema.is_named() => Err(WireError::bad_request(format!(
            "the model has one unnamed input, so an array or a single value is expected, got {}",
            data.type_name()
        ))),
        data => convert_all(data, Some(schema)),
    }
}

/// The data of `instances`.
///
/// # Errors
/// `BAD_REQUEST` when a value does not convert, or named values differ in length.
pub fn from_instances(data: Value, schema: Option<&Schema>) -> Result<Data, WireError> {
    let parsed = match data {
        Value::List(items) if matches!(items.first(), Some(Value::Dict(_))) => {
            from_records(items, schema)?
        }
        other => from_inputs(other, schema)?,
    };
    if let Data::Named(items) = &parsed {
        check_lengths(items, schema)?;
    }
    Ok(parsed)
}

/// Instances as records: each name's values, stacked.
fn from_records(items: Vec<Value>, schema: Option<&Schema>) -> Result<Data, WireError> {
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let Value::Dict(members) = item else {
            return Err(WireError::bad_request(format!(
                "instances: expected an object in every place, as in the first, got {}",
                item.type_name()
            )));
        };
        rows.push(members.into_iter().map(|(name, value)| (name, Some(value))).collect());
    }
    let (names, columns) = transpose(rows, || None)
        .map_err(|why| WireError::bad_request(format!("instances: {why}")))?;
    let stacked = names.into_iter().zip(columns).map(|(name, cells)| {
        let spec = schema.and_then(|schema| find(schema, &name));
        let array = convert_each(cells.into_iter().flatten().collect(), &name, spec)?;
        Ok((name, Item::Array(array)))
    });
    stacked.collect::<Result<_, _>>().map(Data::Named)
}

/// Converts every cell on its own, and stacks the results.
fn convert_each(
    cells: Vec<Value>,
    name: &str,
    spec: Option<Spec<'_>>,
) -> Result<NdArray, WireError> {
    let failed = |why: ArrayError| {
        let input = if spec.is_some() { format!("input '{name}'") } else { "an input".to_owned() };
        WireError::bad_request(format!("{input}: {why}"))
    };
    let is_number = |v: &Value| matches!(v, Value::Bool(_) | Value::Int(_) | Value::Float(_));
    let scalars = cells.iter().all(Value::is_scalar);
    let want = match spec {
        None => cells.iter().all(is_number).then_some(ElementType::Inferred),
        Some(Spec::Tensor(TensorSpec { dtype: TensorDType::Known(dtype), .. })) => {
            scalars.then_some(ElementType::Tensor(*dtype))
        }
        Some(Spec::Column(ColumnSpec { ty: ValueType::Scalar(ty), .. })) => {
            scalars.then_some(element_type(*ty))
        }
        Some(_) => None,
    };
    // Single values come out the same when they are converted as one list, without an array for
    // each.
    if let Some(want) = want {
        return array(&Value::List(cells), want).map_err(failed);
    }
    let items = cells.into_iter().map(|cell| convert(cell, name, spec));
    stack_items(items.collect::<Result<_, _>>()?).map_err(failed)
}

/// `numpy.array(items)`.
fn stack_items(items: Vec<Item>) -> Result<NdArray, ArrayError> {
    let arrays = items.iter().map(|item| match item {
        Item::Array(array) | Item::Scalar(array) => Some(array.clone()),
        Item::Value(_) => None,
    });
    if let Some(arrays) = arrays.collect::<Option<Vec<_>>>() {
        // Of rank 0, object arrays stay what they are as elements of the new one.
        let bare =
            |array: &NdArray| matches!(array, NdArray::Object(_)) && array.shape().is_empty();
        if !arrays.iter().any(bare)
            && let Some(stacked) = stack(&arrays)
        {
            return Ok(stacked);
        }
        if arrays.iter().all(|array| matches!(array, NdArray::Tensor(_))) {
            return promote(&arrays);
        }
    }
    array(&Value::List(items.into_iter().map(Item::into_value).collect()), ElementType::Inferred)
}

/// `numpy.array(arrays)` of different element types: their common one. Beside text, numbers
/// become text in the form that their own array gave them.
pub(super) fn promote(arrays: &[NdArray]) -> Result<NdArray, ArrayError> {
    let is_text = |array: &NdArray| matches!(array, NdArray::Tensor(Tensor::Str(_)));
    let any_text = arrays.iter().any(is_text);
    let lists =
        arrays.iter().map(|array| if any_text { texts(array.to_list()) } else { array.to_list() });
    array(&Value::List(lists.collect()), ElementType::Inferred)
}

/// The leaves of nested lists as text.
fn texts(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(texts).collect()),
        leaf => leaf.to_text().map_or(leaf, Value::Str),
    }
}

/// Named values of `instances` must agree in length: the required ones, arrays excepted, where
/// there is a signature; all of them where there is none.
fn check_lengths(items: &[(String, Item)], schema: Option<&Schema>) -> Result<(), WireError> {
    let counts = |name: &str| match schema {
        Some(schema) if schema.is_named() => match find(schema, name) {
            Some(Spec::Tensor(_)) => true,
            Some(Spec::Column(spec)) => spec.required && !is_array(&spec.ty),
            None => false,
        },
        _ => true,
    };
    let mut first = None;
    for (_, item) in items.iter().filter(|(name, _)| counts(name)) {
        let length = match item {
            Item::Array(array) => array.shape().first().copied(),
            Item::Value(Value::List(items)) => Some(items.len()),
            Item::Scalar(_) | Item::Value(_) => continue,
        };
        let length = length.ok_or_else(|| {
            WireError::bad_request("instances: every input must be a list of values")
        })?;
        if *first.get_or_insert(length) != length {
            return Err(WireError::bad_request(
                "instances: the inputs hold different numbers of values",
            ));
        }
    }
    Ok(())
}

/// `_cast_schema_type` beyond its special cases.
fn convert_all(data: Value, schema: Option<&Schema>) -> Result<Data, WireError> {
    let find = |name: &str| schema.and_then(|schema| find(schema, name));
    let members = |members: Vec<(String, Value)>| {
        let items = members.into_iter().map(|(name, value)| {
            let item = convert(value, &name, find(&name))?;
            Ok((name, item))
        });
        items.collect::<Result<Vec<_>, WireError>>()
    };
    match data {
        Value::Dict(values) => members(values).map(Data::Named),
        Value::List(items) if items.iter().all(|item| matches!(item, Value::Dict(_))) => {
            let rows = items.into_iter().map(|item| match item {
                Value::Dict(values) => members(values),
                _ => Ok(Vec::new()),
            });
            rows.collect::<Result<_, _>>().map(Data::Rows)
        }
        other => {
            let first = schema.and_then(|schema| nth(schema, 0));
            let (name, spec) = first.map_or(("", None), |(name, spec)| (name, Some(spec)));
            convert(other, name, spec).map(Data::Item)
        }
    }
}

fn is_array(ty: &ValueType) -> bool {
    matches!(ty, ValueType::Array(_) | ValueType::SparkMlVector)
}

fn nth(schema: &Schema, i: usize) -> Option<(&str, Spec<'_>)> {
    match schema {
        Schema::Tensors(specs) => {
            specs.get(i).map(|spec| (spec.name.as_deref().unwrap_or_default(), Spec::Tensor(spec)))
        }
        Schema::Columns(columns) => {
            columns.specs.get(i).map(|spec| (spec.name.as_str(), Spec::Column(spec)))
        }
    }
}

/// The spec of that name, in a schema that has names.
fn find<'a>(schema: &'a Schema, name: &str) -> Option<Spec<'a>> {
    match schema {
        Schema::Tensors(specs) => {
            specs.iter().find(|spec| spec.name.as_deref() == Some(name)).map(Spec::Tensor)
        }
        Schema::Columns(columns) if columns.named => {
            columns.specs.iter().find(|spec| spec.name == name).map(Spec::Column)
        }
        Schema::Columns(_) => None,
    }
}

/// `convert_data_type`.
fn convert(data: Value, name: &str, spec: Option<Spec<'_>>) -> Result<Item, WireError> {
    let failed = |want: &str, why: String| {
        // A name that only the request knows may be anything, and is not repeated.
        let input = match (name, spec) {
            ("", _) => "the input".to_owned(),
            (_, None) => "an input".to_owned(),
            (name, Some(_)) => format!("input '{name}'"),
        };
        WireError::bad_request(format!("{input}: {want}{why}"))
    };
    let plain = |why: ArrayError| failed("", why.to_string());
    match spec {
        None => array(&data, ElementType::Inferred).map(Item::Array).map_err(plain),
        Some(Spec::Tensor(spec)) => {
            let want = match &spec.dtype {
                TensorDType::Known(dtype) => ElementType::Tensor(*dtype),
                TensorDType::Other(name) if name == "bytes" => ElementType::Bytes,
                TensorDType::Other(name) if name.starts_with("datetime64") => ElementType::Datetime,
                TensorDType::Other(_) => {
                    return object_array(&data).map(Item::Array).map_err(plain);
                }
            };
            array(&data, want).map(Item::Array).map_err(|why| {
                failed(&format!("declared as {}: ", tensor_type_text(&spec.dtype)), why.to_string())
            })
        }
        Some(Spec::Column(ColumnSpec { ty: ValueType::Scalar(ty), .. })) => {
            convert_scalars(&data, *ty).map_err(plain)
        }
        Some(Spec::Column(ColumnSpec { ty: ValueType::Any, .. })) => Ok(Item::Value(data)),
        Some(Spec::Column(spec)) => {
            let want = format!("declared as {}: ", type_text(&spec.ty));
            let value = enforce_type(data, &spec.ty, spec.required)
                .map_err(|why| failed(&want, why.to_string()))?;
            if is_array(&spec.ty) {
                return array(&value, ElementType::Inferred)
                    .map(Item::Array)
                    .map_err(|why| failed(&want, why.to_string()));
            }
            Ok(Item::Value(value))
        }
    }
}

/// `numpy.array(data, dtype=object)`.
fn object_array(data: &Value) -> Result<NdArray, ArrayError> {
    let (shape, leaves) = flatten(data)?;
    let leaves = leaves.into_iter().cloned().collect();
    let array = ndarray::ArrayD::from_shape_vec(shape, leaves);
    Ok(NdArray::Object(array.expect("flatten counts the leaves of the shape")))
}

/// The numpy dtype that a column's values are converted to.
fn element_type(ty: ColumnType) -> ElementType {
    match ty {
        ColumnType::Boolean => ElementType::Tensor(DType::Bool),
        ColumnType::Integer => ElementType::Tensor(DType::I32),
        ColumnType::Long => ElementType::Tensor(DType::I64),
        ColumnType::Float => ElementType::Tensor(DType::F32),
        ColumnType::Double => ElementType::Tensor(DType::F64),
        ColumnType::String => ElementType::Tensor(DType::Str),
        ColumnType::Binary => ElementType::Bytes,
        ColumnType::Datetime => ElementType::Datetime,
    }
}

fn convert_scalars(data: &Value, ty: ColumnType) -> Result<Item, ArrayError> {
    let want = element_type(ty);
    let keeps_missing = matches!(ty, ColumnType::Boolean | ColumnType::String | ColumnType::Binary);
    match data {
        Value::None if keeps_missing => Ok(Item::Value(Value::None)),
        Value::List(items)
            if keeps_missing
                && items.contains(&Value::None)
                && items.iter().all(|item| *item == Value::None || item.is_scalar()) =>
        {
            let items = items.iter().map(|item| match item {
                Value::None => Ok(Value::None),
                scalar => array(scalar, want).map(|array| array.to_list()),
            });
            let items = items.collect::<Result<Vec<_>, _>>()?;
            Ok(Item::Array(NdArray::Object(ndarray::Array1::from_vec(items).into_dyn())))
        }
        Value::List(_) => array(data, want).map(Item::Array),
        scalar => array(scalar, want).map(Item::Scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn instances_of_different_kinds_take_their_common_type() {
        for (cells, want) in [
            ("[1, 2.5]", "Tensor(F64([1.0, 2.5]"),
            ("[true, 2]", "Tensor(I64([1, 2]"),
            ("[1, \"a\"]", "Tensor(Str([\"1\", \"a\"]"),
            ("[1.0, \"a\"]", "Tensor(Str([\"1.0\", \"a\"]"),
            ("[18446744073709551615, 1]", "Tensor(F64([1.8446744073709552e19, 1.0]"),
            ("[[1, 2], [0.5, 1]]", "Tensor(F64([[1.0, 2.0],\n [0.5, 1.0]]"),
            ("[\"x\", null]", "Object([ZeroRank(Str(\"x\")), ZeroRank(None)]"),
            ("[null]", "Object([ZeroRank(None)]"),
            ("[[null], [1]]", "Object([[None],\n [Int(1)]]"),
        ] {
            let Ok(Value::List(cells)) = json::parse(cells.as_bytes()) else { panic!("{cells}") };
            let rows = cells.into_iter().map(|cell| Value::Dict(vec![("a".into(), cell)]));
            let Data::Named(items) = from_instances(Value::List(rows.collect()), None).unwrap()
            else {
                panic!("instances are named")
            };
            let Item::Array(array) = &items[0].1 else { panic!("instances are arrays") };
            let shown = format!("{array:?}");
            assert!(shown.starts_with(want), "{shown} instead of {want}");
        }
    }
}
