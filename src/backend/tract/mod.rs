//! The second engine: tract, in pure Rust, for machines without ONNX Runtime.
//!
//! It runs most neural networks and few of the classical models, so everything that can be found
//! out at load is: operators that it does not know, value kinds that it cannot hold, and, by a dry
//! run, what it knows but cannot do. tract panics on some inputs where it should fail; panics
//! are caught at its border, in both directions, and turned into errors.

mod load;
mod run;
mod scan;
mod value;

pub use load::TractBackend;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::{TractError, TractResult};

const RUNTIME: &str = "tract";

/// Longest part of tract's own text that a message repeats, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// Calls tract; a failure or a panic comes back as one line of text.
fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    // What the closures share is either dropped after a failure or immutable.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| one_line(&error)),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            Err(format!("a panic in tract: {}", text.unwrap_or("without a message")))
        }
    }
}

/// The error and its causes in one line.
fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= TEXT_CHARS_MAX {
        return words;
    }
    words.chars().take(TEXT_CHARS_MAX).chain("...".chars()).collect()
}
