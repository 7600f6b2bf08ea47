//! MLflow's own formats: the `MLmodel` file, signatures, `models:/` and `runs:/` URIs.
//!
//! Everything here is a pure function from text to values: no file is opened and no host is asked.
//! Old and new files are read alike (MLflow 1.x to 3.x), and what MLflow ignores is ignored here.

mod mlmodel;
mod model_uri;
mod raw;
mod run_uri;
mod signature;
mod signature_json;
mod yaml;

#[cfg(test)]
mod tests;

pub use mlmodel::{MLMODEL_BYTES_MAX, MlModel, MlModelError, OnnxFlavor};
pub use model_uri::{ModelUri, ModelUriError};
pub use run_uri::{RunUri, RunUriError};
pub use signature::SignatureError;
pub use yaml::{DuplicateKeys, YamlError, read_yaml};
