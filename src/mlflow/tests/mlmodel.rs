use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::model::{ColumnType, Provider, Schema, SessionOptions, TensorDType, ValueType};
use crate::tensor::DType;

use crate::mlflow::{MLMODEL_BYTES_MAX, MlModel, MlModelError, OnnxFlavor};

/// A file of `tests/fixtures/mlmodel`, all written by MLflow itself.
fn fixture(name: &str) -> MlModel {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mlmodel");
    MlModel::parse(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn parse(text: &str) -> Result<MlModel, MlModelError> {
    MlModel::parse(text.as_bytes())
}

/// An `MLmodel` file with these lines in its onnx flavor.
fn onnx_with(lines: &str) -> String {
    format!("flavors:\n  onnx:\n    data: model.onnx\n{lines}")
}

fn parse_onnx(lines: &str) -> OnnxFlavor {
    parse(&onnx_with(lines)).unwrap().onnx.unwrap()
}

fn provider(name: &str, options: &[(&str, &str)]) -> Provider {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Provider { name: name.to_owned(), options: options.iter().map(own).collect() }
}

fn default_providers() -> Vec<Provider> {
    vec![provider("CUDAExecutionProvider", &[]), provider("CPUExecutionProvider", &[])]
}

/// Digests as `hashlib` computes them of what `ModelSignature.to_dict()` gives.
#[test]
fn a_signature_has_the_digest_of_its_texts() {
    let digest = |signature: &str| {
        let lines = format!("{}signature:\n{signature}", onnx_with(""));
        parse(&lines).unwrap().signature_digest
    };
    let inputs = r#"[{"name": "a", "type": "double"}]"#;
    let of_inputs = "sha256:557e76825985117e5a7f0374b9c23b4eab0cdeff1eaa18893a46163ea7e0de05";
    assert_eq!(digest(&format!("  inputs: '{inputs}'\n")).as_deref(), Some(of_inputs));
    let nulls = format!("  inputs: '{inputs}'\n  outputs: null\n  params: '[]'\n");
    assert_eq!(digest(&nulls).as_deref(), Some(of_inputs));
    assert_eq!(
        digest(&format!("  outputs: '{inputs}'\n")).as_deref(),
        Some("sha256:212e3ccd1e33dad6ee80ca6eeec8e892e9ea5c7bdf0e8a78f971311aba069e90")
    );
    assert_eq!(digest("  inputs: null\n  params: '[]'\n"), None);
    assert_eq!(parse(&onnx_with("")).unwrap().signature_digest, None);
}

#[test]
fn a_file_of_mlflow_1_is_read() {
    let mlmodel = fixture("real_1_30_tensor.yaml");
    let onnx = mlmodel.onnx.unwrap();
    assert_eq!(mlmodel.flavors, ["onnx", "python_function"]);
    assert_eq!((onnx.data.as_str(), onnx.onnx_version.as_deref()), ("model.onnx", Some("1.14.1")));
    assert_eq!(onnx.providers, default_providers());
    assert_eq!(onnx.session, SessionOptions::default());
    assert_eq!(mlmodel.mlflow_version.as_deref(), Some("1.30.1"));
    assert_eq!((mlmodel.model_id, mlmodel.run_id), (None, None));
    assert_eq!(mlmodel.serving_input_path, None);
    assert_eq!(mlmodel.metadata, Json::Null);
    let Some(Schema::Tensors(tensors)) = mlmodel.signature.unwrap().inputs else {
        panic!("a tensor signature")
    };
    assert_eq!(tensors.len(), 1);
    assert_eq!(tensors[0].name, None);
    assert_eq!(tensors[0].dtype, TensorDType::Known(DType::F32));
    assert_eq!(tensors[0].dims.to_string(), "(-1, 16)");
}

#[test]
fn a_file_of_mlflow_2_has_required_columns_without_saying_so() {
    let mlmodel = fixture("real_2_9_columns.yaml");
    let Some(Schema::Columns(columns)) = mlmodel.signature.unwrap().inputs else {
        panic!("a column signature")
    };
    assert!(columns.named);
    assert_eq!(columns.specs.len(), 11);
    assert_eq!(columns.specs[1].name, "volatile acidity");
    let double = ValueType::Scalar(ColumnType::Double);
    assert!(columns.specs.iter().all(|column| column.required && column.ty == double));
}

#[test]
fn a_logged_model_of_mlflow_3_is_read() {
    let mlmodel = fixture("logged_model_3x.yaml");
    let id = "m-354245824d6d4aeca4b41822983f1343";
    assert_eq!(mlmodel.model_id.as_deref(), Some(id));
    assert_eq!(mlmodel.model_uuid.as_deref(), Some(id));
    assert_eq!(mlmodel.run_id.as_deref(), Some("bb803c41c95d4ae0a9fa6c4deec1d1c7"));
    assert_eq!(mlmodel.mlflow_version.as_deref(), Some("3.18.0"));
    assert_eq!(mlmodel.utc_time_created.as_deref(), Some("2026-11-20 15:24:46.562903"));
    assert_eq!(mlmodel.serving_input_path.as_deref(), Some("serving_input_example.json"));
    assert!(!mlmodel.signature_from_type_hint);
}

#[test]
fn provider_options_and_session_options_are_read() {
    let onnx = fixture("provider_tuples.yaml").onnx.unwrap();
    let cuda = provider("CUDAExecutionProvider", &[("device_id", "0")]);
    assert_eq!(onnx.providers, [cuda, provider("CPUExecutionProvider", &[])]);

    let onnx = fixture("session_options.yaml").onnx.unwrap();
    let want = SessionOptions {
        intra_op_threads: Some(1),
        inter_op_threads: Some(1),
        parallel_execution: Some(false),
        graph_optimization_level: Some(99),
        config_entries: vec![("session.set_denormal_as_zero".to_owned(), "1".to_owned())],
    };
    assert_eq!(onnx.session, want);
}

/// Anchors, folded text, escapes, a `uuid` that looks like a float, `.nan`, a binary, a number as
/// key: what `PyYAML` makes of a user's metadata.
#[test]
fn what_pyyaml_writes_is_read_as_it_was_meant() {
    let mlmodel = fixture("metadata_3x.yaml");
    assert_eq!(mlmodel.model_uuid.as_deref(), Some("0123456789012345678901234567e890"));
    assert_eq!(mlmodel.run_id.as_deref(), Some("12345678901234567890123456789012"));
    let onnx = mlmodel.onnx.unwrap();
    assert_eq!(onnx.onnx_version.as_deref(), Some("1.10"));
    let options =
        [("trt_fp16_enable", "true"), ("trt_max_workspace_size", "2147483648"), ("x", "1.0e-05")];
    assert_eq!(onnx.providers[0], provider("TensorrtExecutionProvider", &options));

    let metadata = &mlmodel.metadata;
    assert_eq!(metadata["owners"], json!(["alice", "bob"]));
    assert_eq!(metadata["nested"]["again"], metadata["owners"]);
    assert_eq!(metadata["nested"]["ratio"], json!(0.1));
    assert_eq!(metadata["version"], json!("1.10"));
    assert_eq!(metadata["date"], json!("2026-11-20"));
    assert_eq!(metadata["7"], json!("number key"));
    assert_eq!(metadata["text"], json!("Grüße, 世界 😀: it's \"quoted\"\nsecond line\n"));
    assert_eq!(metadata["long"], json!("word ".repeat(60)));

    let signature = mlmodel.signature.unwrap();
    let Some(Schema::Columns(columns)) = signature.inputs else { panic!("columns") };
    assert_eq!(columns.specs[0].name, "Größe der Fläche 世界 in m², it's long");
    assert!(columns.specs[1].name.starts_with("emoji 😀 name"));
    assert_eq!(signature.params.unwrap()[0].default, json!("NaN"));
}

#[test]
fn params_and_nested_columns_are_read() {
    let params = fixture("params_model.yaml").signature.unwrap().params.unwrap();
    let names: Vec<_> = params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(names, ["temperature", "top_k", "mode", "flag", "stops", "f", "i", "when"]);
    assert!(params.iter().all(|param| param.is_array == (param.name == "stops")));

    let signature = fixture("complex_columns.yaml").signature.unwrap();
    let Some(Schema::Columns(columns)) = signature.inputs else { panic!("columns") };
    let scalar = |ty| Box::new(ValueType::Scalar(ty));
    let array = |inner| ValueType::Array(inner);
    assert_eq!(columns.specs[2].ty, array(scalar(ColumnType::Double)));
    assert_eq!(columns.specs[3].ty, array(Box::new(array(scalar(ColumnType::Long)))));
    assert_eq!(columns.specs[5].ty, ValueType::Map(scalar(ColumnType::Long)));
    assert_eq!(columns.specs[6].ty, ValueType::Any);
    assert!(columns.specs[..2].iter().all(|column| column.required));
    assert!(columns.specs[2..].iter().all(|column| !column.required));
}

#[test]
fn every_key_but_flavors_may_be_absent_or_null() {
    let nulls = "mlflow_version: null\nmodel_id: ~\nmodel_uuid:\nrun_id: null\nmetadata: null\n\
                 utc_time_created: null\nsignature: null\nsaved_input_example_info: null\n\
                 is_signature_from_type_hint: null\nsomething_new: {a: [1, 2]}\n";
    let onnx_nulls =
        "    providers: null\n    onnx_session_options: null\n    onnx_version: null\n";
    let python_function = "  python_function:\n    data: null\n    env: conda.yaml\n";
    let all_null = parse(&format!("{}{python_function}{nulls}", onnx_with(onnx_nulls))).unwrap();
    let mut absent = parse(&onnx_with("")).unwrap();
    assert_eq!(absent.signature, None);
    assert_eq!(absent.onnx.as_ref().unwrap().providers, default_providers());
    absent.flavors = all_null.flavors.clone();
    assert_eq!(all_null, absent);
}

#[test]
fn providers_are_read_in_every_notation() {
    let cpu = || vec![provider("CPUExecutionProvider", &[])];
    let with_options = |options| vec![provider("CPUExecutionProvider", options)];
    let cases = [
        ("CPUExecutionProvider", cpu()),
        ("[CPUExecutionProvider]", cpu()),
        ("[[CPUExecutionProvider]]", cpu()),
        ("[[CPUExecutionProvider, null]]", cpu()),
        (
            "[[CPUExecutionProvider, {b: 1.50, a: true, c: null, d: 'x y'}]]",
            with_options(&[("b", "1.50"), ("a", "true"), ("d", "x y")]),
        ),
        ("[]", default_providers()),
        ("~", default_providers()),
    ];
    for (text, want) in cases {
        assert_eq!(parse_onnx(&format!("    providers: {text}\n")).providers, want, "{text}");
    }
}

/// MLflow's loader asks whether each option is true before it hands it on.
#[test]
fn session_options_are_honoured_as_far_as_mlflow_honours_them() {
    let session =
        |text: &str| parse_onnx(&format!("    onnx_session_options: {{{text}}}\n")).session;
    let unset = SessionOptions::default();
    for text in [
        "",
        "intra_op_num_threads: 0, inter_op_num_threads: 0",
        "graph_optimization_level: 0",
        "execution_mode: other",
        "extra_session_config: null",
        "unknown_option: 1",
    ] {
        assert_eq!(session(text), unset, "{text}");
    }
    assert_eq!(session("execution_mode: PARALLEL").parallel_execution, Some(true));
    assert_eq!(session("execution_mode: Sequential").parallel_execution, Some(false));
    assert_eq!(session("intra_op_num_threads: 3").intra_op_threads, Some(3));
    let entries = session("extra_session_config: {a: 1, b: true, c: 0.5, d: '01'}").config_entries;
    let values: Vec<_> = entries.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "true", "0.5", "01"]);
}

