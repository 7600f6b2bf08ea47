//! Tests of the readers, by the file that they test.

mod mlmodel;
mod signature;
