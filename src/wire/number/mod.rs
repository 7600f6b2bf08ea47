//! Numbers as Python prints them.

mod python_repr;

pub use python_repr::{write_f64, write_f64_str};
