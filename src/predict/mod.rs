//! Batch scoring: the rows of a file through the scoring protocol and an engine into another file.
//!
//! A row means what it would mean to the server: the same decoder reads it. What is different is
//! the size. A file is read in blocks of whole rows, blocks are scored by several threads and
//! written in their order, and only so many of them exist at a time, so memory does not grow with
//! the file. A fault names the file, the row and, where there is one, the line; the target appears
//! when all rows are in it, or not at all.
//!
//! In reading order: `job` puts the parts together; an `input` becomes `block`s (`csv`,
//! `json`, `parquet`); `scorer` makes outputs of them, `columns` typed columns of these,
//! `text` and `sink` write them. `pipeline` has the threads. `profile` reads alike, and makes a
//! drift reference of the rows.

mod block;
mod columns;
mod csv;
mod error;
mod files;
mod format;
mod inferred;
mod input;
mod job;
mod json;
mod parquet;
mod pipeline;
mod profile;
mod progress;
mod scorer;
mod sink;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod unknown;

pub use error::PredictError;
pub use files::{Files, Forms, ReferenceTarget};
pub use format::Format;
pub use job::{Job, Summary, load, run};
pub use profile::{HELD_VALUES_MAX, ProfileJob, Profiled, profile};
