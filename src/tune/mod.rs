//! What a loaded graph can do with several rows at once: whether requests may run together, how
//! long a run of so many rows takes, and which batch is worth making.
//!
//! All of it is found by running the graph on sample rows while it loads; what a graph declares
//! about itself is only believed where it says no. Blocks: for start-up and loader threads. A
//! panic of an engine goes through to the caller.

mod batching;
mod clock;
mod cost;
mod findings;
mod measure;
mod sample;
mod warm;

pub use batching::{Batching, check_batching};
pub use clock::Clock;
pub use cost::{Costs, choose_batch_rows_max};
pub use findings::Findings;
pub use measure::{TuneOptions, is_alike, is_outdone, measure};
pub use sample::Sampler;
pub use warm::{WarmOptions, Warmth, warm};

#[cfg(test)]
mod tests;
