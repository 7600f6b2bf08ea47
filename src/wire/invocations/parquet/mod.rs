//! Parquet bodies, read as `pandas.read_parquet` (2.3, pyarrow) reads them.
//!
//! The parquet crate does the reading. What it trusts a file to say about its own size is checked
//! beforehand, page by page, since a few bytes can ask for any amount of memory.

mod check;
mod convert;
mod pandas;
mod read;
#[cfg(test)]
mod tests;
mod thrift;

pub use read::{parquet_bytes_max, read_parquet};
