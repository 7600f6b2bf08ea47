//! What the process tells about itself: numbers, counted where they arise and read elsewhere.

pub mod names;

mod exemplar;
mod exposition;
mod family;
mod histogram;
mod memory;
mod meter;
mod meters;
mod observed;
mod openmetrics;
mod slots;

pub use exemplar::{Exemplar, TraceId};
pub use exposition::{Exposition, Format};
pub use family::Family;
pub use histogram::{Bounds, Histogram, Totals};
pub use memory::ProcessMemory;
pub use meter::{Meter, Outcome, Passage, Rejected, Rejection, Stage};
pub use meters::{Lease, MeterOptions, Meters, OwnedPassage};
pub use names::{Kind, Metric};
pub use observed::{Latencies, Observed};
pub use slots::{Count, PerThread, Writer};
