//! A plain web server, which lists nothing: the MLmodel file says what there is.

use std::fs::File;
use std::io::Write as _;

use futures_util::TryStreamExt as _;

use crate::mlflow::{MLMODEL_BYTES_MAX, MlModel};
use crate::store::{GRAPH_BYTES_MAX, RemoteDir, RemoteError, RemoteFile, external_locations};

/// The files that serving needs: the MLmodel file and what it names, and the files that the graph
/// keeps weights in. To know these the graph is read, into a file that goes at once.
pub(super) async fn named_by_mlmodel(
    remote: &impl RemoteDir,
) -> Result<Vec<RemoteFile>, RemoteError> {
    let mut text = Vec::new();
    let mut stream = remote.read("MLmodel").await?;
    while let Some(piece) = stream.try_next().await? {
        text.extend_from_slice(&piece);
        if text.len() > MLMODEL_BYTES_MAX {
            break;
        }
    }
    let mlmodel = MlModel::parse(&text)
        .map_err(|error| RemoteError::Garbled(format!("its MLmodel file: {error}")))?;
    let Some(onnx) = mlmodel.onnx else {
        let flavors = mlmodel.flavors.join(", ");
        return Err(RemoteError::Unusable(format!(
            "its MLmodel file names no ONNX flavor (it has {flavors})"
        )));
    };
    let mut paths = vec!["MLmodel".to_owned(), onnx.data.clone()];
    paths.extend(weights(remote, &onnx.data).await?);
    if let Some(example) = mlmodel.serving_input_path {
        // A copy may leave examples out.
        match remote.read(&example).await {
            Ok(_) => paths.push(example),
            Err(RemoteError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    paths.sort_unstable();
    paths.dedup();
    Ok(paths.into_iter().map(|path| RemoteFile { path, bytes: None }).collect())
}

/// The files that a graph keeps weights in, as paths of the directory.
async fn weights(remote: &impl RemoteDir, graph: &str) -> Result<Vec<String>, RemoteError> {
    let cannot = |cause: std::io::Error| {
        RemoteError::Unusable(format!("`{graph}` cannot be looked at: {cause}"))
    };
    let mut copy = tempfile::tempfile().map_err(cannot)?;
    let bytes = spool(remote, graph, &mut copy).await?;
    let locations = external_locations(copy, bytes)
        .map_err(|error| RemoteError::Garbled(format!("`{graph}`: the graph {error}")))?;
    let folder = graph.rsplit_once('/').map(|(folder, _)| folder);
    Ok(locations
        .into_iter()
        .map(|location| match folder {
            Some(folder) => format!("{folder}/{location}"),
            None => location,
        })
        .collect())
}

/// Copies a graph; returns its size in bytes.
async fn spool(remote: &impl RemoteDir, path: &str, copy: &mut File) -> Result<u64, RemoteError> {
    let mut stream = remote.read(path).await?;
    let mut bytes = 0;
    while let Some(piece) = stream.try_next().await? {
        bytes += piece.len() as u64;
        if bytes > GRAPH_BYTES_MAX {
            let message = format!("`{path}` has more than {GRAPH_BYTES_MAX} bytes");
            return Err(RemoteError::Unusable(message));
        }
        copy.write_all(&piece)
            .map_err(|cause| RemoteError::Unusable(format!("`{path}` is not copied: {cause}")))?;
    }
    std::io::Seek::rewind(copy)
        .map_err(|cause| RemoteError::Unusable(format!("`{path}` is not read: {cause}")))?;
    Ok(bytes)
}
