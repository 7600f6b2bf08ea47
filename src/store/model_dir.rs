//! A model directory, verified: all that the graph needs is there, inside, and whole.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use crate::mlflow::{MLMODEL_BYTES_MAX, MlModel, OnnxFlavor};

use super::contained::{ContainedFile, NotContained, open_contained};
use super::model_dir_error::ModelDirError;
use super::onnx_file;

/// Largest graph file, in bytes: protobuf's own limit.
pub(crate) const GRAPH_BYTES_MAX: u64 = (1 << 31) - 1;

/// Largest recorded request body that is read, in bytes. It only warms a model up; a larger one is
/// left where it is.
pub(super) const SERVING_INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) const MLMODEL_FILE: &str = "MLmodel";

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
    /// Size of the graph and its external files together, in bytes: about what the weights take
    /// in memory.
    pub weight_bytes: u64,
    /// A ready `/invocations` body (JSON), where the model was saved with an example.
    pub serving_input: Option<Vec<u8>>,
}

impl ModelDir {
    /// Opens a model directory and verifies it.
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
        let mut weight_bytes = graph.bytes;
        let mut external = Vec::new();
        for (path, bytes) in verify_graph(&root, graph)? {
            external.push(path);
            weight_bytes = weight_bytes.saturating_add(bytes);
        }

        let serving_input = match &mlmodel.serving_input_path {
            Some(relative) => read_serving_input(&root, relative)
                .map_err(|cause| named("serving_input_path", relative, cause))?,
            None => None,
        };
        Ok(Self {
            path: root,
            mlmodel,
            onnx,
            graph: graph_path,
            external,
            weight_bytes,
            serving_input,
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
    let opened = open_contained(root, root, MLMODEL_FILE).map_err(|cause| match cause {
        NotContained::Missing => ModelDirError::NoMlModel { path: root.to_owned() },
        cause => ModelDirError::MlModelFile { path: path.to_owned(), cause },
    })?;
    let mut bytes = Vec::new();
    opened
        .file
        // One byte more than allowed, for the parser to see that it is too large.
        .take(MLMODEL_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| ModelDirError::Unreadable { path: path.to_owned(), cause })?;
    MlModel::parse(&bytes).map_err(|cause| ModelDirError::MlModel { path: path.to_owned(), cause })
}

/// Walks the graph and checks every file that it keeps weights in: path and size of each.
fn verify_graph(root: &Path, graph: ContainedFile) -> Result<Vec<(PathBuf, u64)>, ModelDirError> {
    let ContainedFile { path: graph, mut file, bytes } = graph;
    if bytes > GRAPH_BYTES_MAX {
        return Err(ModelDirError::GraphTooLarge { path: graph, bytes });
    }
    match starts_as_lfs_pointer(&mut file) {
        Ok(false) => {}
        Ok(true) => return Err(ModelDirError::LfsPointer { path: graph }),
        Err(cause) => return Err(ModelDirError::Unreadable { path: graph, cause }),
    }
    let files = match onnx_file::external_files(file, bytes) {
        Ok(files) => files,
        Err(cause) => return Err(ModelDirError::Graph { path: graph, cause }),
    };
    let folder = graph.parent().unwrap_or(root);
    let mut verified = Vec::with_capacity(files.len());
    for needed in files {
        let (location, tensor, bytes_min) = (needed.location, needed.tensor, needed.bytes_min);
        match open_contained(root, folder, &location) {
            Ok(found) if found.bytes >= bytes_min => verified.push((found.path, found.bytes)),
            Ok(ContainedFile { path, bytes, .. }) => {
                return Err(ModelDirError::ExternalTruncated { path, tensor, bytes, bytes_min });
            }
            Err(cause) => {
                return Err(ModelDirError::External { graph, tensor, location, cause });
            }
        }
    }
    Ok(verified)
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
