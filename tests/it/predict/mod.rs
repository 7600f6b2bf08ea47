//! `flowgate predict` as its users see it: files in, files out, exit codes.

mod faults;
mod files;
mod forms;
