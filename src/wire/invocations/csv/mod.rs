//! CSV bodies, read as pandas' `read_csv` reads them (2.3, the C parser, every option at its
//! default): the same rows, the same column names, the same inferred types, the same refusals.
//!
//! The tokenizer is our own. The rules of pandas' are its own too: lines of blanks are skipped,
//! an unfinished quote is an error, a NUL ends its field, rows may be shorter than the header, and
//! what a longer row means depends on which row it is.

mod convert;
mod header;
mod number;
mod parse;
mod read;
mod table;
#[cfg(test)]
mod tests;

pub use read::{CsvOptions, CsvTypes, Datetimes, read_csv};
