//! Drift: how far what a model gets and answers now is from what it was made with.
//!
//! A reference profile says how every feature was distributed ([`Reference`]). What is served is
//! counted into the cells of that profile ([`Seen`]), minute by minute ([`Windows`]), and a
//! window's counts are compared with the reference's ([`score`]). Counts add up exactly: over
//! threads, minutes and servers. Here are no files, no threads and no clock: whoever calls brings
//! the bytes and the time.

mod reference;
mod seen;
pub mod statistic;
mod window;

pub use reference::{Categorical, Feature, Numeric, Part, Reference, Values};
pub use seen::Seen;
pub use statistic::{Scores, Scoring, score};
pub use window::{WINDOWS_MAX, WindowLength, WindowSum, Windows};
