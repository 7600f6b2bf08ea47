//! Model directories in object stores and on web servers.
//!
//! `s3:`, `gs:`, `abfss:`/`wasbs:` and `http(s):` URIs, through the `object_store` crate, with the
//! variables that MLflow's users set for the clients of these stores. Every wait and every retry is
//! bounded, and no message holds a credential: of what a store answers only status and code are
//! shown.
//!
//! Credentials come from variables or from the machine (instance profile, workload identity, the
//! file that `gcloud` writes); profiles of `~/.aws` are not read.

mod address;
mod failure;
mod object_dir;
mod options;
mod stores;
mod web;

#[cfg(test)]
mod tests;

pub use object_dir::ObjectDir;
pub use options::ObjectOptions;
