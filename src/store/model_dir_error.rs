//! Why a model directory cannot be served. Every text is one sentence for the operator, naming the
//! file or field and what to do.

use std::io;
use std::path::PathBuf;

use crate::mlflow::MlModelError;

use super::contained::NotContained;
use super::onnx_file::OnnxFileError;

/// Why a model directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ModelDirError {
    #[error("`{}` does not exist; give the directory that holds the MLmodel file", .path.display())]
    Missing { path: PathBuf },
    #[error(
        "`{}` is not a directory; give the directory that holds the MLmodel file",
        .path.display()
    )]
    NotADirectory { path: PathBuf },
    #[error("`{}` cannot be read: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error(
        "`{}` holds no MLmodel file, so it is not an MLflow model directory; give a directory that \
         mlflow.onnx.save_model or mlflow.onnx.log_model wrote",
        .path.display()
    )]
    NoMlModel { path: PathBuf },
    #[error("`{}` {cause}", .path.display())]
    MlModelFile { path: PathBuf, cause: NotContained },
    #[error("`{}`: {cause}", .path.display())]
    MlModel { path: PathBuf, cause: MlModelError },
    #[error(
        "`{}` has no onnx flavor (it has {}); {}",
        .path.display(), .flavors.join(", "), advice(.flavors)
    )]
    NoOnnxFlavor { path: PathBuf, flavors: Vec<String> },
    /// A file that the `MLmodel` file names.
    #[error("`{field}` in `{}` names `{file}`, which {cause}", .mlmodel.display())]
    Named { mlmodel: PathBuf, field: &'static str, file: String, cause: NotContained },
    #[error(
        "`{}` is a Git LFS pointer, not the graph itself; run `git lfs pull` where it came from",
        .path.display()
    )]
    LfsPointer { path: PathBuf },
    #[error(
        "`{}` has {bytes} bytes, but ONNX allows a graph 2 GiB; save the model again with \
         save_as_external_data=True",
        .path.display()
    )]
    GraphTooLarge { path: PathBuf, bytes: u64 },
    #[error("the graph `{}` {cause}; save or copy the model again", .path.display())]
    Graph { path: PathBuf, cause: OnnxFileError },
    /// A file that the graph keeps weights in.
    #[error(
        "the graph `{}` keeps tensor `{tensor}` in `{location}`, which {cause}",
        .graph.display()
    )]
    External { graph: PathBuf, tensor: String, location: String, cause: NotContained },
    #[error(
        "`{}` has {bytes} bytes, but tensor `{tensor}` of the graph reaches to byte {bytes_min}; \
         copy the whole model directory again",
        .path.display()
    )]
    ExternalTruncated { path: PathBuf, tensor: String, bytes: u64, bytes_min: u64 },
}

/// How a model of these flavors becomes one that can be served.
fn advice(flavors: &[String]) -> &'static str {
    let has = |name: &str| flavors.iter().any(|flavor| flavor == name);
    if has("sklearn") {
        "convert the model with skl2onnx and log it with mlflow.onnx.log_model"
    } else if has("xgboost") || has("lightgbm") {
        "convert the model with onnxmltools and log it with mlflow.onnx.log_model"
    } else if has("catboost") {
        "save the model with CatBoost's save_model(format=\"onnx\") and log that with \
         mlflow.onnx.log_model"
    } else if has("pytorch") {
        "export the model with torch.onnx.export and log it with mlflow.onnx.log_model"
    } else if has("tensorflow") || has("keras") {
        "convert the model with tf2onnx and log it with mlflow.onnx.log_model"
    } else if has("transformers") || has("sentence_transformers") {
        "export the model with Optimum (optimum-cli export onnx) and log it with \
         mlflow.onnx.log_model"
    } else {
        "convert the model to ONNX and log it with mlflow.onnx.log_model"
    }
}
