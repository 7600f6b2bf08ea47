//! `flowgate predict` as its users see it: files in, files out, exit codes.

mod faults;
pub(crate) mod files;
mod forms;