#[test]
fn the_data_file_is_the_one_that_mlflow_loads() {
    let data = |text: &str| parse(text).unwrap().onnx.unwrap().data;
    let both = "flavors:\n  onnx: {data: a.onnx}\n  python_function: {data: b.onnx}\n";
    assert_eq!(data(both), "b.onnx");
    assert_eq!(data("flavors: {onnx: {data: a.onnx}}"), "a.onnx");
    assert_eq!(data("flavors: {onnx: null, python_function: {data: b.onnx}}"), "b.onnx");
}

#[test]
fn a_model_without_onnx_flavor_is_read_for_its_flavors() {
    let text = "flavors:\n  python_function: {loader_module: mlflow.sklearn, data: model.pkl}\n\
                \x20 sklearn: {pickled_model: model.pkl, sklearn_version: 1.5.0}\n";
    let mlmodel = parse(text).unwrap();
    assert_eq!(mlmodel.onnx, None);
    assert_eq!(mlmodel.flavors, ["python_function", "sklearn"]);
}

#[test]
fn what_cannot_be_meant_is_an_error_that_names_the_place() {
    let deep = format!(
        "flavors: {{onnx: {{data: x}}}}\nmetadata: {}{}",
        "[".repeat(9999),
        "]".repeat(9999)
    );
    let cases = [
        (String::new(), "names no `flavors`"),
        ("# empty\n".to_owned(), "names no `flavors`"),
        ("mlflow_version: 2.0.0\n".to_owned(), "names no `flavors`"),
        ("flavors: {}\n".to_owned(), "names no `flavors`"),
        ("flavors: [onnx]\n".to_owned(), "`flavors: [onnx]`"),
        ("- a\n- list\n".to_owned(), "line 1"),
        ("just text".to_owned(), "line 1"),
        ("flavors: {onnx: {data: x}\n".to_owned(), "line"),
        (
            "flavors: {onnx: {data: x}}\n---\nflavors: {}\n".to_owned(),
            "at `flavors: {}`: a second document",
        ),
        ("flavors: {onnx: {}}\n".to_owned(), "`flavors.onnx.data`"),
        ("flavors: {onnx: {data: ''}}\n".to_owned(), "`flavors.onnx.data`"),
        (onnx_with("    providers: 3\n"), "`providers: 3`"),
        (onnx_with("    providers: [3]\n"), "a provider's name"),
        (onnx_with("    providers: [[]]\n"), "a provider's name"),
        (onnx_with("    providers: [[a, {}, b]]\n"), "a provider's name"),
        (onnx_with("    providers: [[a, {b: [1]}]]\n"), "`providers: [[a, {b: [1]}]]`"),
        (
            onnx_with("    onnx_session_options:\n      intra_op_num_threads: many\n"),
            "line 5, column 29, at `intra_op_num_threads: many`",
        ),
        (
            onnx_with("    onnx_session_options:\n      inter_op_num_threads: -1\n"),
            "`inter_op_num_threads: -1`",
        ),
        (
            onnx_with("    onnx_session_options: {graph_optimization_level: 7}\n"),
            "graph_optimization_level`: expected 0, 1, 2, 3 or 99, got 7",
        ),
        (
            onnx_with("  python_function: {loader_module: my.loader}\n"),
            "expected `mlflow.onnx` (log the graph by itself with mlflow.onnx.log_model), \
             got `my.loader`",
        ),
        (onnx_with("signature: {inputs: '{'}\n"), "signature.inputs is not JSON"),
        (onnx_with("signature: text\n"), "`signature: text`"),
        (deep, "recursion limit"),
    ];
    for (text, part) in cases {
        let message = parse(&text).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
        assert!(!message.contains('\n'), "one line: {message:?}");
    }
}

