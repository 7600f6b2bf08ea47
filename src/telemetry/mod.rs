//! What the process tells about itself: numbers, counted where they arise and read elsewhere.

pub mod names;

mod exposition;
mod observed;

pub use exposition::Exposition;
pub use names::{Kind, Metric};
pub use observed::{Latencies, Observed};
