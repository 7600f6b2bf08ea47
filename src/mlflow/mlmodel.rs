//! The `MLmodel` file: which flavors a model directory has, how its ONNX graph wants to be loaded,
//! and its signature.

use std::fmt::Write as _;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::model::{Provider, SessionOptions, Signature};

use super::raw::{
    RawExampleInfo, RawFlavors, RawMlModel, RawOnnx, RawSessionOptions, RawSignature,
};
use super::signature::{self, SignatureError};
use super::yaml::{DuplicateKeys, YamlError, read_yaml};

/// Largest `MLmodel` file that is read, in bytes. Wide signatures reach some hundred kilobytes.
pub const MLMODEL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The Python module that MLflow loads an ONNX model with.
const ONNX_LOADER: &str = "mlflow.onnx";

/// Providers of a model that names none: MLflow's own default.
const DEFAULT_PROVIDERS: [&str; 2] = ["CUDAExecutionProvider", "CPUExecutionProvider"];

/// What an `MLmodel` file says.
#[derive(Clone, Debug, PartialEq)]
pub struct MlModel {
    /// The ONNX flavor; `None` when the model was logged without it.
    pub onnx: Option<OnnxFlavor>,
    /// The names of all flavors, in the file's order.
    pub flavors: Vec<String>,
    /// `None` when nothing is declared.
    pub signature: Option<Signature>,
    /// `sha256:` and the digest of the texts that declare inputs and outputs: what says whether
    /// two models promise the same. `None` when neither is declared.
    pub signature_digest: Option<String>,
    /// Whether the signature was derived from Python type hints, not from data.
    pub signature_from_type_hint: bool,
    /// Where a ready request body lies, relative to the model directory.
    pub serving_input_path: Option<String>,
    pub mlflow_version: Option<String>,
    /// `m-` and 32 hex digits for a logged model.
    pub model_id: Option<String>,
    pub model_uuid: Option<String>,
    pub run_id: Option<String>,
    /// As written: `2026-11-20 15:24:46.562903`.
    pub utc_time_created: Option<String>,
    /// What the user attached, or null.
    pub metadata: Json,
}

/// How the ONNX graph is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxFlavor {
    /// The graph's file, relative to the model directory.
    pub data: String,
    /// The version of the `onnx` package that wrote the graph.
    pub onnx_version: Option<String>,
    /// In order of preference; never empty.
    pub providers: Vec<Provider>,
    /// What MLflow's loader honours. It tests each number for truth, so a written `0` is the
    /// runtime's default too, even for the optimization level, and an unknown execution mode is
    /// ignored.
    pub session: SessionOptions,
}

