//! A model directory, verified: all that the graph needs is there, inside, and whole.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use crate::mlflow::{MLMODEL_BYTES_MAX, MlModel, OnnxFlavor};

use super::contained::{ContainedFile, NotContained, open_contained};
use super::layout::has_file;
use super::model_dir_error::ModelDirError;
use super::onnx_file::{self, ExternalFile, GraphWeights};
use super::reference_file::ReferenceFile;

/// Largest graph file, in bytes: protobuf's own limit.
pub(crate) const GRAPH_BYTES_MAX: u64 = (1 << 31) - 1;

/// Largest recorded request body that is read, in bytes. It only warms a model up; a larger one is
/// left where it is.
pub(super) const SERVING_INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) const MLMODEL_FILE: &str = "MLmodel";

/// A graph that lies in a directory by itself, as it does for most servers of ONNX models.
pub(super) const BARE_GRAPH_FILE: &str = "model.onnx";

/// What MLflow would have written beside it: no signature, so requests are as the graph declares.
const BARE_MLMODEL: &[u8] = b"flavors: {onnx: {data: model.onnx}}";

const LFS_POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A verified model directory. Nothing in it is locked: whoever changes it later is on their own.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDir {
    /// The directory, absolute and without links.
    pub path: PathBuf,
    pub mlmodel: MlModel,
    /// The same as in `mlmodel`, where it may be missing.
    pub onnx: OnnxFlavor,
    /// The `.onnx` file.
    pub graph: PathBuf,
    /// The files that the graph keeps weights in, sorted.
    pub external: Vec<PathBuf>,
    /// Bytes that the weights have in memory at least, wherever they lie; those of 16 bits count
    /// twice, as most engines widen them.
    pub weight_bytes: u64,
    /// The rest of the graph's file, in bytes: its nodes, and the trees of a forest.
    pub node_bytes: u64,
    /// A ready `/invocations` body (JSON), where the model was saved with an example.
    pub serving_input: Option<Vec<u8>>,
    /// What the model's inputs and outputs looked like in its training data.
    pub drift_reference: ReferenceFile,
}

impl ModelDir {
    /// Opens a model directory and verifies it. One without an `MLmodel` file is a graph by itself,
    /// `model.onnx`.
    ///
    /// # Errors
    /// When the directory, its `MLmodel` file, the graph or a file of weights is missing,
    /// damaged, unreadable or outside, or when there is no ONNX flavor.
    pub fn open(path: &Path) -> Result<Self, ModelDirError> {
        let root = canonical_dir(path)?;
        let mlmodel_path = root.join(MLMODEL_FILE);
        let mlmodel = read_mlmodel(&root, &mlmodel_path)?;
        let Some(onnx) = mlmodel.onnx.clone() else {
            let flavors = mlmodel.flavors;
            return Err(ModelDirError::NoOnnxFlavor { path: root, flavors });
        };
        let named = |field, file: &str, cause| {
            let (mlmodel, file) = (mlmodel_path.clone(), file.to_owned());
            ModelDirError::Named { mlmodel, field, file, cause }
        };

        let graph = open_contained(&root, &root, &onnx.data)
            .map_err(|cause| named("data", &onnx.data, cause))?;
        let graph_path = graph.path.clone();
        let graph_bytes = graph.bytes;
        let (external, weights) = verify_graph(&root, graph)?;

        let serving_input = match &mlmodel.serving_input_path {
            Some(relative) => read_serving_input(&root, relative)
                .map_err(|cause| named("serving_input_path", relative, cause))?,
            None => None,
        };
        let drift_reference = ReferenceFile::read(&root, &mlmodel.metadata);
        Ok(Self {
            path: root,
            mlmodel,
            onnx,
            graph: graph_path,
            external,
            weight_bytes: weights.wide_bytes,
            node_bytes: graph_bytes.saturating_sub(weights.own_bytes),
            serving_input,
            drift_reference,
        })
    }

    /// Looks whether a directory is more than the beginning of one: its `MLmodel` file parses, and
    /// the graph that this names is there. Nothing of the graph is read.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn glance(path: &Path) -> Result<(), ModelDirError> {
        let root = canonical_dir(path)?;
        let mlmodel_path = root.join(MLMODEL_FILE);
        // Without the flavor nothing is missing: why it cannot be served is found when it is
        // opened.
        let Some(onnx) = read_mlmodel(&root, &mlmodel_path)?.onnx else { return Ok(()) };
        match open_contained(&root, &root, &onnx.data) {
            Ok(_) => Ok(()),
            Err(cause) => Err(ModelDirError::Named {
                mlmodel: mlmodel_path,
                field: "data",
                file: onnx.data,
                cause,
            }),
        }
    }
}

