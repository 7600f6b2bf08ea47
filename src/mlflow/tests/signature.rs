use serde_json::json;

use crate::mlflow::signature::{OTHER_DTYPES, SignatureError, parse};
use crate::model::{
    ColumnType, Columns, ParamSpec, ParamType, Property, Schema, TensorDType, TensorSpec, ValueType,
};
use crate::tensor::{DType, Dim, Dims};

fn inputs(text: &str) -> Result<Schema, SignatureError> {
    Ok(parse(Some(text), None, None)?.unwrap().inputs.unwrap())
}

fn columns(text: &str) -> Columns {
    match inputs(text).unwrap() {
        Schema::Columns(columns) => columns,
        Schema::Tensors(_) => panic!("not columns: {text}"),
    }
}

fn params(text: &str) -> Result<Vec<ParamSpec>, SignatureError> {
    Ok(parse(None, None, Some(text))?.unwrap().params.unwrap())
}

fn scalar(ty: ColumnType) -> ValueType {
    ValueType::Scalar(ty)
}

#[test]
fn nothing_declared_is_no_signature() {
    assert_eq!(parse(None, None, None), Ok(None));
    assert_eq!(parse(Some(""), Some(""), None), Ok(None));
    let outputs_only = parse(None, Some(r#"[{"type": "long"}]"#), None).unwrap().unwrap();
    assert_eq!(outputs_only.inputs, None);
    assert_eq!(outputs_only.outputs.map(|schema| schema.len()), Some(1));
}

#[test]
fn outputs_that_do_not_parse_are_dropped() {
    let input = r#"[{"type": "double", "name": "a"}]"#;
    let signature = parse(Some(input), Some("[{]"), None).unwrap().unwrap();
    assert!(signature.inputs.is_some());
    assert_eq!(signature.outputs, None);
}

#[test]
fn tensors_are_read_with_every_dtype_name() {
    let spec = |dtype: &str| {
        let text = json!([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": []}}]);
        inputs(&text.to_string())
    };
    let tensor =
        |dtype| Ok(Schema::Tensors(vec![TensorSpec { name: None, dtype, dims: Dims(Vec::new()) }]));
    for (name, dtype) in [
        ("float32", DType::F32),
        ("bool", DType::Bool),
        ("str", DType::Str),
        ("double", DType::F64),
        ("half", DType::F16),
    ] {
        assert_eq!(spec(name), tensor(TensorDType::Known(dtype)), "{name}");
    }
    for name in OTHER_DTYPES {
        assert_eq!(spec(name), tensor(TensorDType::Other(name.to_owned())), "{name}");
    }
    assert!(spec("str10").is_err());
    assert!(spec("").is_err());
}

#[test]
fn tensors_keep_names_and_dimensions() {
    let text = r#"[
        {"name": "a", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 3]}},
        {"name": "b", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [0]}}]"#;
    let Schema::Tensors(tensors) = inputs(text).unwrap() else { panic!("tensors") };
    assert_eq!(tensors[0].name.as_deref(), Some("a"));
    assert_eq!(tensors[0].dims, Dims(vec![Dim::Any, Dim::Fixed(3)]));
    assert_eq!(tensors[1].dims, Dims(vec![Dim::Fixed(0)]));
}