/// Why an `MLmodel` file cannot be used. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum MlModelError {
    #[error("it has more than {MLMODEL_BYTES_MAX} bytes, so it is not an MLmodel file")]
    TooLarge,
    #[error("it is not UTF-8 text (byte {offset})")]
    NotUtf8 { offset: usize },
    #[error("it is not a valid MLmodel file: {0}")]
    Yaml(#[from] YamlError),
    #[error("it names no `flavors`, so it is not an MLmodel file")]
    NoFlavors,
    #[error("`{field}`: expected {expected}, got {got}")]
    Field { field: &'static str, expected: &'static str, got: String },
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl MlModel {
    /// Reads the bytes of an `MLmodel` file of MLflow 1.x, 2.x or 3.x.
    ///
    /// # Errors
    /// When the file is too large, not UTF-8, not YAML, or holds a field that cannot mean
    /// anything. Declared outputs that do not parse are dropped: scoring never looks at them.
    pub fn parse(bytes: &[u8]) -> Result<Self, MlModelError> {
        if bytes.len() > MLMODEL_BYTES_MAX {
            return Err(MlModelError::TooLarge);
        }
        let text = str::from_utf8(bytes)
            .map_err(|error| MlModelError::NotUtf8 { offset: error.valid_up_to() })?;
        // `Option`, because an empty document is null and not an empty mapping.
        let raw: Option<RawMlModel> = read_yaml(text, DuplicateKeys::LastWins)?;
        check(raw.unwrap_or_default())
    }
}

fn check(raw: RawMlModel) -> Result<MlModel, MlModelError> {
    let mut flavors = raw.flavors.unwrap_or_default();
    if flavors.names.is_empty() {
        return Err(MlModelError::NoFlavors);
    }
    let onnx = match flavors.onnx.take() {
        Some(onnx) => Some(check_onnx(onnx, &flavors)?),
        None => None,
    };
    let signature_digest = raw.signature.as_ref().and_then(digest);
    let signature = match raw.signature {
        Some(raw) => {
            signature::parse(raw.inputs.as_deref(), raw.outputs.as_deref(), raw.params.as_deref())?
        }
        None => None,
    };
    let RawExampleInfo { serving_input_path } = raw.saved_input_example_info.unwrap_or_default();
    Ok(MlModel {
        onnx,
        flavors: flavors.names,
        signature,
        signature_digest,
        signature_from_type_hint: raw.is_signature_from_type_hint.unwrap_or(false),
        serving_input_path,
        mlflow_version: raw.mlflow_version,
        model_id: raw.model_id,
        model_uuid: raw.model_uuid,
        run_id: raw.run_id,
        utc_time_created: raw.utc_time_created,
        metadata: raw.metadata.unwrap_or(Json::Null),
    })
}

/// The two texts as they stand in the file, a line each; `null` for one that is missing.
fn digest(RawSignature { inputs, outputs, .. }: &RawSignature) -> Option<String> {
    let [inputs, outputs] =
        [inputs, outputs].map(|text| text.as_deref().filter(|text| !text.is_empty()));
    inputs.or(outputs)?;
    let [inputs, outputs] = [inputs, outputs].map(|text| text.unwrap_or("null"));
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(format!("{inputs}\n{outputs}")) {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
    }
    Some(text)
}

/// The data file is the one that MLflow's scoring server loads: the `python_function` flavor's,
/// and only failing that the ONNX flavor's own.
fn check_onnx(onnx: RawOnnx, flavors: &RawFlavors) -> Result<OnnxFlavor, MlModelError> {
    let pyfunc = flavors.python_function.as_ref();
    if let Some(module) = pyfunc.and_then(|flavor| flavor.loader_module.as_deref())
        && module != ONNX_LOADER
    {
        // MLflow would answer with Python code here, so the bare graph may answer differently.
        return Err(MlModelError::Field {
            field: "flavors.python_function.loader_module",
            expected: "`mlflow.onnx` (log the graph by itself with mlflow.onnx.log_model)",
            got: format!("`{module}`"),
        });
    }
    let data = pyfunc
        .and_then(|flavor| flavor.data.clone())
        .or(onnx.data)
        .filter(|data| !data.is_empty())
        .ok_or_else(|| MlModelError::Field {
            field: "flavors.onnx.data",
            expected: "the name of the graph's file",
            got: "nothing".to_owned(),
        })?;
    let mut providers: Vec<Provider> = onnx
        .providers
        .unwrap_or_default()
        .0
        .into_iter()
        .map(|raw| Provider { name: raw.name, options: raw.options.0 })
        .collect();
    if providers.is_empty() {
        providers = DEFAULT_PROVIDERS
            .map(|name| Provider { name: name.to_owned(), options: Vec::new() })
            .to_vec();
    }
    let session = check_session(onnx.onnx_session_options.unwrap_or_default())?;
    Ok(OnnxFlavor { data, onnx_version: onnx.onnx_version, providers, session })
}

fn check_session(raw: RawSessionOptions) -> Result<SessionOptions, MlModelError> {
    let threads = |count: Option<u32>| count.filter(|&count| count > 0).map(|count| count as usize);
    let level = raw.graph_optimization_level.filter(|&level| level > 0);
    if let Some(level) = level
        && !matches!(level, 1..=3 | 99)
    {
        return Err(MlModelError::Field {
            field: "flavors.onnx.onnx_session_options.graph_optimization_level",
            expected: "0, 1, 2, 3 or 99",
            got: level.to_string(),
        });
    }
    let parallel_execution =
        raw.execution_mode.and_then(|mode| match mode.to_ascii_lowercase().as_str() {
            "sequential" => Some(false),
            "parallel" => Some(true),
            _ => None,
        });
    Ok(SessionOptions {
        intra_op_threads: threads(raw.intra_op_num_threads),
        inter_op_threads: threads(raw.inter_op_num_threads),
        parallel_execution,
        graph_optimization_level: level,
        config_entries: raw.extra_session_config.unwrap_or_default().0,
    })
}