fn canonical_dir(path: &Path) -> Result<PathBuf, ModelDirError> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => ModelDirError::Missing { path: path.to_owned() },
        _ => ModelDirError::Unreadable { path: path.to_owned(), cause },
    };
    let root = path.canonicalize().map_err(unreadable)?;
    if fs::metadata(&root).map_err(unreadable)?.is_dir() {
        Ok(root)
    } else {
        Err(ModelDirError::NotADirectory { path: path.to_owned() })
    }
}

fn read_mlmodel(root: &Path, path: &Path) -> Result<MlModel, ModelDirError> {
    let mut bytes = Vec::new();
    match open_contained(root, root, MLMODEL_FILE) {
        // One byte more than allowed, for the parser to see that it is too large.
        Ok(opened) => opened.file.take(MLMODEL_BYTES_MAX as u64 + 1).read_to_end(&mut bytes),
        Err(NotContained::Missing) if has_file(root, BARE_GRAPH_FILE) => {
            bytes.extend_from_slice(BARE_MLMODEL);
            Ok(bytes.len())
        }
        Err(NotContained::Missing) => {
            return Err(ModelDirError::NoMlModel { path: root.to_owned() });
        }
        Err(cause) => return Err(ModelDirError::MlModelFile { path: path.to_owned(), cause }),
    }
    .map_err(|cause| ModelDirError::Unreadable { path: path.to_owned(), cause })?;
    MlModel::parse(&bytes).map_err(|cause| ModelDirError::MlModel { path: path.to_owned(), cause })
}

/// Walks the graph and checks every file that it keeps weights in.
fn verify_graph(
    root: &Path,
    graph: ContainedFile,
) -> Result<(Vec<PathBuf>, GraphWeights), ModelDirError> {
    let ContainedFile { path: graph, mut file, bytes } = graph;
    if bytes > GRAPH_BYTES_MAX {
        return Err(ModelDirError::GraphTooLarge { path: graph, bytes });
    }
    match starts_as_lfs_pointer(&mut file) {
        Ok(false) => {}
        Ok(true) => return Err(ModelDirError::LfsPointer { path: graph }),
        Err(cause) => return Err(ModelDirError::Unreadable { path: graph, cause }),
    }
    let weights = match onnx_file::graph_weights(file, bytes) {
        Ok(weights) => weights,
        Err(cause) => return Err(ModelDirError::Graph { path: graph, cause }),
    };
    let folder = graph.parent().unwrap_or(root);
    let mut verified = Vec::with_capacity(weights.files.len());
    for ExternalFile { location, tensor, bytes_min } in &weights.files {
        match open_contained(root, folder, location) {
            Ok(found) if found.bytes >= *bytes_min => verified.push(found.path),
            Ok(ContainedFile { path, bytes, .. }) => {
                let (tensor, bytes_min) = (tensor.clone(), *bytes_min);
                return Err(ModelDirError::ExternalTruncated { path, tensor, bytes, bytes_min });
            }
            Err(cause) => {
                let (tensor, location) = (tensor.clone(), location.clone());
                return Err(ModelDirError::External { graph, tensor, location, cause });
            }
        }
    }
    Ok((verified, weights))
}

/// Leaves the file at its start.
fn starts_as_lfs_pointer(file: &mut fs::File) -> io::Result<bool> {
    let mut start = Vec::with_capacity(LFS_POINTER_START.len());
    file.by_ref().take(LFS_POINTER_START.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == LFS_POINTER_START)
}

/// The recorded request body; `None` when it is not there (a copy may leave examples out) or is
/// too large to be worth reading.
fn read_serving_input(root: &Path, relative: &str) -> Result<Option<Vec<u8>>, NotContained> {
    let mut opened = match open_contained(root, root, relative) {
        Ok(opened) if opened.bytes <= SERVING_INPUT_BYTES_MAX => opened,
        Ok(_) | Err(NotContained::Missing) => return Ok(None),
        Err(cause) => return Err(cause),
    };
    let mut body = Vec::new();
    let limit = SERVING_INPUT_BYTES_MAX;
    opened.file.by_ref().take(limit).read_to_end(&mut body).map_err(NotContained::Io)?;
    Ok(Some(body))
}