/// The defaults of `ColSpec.from_json_dict`, and the two spellings of "not required".
#[test]
fn missing_required_means_required_for_scalars_only() {
    let cases = [
        (r#""type": "double""#, true),
        (r#""type": "double", "required": false"#, false),
        (r#""type": "double", "required": null"#, false),
        (r#""type": "double", "optional": true"#, false),
        (r#""type": "double", "optional": false"#, true),
        (r#""type": "double", "required": true, "optional": true"#, true),
        (r#""type": "array", "items": {"type": "double"}"#, false),
        (r#""type": "array", "items": {"type": "double"}, "required": true"#, true),
        (r#""type": "object", "properties": {"x": {"type": "long"}}"#, false),
        (r#""type": "map", "values": {"type": "long"}"#, false),
        (r#""type": "any""#, false),
        (r#""type": "sparkml_vector""#, false),
    ];
    for (spec, required) in cases {
        let columns = columns(&format!(r#"[{{"name": "a", {spec}}}]"#));
        assert_eq!(columns.specs[0].required, required, "{spec}");
    }
}

#[test]
fn names_are_all_there_or_none_is() {
    assert!(!columns(r#"[{"type": "double"}, {"type": "double", "name": null}]"#).named);
    assert!(columns(r#"[{"type": "double", "name": ""}]"#).named);
    let numbered = columns(r#"[{"type": "double", "name": 0}, {"type": "double", "name": 1}]"#);
    assert_eq!(numbered.specs[1].name, "1");
    // An array is optional by default, so without a name it contradicts nothing.
    assert!(!columns(r#"[{"type": "array", "items": {"type": "double"}}]"#).named);
}

#[test]
fn nested_types_are_read_with_properties_sorted_and_required_by_default() {
    let text = r#"[{"name": "o", "type": "object", "properties": {
        "z": {"type": "array", "items": {"type": "sparkml_vector"}},
        "a": {"type": "map", "values": {"type": "any"}, "required": false},
        "m": {"type": "object", "properties": {"x": {"type": "binary"}}}}}]"#;
    let property = |name: &str, ty, required| Property { name: name.to_owned(), ty, required };
    let want = ValueType::Object(vec![
        property("a", ValueType::Map(Box::new(ValueType::Any)), false),
        property(
            "m",
            ValueType::Object(vec![property("x", scalar(ColumnType::Binary), true)]),
            true,
        ),
        property("z", ValueType::Array(Box::new(ValueType::SparkMlVector)), true),
    ]);
    assert_eq!(columns(text).specs[0].ty, want);
    let map = columns(r#"[{"name": "m", "type": "map", "values": {"type": "sparkml_vector"}}]"#);
    assert_eq!(map.specs[0].ty, ValueType::SparkMlVector);
}

#[test]
fn params_are_read_with_type_or_dtype() {
    let text = r#"[{"name": "a", "default": 0.5, "shape": null, "type": "double"},
                   {"name": "b", "default": ["x"], "shape": [-1], "dtype": "string"},
                   {"name": "c", "default": {"x": 1}, "type": "object",
                    "properties": {"x": {"type": "long"}}},
                   {"name": "d", "default": -Infinity, "type": "float"}]"#;
    let params = params(text).unwrap();
    assert_eq!(params[0].ty, ParamType::Scalar(ColumnType::Double));
    assert_eq!((params[1].is_array, &params[1].default), (true, &json!(["x"])));
    assert!(matches!(&params[2].ty, ParamType::Object(properties) if properties.len() == 1));
    assert_eq!(params[3].default, json!("-Infinity"));
    assert_eq!(parse(None, None, Some("[]")).unwrap().unwrap().params, Some(Vec::new()));
}

#[test]
fn mistakes_in_inputs_are_named_by_their_path() {
    let tensor = r#"{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}"#;
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let cases = [
        ("{", "signature.inputs is not JSON"),
        (deep.as_str(), "recursion"),
        (r#"{"type": "double"}"#, "signature.inputs: expected a list, got an object"),
        ("[1]", "signature.inputs[0]: expected an object, got 1"),
        ("[]", "an empty list declares nothing"),
        (r#"[{"name": "a"}]"#, "signature.inputs[0].type: expected boolean"),
        (r#"[{"type": "doubl", "name": "a"}]"#, "got `doubl`"),
        (r#"[{"type": "double", "name": ["a"]}]"#, "inputs[0].name: expected text, got a list"),
        (r#"[{"type": "double", "name": "a"}, {"type": "long"}]"#, "either all columns have names"),
        (r#"[{"type": "double", "required": false}]"#, "without names cannot be optional"),
        (
            r#"[{"type": "double", "name": "a", "required": 1}]"#,
            "inputs[0].required: expected true",
        ),
        (r#"[{"type": "array", "name": "a"}]"#, "inputs[0].items: expected an object with a type"),
        (
            r#"[{"type": "map", "name": "a", "values": {"type": "array", "items": {}}}]"#,
            "signature.inputs[0].values.items.type: expected",
        ),
        (r#"[{"type": "object", "name": "a", "properties": {}}]"#, "at least one property"),
        (
            r#"[{"type": "object", "name": "a", "properties": {"x": "long"}}]"#,
            "inputs[0].properties.x: expected an object with a type, got `long`",
        ),
        (r#"[{"type": "tensor"}]"#, "inputs[0].tensor-spec: expected an object"),
        (
            r#"[{"type": "tensor", "tensor-spec": {"dtype": "float31", "shape": [-1]}}]"#,
            "inputs[0].tensor-spec.dtype: expected the name of a numpy type, got `float31`",
        ),
        (
            r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, -2]}}]"#,
            "inputs[0].tensor-spec.shape[1]: expected -1 or a size, got -2",
        ),
        (
            r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32"}}]"#,
            "tensor-spec.shape: expected a list of sizes, got nothing",
        ),
    ];
    for (text, part) in cases {
        let message = inputs(text).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    let mixed = format!(r#"[{tensor}, {{"type": "double", "name": "a"}}]"#);
    assert!(inputs(&mixed).unwrap_err().to_string().contains("cannot be mixed"));
    let two = inputs(&format!("[{tensor}, {tensor}]"));
    assert!(two.unwrap_err().to_string().contains("must all have names"));
}

#[test]
fn mistakes_in_params_are_named_by_their_path() {
    let cases = [
        (r#"[{"type": "double", "default": 1}]"#, "params[0].name: expected text, got nothing"),
        (r#"[{"name": "a", "default": 1}]"#, "params[0].type: expected boolean"),
        (r#"[{"name": "a", "type": "binary", "default": 1}]"#, "got `binary`"),
        (r#"[{"name": "a", "type": "any", "default": 1}]"#, "got `any`"),
        (r#"[{"name": "a", "type": "long"}]"#, "params[0].default: expected a value or null"),
        (
            r#"[{"name": "a", "type": "long", "default": 1, "shape": [2]}]"#,
            "params[0].shape: expected null or [-1], got a list",
        ),
        (
            r#"[{"name": "a", "type": "object", "default": 1, "shape": [-1],
                "properties": {"x": {"type": "long"}}}]"#,
            "params[0].shape: expected null, as for every object parameter",
        ),
        (
            r#"[{"name": "a", "type": "long", "default": 1},
                {"name": "a", "type": "long", "default": 1}]"#,
            "signature.params: two parameters have the same name",
        ),
    ];
    for (text, part) in cases {
        let message = params(text).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}
