//! Model directories on disk: where they are, whether they are whole, what lies in them.
//!
//! [`Place`] is what a path of a directory registry names; [`ModelDir`] verifies
//! one before any runtime sees it; [`Cache`] keeps versions that were fetched; [`TuneCache`] keeps
//! what was measured. All calls block: they are for start-up and loader threads.

mod cache;
mod contained;
mod layout;
mod model_dir;
mod model_dir_error;
mod model_folder;
mod onnx_file;
mod onnx_wire;
mod reference_file;
mod registry_file;
mod remote;
mod remote_uri;
mod source_path;
mod tune_cache;

#[cfg(test)]
mod tests;

pub use cache::{
    About, Cache, CacheError, CacheKey, CacheOptions, Damage, FetchError, Held, LastKnown,
    ListingError, Quarantined,
};
pub use contained::NotContained;
pub use layout::{LayoutError, Place, ResolvedModel, one_directory};
pub(crate) use model_dir::GRAPH_BYTES_MAX;
pub use model_dir::ModelDir;
pub use model_dir_error::ModelDirError;
pub use model_folder::{Meaning, ModelFolder, read_registry_file};
pub use onnx_file::OnnxFileError;
pub(crate) use onnx_file::external_locations;
pub use reference_file::{NamedBy, ReferenceFile};
pub use registry_file::{
    Assignment, AssignmentError, REGISTRY_FILE, RegistryFile, RegistryFileError,
};
pub use remote::{ByteStream, RemoteDir, RemoteError, RemoteFile};
pub use remote_uri::without_secrets;
pub(crate) use source_path::percent_decoded;
pub use source_path::{SourcePathError, local_path, scheme};
pub use tune_cache::{TuneCache, TuneConditions, TuneKey, TuneRecord};
