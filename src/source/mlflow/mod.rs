//! MLflow's tracking server and model registry, over REST.
//!
//! [`MlflowSource`] asks which version should serve and where its files are, [`ProxyDir`] reads
//! files through the server, and [`Client`] is what both speak with; it also writes tags, aliases
//! and stages. Calls are async and bounded in time, size and number. What blocks is short: files of
//! certificates when a client is made, and one look whether a directory is on this machine.
//!
//! Credentials go to the two configured servers and to no other host, not by a redirect either.

mod answers;
mod ask;
mod client;
mod options;
mod origin;
mod presigned;
mod promote;
mod proxy_dir;
mod reads;
mod refusal;
mod source;
mod tell;
mod writes;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use options::{ClientOptions, Credentials, RetryPolicy};
pub use proxy_dir::ProxyDir;
pub use source::MlflowSource;
pub use tell::TAG_PREFIX;
pub use writes::OthersInStage;
