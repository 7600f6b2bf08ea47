//! Drift: whether what a model is asked, and what it answers, still looks like its training data.
//!
//! A reference profile says how every feature was distributed ([`Reference`]). What is served is
//! counted into the cells of that profile ([`Seen`]), minute by minute ([`Windows`]), and a
//! window's counts are compared with the reference's ([`score`]). Counts add up exactly: over
//! threads, minutes and servers.
//!
//! Rows come in as the graph's own tensors, so that every protocol and every form of request is
//! seen alike. Here are no files, no threads and no clock: whoever calls brings the bytes and the
//! time.

mod build;
mod reference;
mod seen;
pub mod statistic;
mod window;

pub use build::{BuildError, Builder, Built, LeftOut, Recount};
pub use reference::{
    CATEGORIES_MAX, Categorical, EDGES_MAX, FEATURES_MAX, FILE_NAME, Feature, Numeric, Part,
    REFERENCE_BYTES_MAX, Reference, ReferenceError, SCHEMA, SCORING_BINS_MAX, Values,
};
pub use seen::Seen;
pub use statistic::{Scores, Scoring, score};
pub use window::{WINDOWS_MAX, WindowLength, WindowSum, Windows};
