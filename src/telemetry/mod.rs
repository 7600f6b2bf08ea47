//! What the process tells about itself: numbers, counted where they arise and read elsewhere.

mod observed;

pub use observed::{Latencies, Observed};
