//! Registries: what says which version of a model should serve.
//!
//! A source is asked again and again and answers with the present state, never with what has
//! changed: who missed an answer, or asks after a restart, has lost nothing. An error, or no
//! answer, changes nothing either.

mod any;
mod aspired;
mod directory;
mod file_store;
mod hint;
mod location;
mod mlflow;
mod object;
mod promote;
mod records;
mod sqlite;
mod told;
mod wanted;

#[cfg(test)]
mod tests;

pub use any::{FileSource, Source};
pub use aspired::{Aspired, Origin, SourceError};
pub use directory::{DirectoryOptions, DirectorySource, models_at};
pub use file_store::{FileStoreOptions, FileStoreSource};
pub use hint::{Hint, Watch};
pub use mlflow::{
    Client, ClientOptions, Credentials, MlflowSource, OthersInStage, ProxyDir, RetryPolicy,
    TAG_PREFIX,
};
pub use object::{ObjectDir, ObjectOptions};
pub use promote::{PromoteError, Promoted, promote_directory};
pub use sqlite::{SqliteOptions, SqliteSource};
pub use told::Told;
pub use wanted::{Wanted, WantedError};
