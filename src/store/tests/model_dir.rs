use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::mlflow::MLMODEL_BYTES_MAX;
use crate::store::ModelDir;
use crate::store::model_dir::{GRAPH_BYTES_MAX, SERVING_INPUT_BYTES_MAX};

use super::wire;

const MLMODEL: &str = "flavors:\n  onnx: {data: model.onnx}\n\
                       saved_input_example_info: {serving_input_path: example.json}\n";

/// A directory with an `MLmodel`, a graph with one tensor of 48 bytes in `w.bin`, and that file.
fn model_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "MLmodel", MLMODEL);
    write(&dir, "model.onnx", graph_with("w.bin"));
    write(&dir, "w.bin", [0; 48]);
    dir
}

fn graph_with(location: &str) -> Vec<u8> {
    wire::model(&[wire::external("weight", &[("location", location)])])
}

fn write(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    fs::write(dir.path().join(name), content).unwrap();
}

fn refusal(dir: &TempDir) -> String {
    let message = ModelDir::open(dir.path()).unwrap_err().to_string();
    assert!(!message.contains('\n'), "one sentence: {message:?}");
    message
}

#[test]
fn a_whole_directory_is_opened_with_all_its_files() {
    let dir = model_dir();
    write(&dir, "example.json", r#"{"inputs": [[1.0]]}"#);
    let opened = ModelDir::open(dir.path()).unwrap();
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(opened.graph, root.join("model.onnx"));
    assert_eq!(opened.external, [root.join("w.bin")]);
    assert_eq!(opened.weight_bytes, 48);
    // The tensor's name and place are none of its nodes.
    assert!(opened.node_bytes > 0 && opened.node_bytes < graph_with("w.bin").len() as u64 / 2);
    assert_eq!(opened.serving_input.as_deref(), Some(&br#"{"inputs": [[1.0]]}"#[..]));
    assert_eq!(opened.mlmodel.onnx.as_ref(), Some(&opened.onnx));
}

#[test]
fn an_example_that_is_missing_or_too_large_is_done_without() {
    let dir = model_dir();
    assert_eq!(ModelDir::open(dir.path()).unwrap().serving_input, None);
    let example = fs::File::create(dir.path().join("example.json")).unwrap();
    example.set_len(SERVING_INPUT_BYTES_MAX + 1).unwrap();
    assert_eq!(ModelDir::open(dir.path()).unwrap().serving_input, None);
}

#[test]
fn what_is_missing_is_named() {
    let dir = model_dir();
    let missing = ModelDir::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("does not exist"));
    let file = ModelDir::open(&dir.path().join("MLmodel")).unwrap_err();
    assert!(file.to_string().contains("is not a directory"));

    fs::remove_file(dir.path().join("w.bin")).unwrap();
    let message = refusal(&dir);
    assert!(
        message.contains("keeps tensor `weight` in `w.bin`, which does not exist"),
        "{message}"
    );
    fs::remove_file(dir.path().join("model.onnx")).unwrap();
    let message = refusal(&dir);
    assert!(message.contains("`data` in ") && message.contains("names `model.onnx`"), "{message}");
    fs::remove_file(dir.path().join("MLmodel")).unwrap();
    assert!(refusal(&dir).contains("holds no MLmodel file"));
}

#[test]
fn a_bare_graph_has_no_signature_and_needs_its_weights_all_the_same() {
    let dir = model_dir();
    fs::remove_file(dir.path().join("MLmodel")).unwrap();
    let opened = ModelDir::open(dir.path()).unwrap();
    assert_eq!((opened.mlmodel.signature, opened.onnx.data.as_str()), (None, "model.onnx"));
    fs::remove_file(dir.path().join("w.bin")).unwrap();
    assert!(refusal(&dir).contains("keeps tensor `weight` in `w.bin`"));
}

#[test]
fn truncated_weights_are_named_with_their_tensor() {
    let dir = model_dir();
    write(&dir, "w.bin", [0; 47]);
    let message = refusal(&dir);
    assert!(message.contains("has 47 bytes, but tensor `weight`"), "{message}");
    assert!(message.contains("byte 48"), "{message}");
}

#[test]
fn a_damaged_graph_is_named() {
    let dir = model_dir();
    let graph = graph_with("w.bin");
    write(&dir, "model.onnx", &graph[..graph.len() - 3]);
    assert!(refusal(&dir).contains("model.onnx` is damaged or not ONNX"));
    write(&dir, "model.onnx", "");
    assert!(refusal(&dir).contains("it holds no graph"));
    write(&dir, "model.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    assert!(refusal(&dir).contains("is a Git LFS pointer"));
    let graph = fs::File::create(dir.path().join("model.onnx")).unwrap();
    graph.set_len(GRAPH_BYTES_MAX + 1).unwrap();
    assert!(refusal(&dir).contains("ONNX allows a graph 2 GiB"));
}

#[test]
fn nothing_outside_of_the_directory_is_opened() {
    let outside = tempfile::tempdir().unwrap();
    write(&outside, "w.bin", [0; 48]);
    let outside_file = outside.path().join("w.bin");
    let outside_name = outside_file.to_str().unwrap();

    for location in ["../w.bin", "a/../../w.bin", outside_name] {
        let dir = model_dir();
        write(&dir, "model.onnx", graph_with(location));
        let message = refusal(&dir);
        assert!(message.contains("lies outside the model directory"), "{location}: {message}");

        let dir = model_dir();
        write(&dir, "MLmodel", format!("flavors: {{onnx: {{data: '{location}'}}}}"));
        assert!(refusal(&dir).contains("lies outside the model directory"), "{location}");

        let dir = model_dir();
        write(&dir, "MLmodel", MLMODEL.replace("example.json", location));
        let message = refusal(&dir);
        assert!(message.contains("`serving_input_path`"), "{location}: {message}");
    }
    for name in ["w.bin", "model.onnx", "MLmodel", "example.json"] {
        let dir = model_dir();
        let _ = fs::remove_file(dir.path().join(name));
        symlink(&outside_file, dir.path().join(name)).unwrap();
        assert!(refusal(&dir).contains("lies outside the model directory"), "{name}");
    }
}

/// As Kubernetes mounts volumes: every file is a link into a hidden folder beside it.
#[test]
fn links_inside_of_the_directory_are_followed() {
    let dir = model_dir();
    fs::create_dir(dir.path().join("..data")).unwrap();
    for name in ["MLmodel", "model.onnx", "w.bin"] {
        let real = dir.path().join("..data").join(name);
        fs::rename(dir.path().join(name), real).unwrap();
        symlink(Path::new("..data").join(name), dir.path().join(name)).unwrap();
    }
    let opened = ModelDir::open(dir.path()).unwrap();
    assert_eq!(opened.graph, dir.path().canonicalize().unwrap().join("model.onnx"));
}

#[test]
fn only_plain_files_are_opened() {
    for name in ["w.bin", "model.onnx", "MLmodel"] {
        let dir = model_dir();
        fs::remove_file(dir.path().join(name)).unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        assert!(refusal(&dir).contains("is not a plain file"), "{name}");
    }
    let dir = model_dir();
    write(&dir, "model.onnx", graph_with("."));
    assert!(refusal(&dir).contains("is not a plain file"));
}

#[test]
fn other_flavors_are_refused_with_the_way_out() {
    for (flavor, way) in [
        ("sklearn", "skl2onnx"),
        ("xgboost", "onnxmltools"),
        ("pytorch", "torch.onnx.export"),
        ("keras", "tf2onnx"),
        ("prophet", "convert the model to ONNX"),
    ] {
        let dir = model_dir();
        write(&dir, "MLmodel", format!("flavors:\n  python_function: {{}}\n  {flavor}: {{}}\n"));
        let message = refusal(&dir);
        assert!(message.contains("has no onnx flavor"), "{message}");
        assert!(message.contains(&format!("python_function, {flavor}")), "{message}");
        assert!(message.contains(way) && message.contains("mlflow.onnx.log_model"), "{message}");
    }
}

#[test]
fn a_bad_mlmodel_file_is_named_with_its_line() {
    let dir = model_dir();
    write(&dir, "MLmodel", "flavors:\n  onnx: {data: model.onnx, providers: 3}\n");
    let message = refusal(&dir);
    assert!(message.contains("MLmodel`: it is not a valid MLmodel file: line 2"), "{message}");
    write(&dir, "MLmodel", vec![b'#'; MLMODEL_BYTES_MAX + 1]);
    assert!(refusal(&dir).contains("has more than 8388608 bytes"));
}

#[test]
fn a_glance_tells_the_beginning_of_a_directory_from_a_whole_one() {
    let dir = model_dir();
    fs::write(dir.path().join("model.onnx"), "not looked at").unwrap();
    ModelDir::glance(dir.path()).unwrap();
    write(&dir, "MLmodel", "flavors:\n  sklearn: {}\n");
    ModelDir::glance(dir.path()).unwrap();
    for begun in
        ["", "flavors:\n", "flavors:\n  onnx: {data: mod", "flavors: {onnx: {data: m.onnx}}"]
    {
        write(&dir, "MLmodel", begun);
        assert!(ModelDir::glance(dir.path()).is_err(), "{begun:?}");
    }
    for file in ["MLmodel", "model.onnx"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    assert!(ModelDir::glance(dir.path()).is_err());
}
