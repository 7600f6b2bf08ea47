//! The streaming decoder: usual valid JSON requests straight from bytes into tensors, without
//! Python values in between.
//!
//! It answers only where it is certain to agree with the exact path, and gives up (`None`) at the
//! first thing out of the ordinary: a number as text, an integer where a float column would
//! round it twice, a missing member, an escape in a name, anything invalid. The exact path then
//! starts over and finds the right answer or the right error. A property test holds both to the
//! same result.

mod arrays;
mod columns;
mod cursor;
mod plan;
mod sink;
#[cfg(test)]
mod tests;

pub use plan::StreamPlan;