/// Nine levels of nine aliases each would be 387 million items.
#[test]
fn aliases_do_not_expand_without_bound() {
    let mut lines = vec!["flavors: {onnx: {data: x}}\nmetadata:\n  b0: &b0 [x]".to_owned()];
    lines.extend((1..=9).map(|level| {
        let aliases = format!("*b{}, ", level - 1).repeat(9);
        format!("  b{level}: &b{level} [{aliases}]")
    }));
    let text = lines.join("\n");
    let message = parse(&text).unwrap_err().to_string();
    assert!(message.contains("alias replay limit exceeded"), "{message}");
}

#[test]
fn size_and_encoding_are_checked_before_anything_is_parsed() {
    let large = vec![b'#'; MLMODEL_BYTES_MAX + 1];
    assert!(matches!(MlModel::parse(&large), Err(MlModelError::TooLarge)));
    let latin1 = b"flavors: {onnx: {data: mod\xe8le.onnx}}";
    assert!(matches!(MlModel::parse(latin1), Err(MlModelError::NotUtf8 { offset: 26 })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = MlModel::parse(&bytes);
    }

    #[test]
    fn no_damaged_file_makes_the_reader_panic(
        cut in 0usize..1200,
        at in 0usize..1200,
        replacement in "[\\PC\\n]{0,6}",
    ) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mlmodel");
        let text = std::fs::read_to_string(folder.join("metadata_3x.yaml")).unwrap();
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut / 40).min(chars.len());
        chars.splice(at..end, replacement.chars());
        let _ = parse(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn no_yaml_shaped_text_makes_the_reader_panic(
        text in "(flavors|onnx|providers|data|[ \\n:\\-\\[\\]{},&*!'\"|>#?%@`~a0.]){0,60}",
    ) {
        let _ = parse(&text);
    }
}
