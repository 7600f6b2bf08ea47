//! Drift: whether what a model is asked, and what it answers, still looks like its training data.
//!
//! A reference profile says how every feature was distributed ([`Reference`]). What is served is
//! counted into the cells of that profile ([`Seen`]), minute by minute ([`Windows`]), and a
//! window's counts are compared with the reference's ([`score`]). Counts add up exactly: over
//! threads, minutes and servers.
//!
//! Rows come in as the graph's own tensors, so that every protocol and every form of request is
//! seen alike. Threads that answer only hand over copies of rows ([`Tap`]); a [`Monitor`] counts
//! them when it is told to, and what it sees is told by [`WindowReport`]s and [`families`]. Here
//! are no files and no threads: whoever calls brings the bytes and the time.

mod build;
mod export;
mod monitor;
mod monitors;
mod options;
mod reference;
mod report;
mod seen;
pub mod statistic;
mod tap;
mod watch;
mod window;

pub use build::{BuildError, Builder, Built, LeftOut, Recount};
pub use export::{METRICS, families};
pub use monitor::{Basis, Monitor, NoReference, Origin, fits};
pub use monitors::Monitors;
pub use options::DriftOptions;
pub use reference::{
    CATEGORIES_MAX, Categorical, EDGES_MAX, FEATURES_MAX, FILE_NAME, Feature, Numeric, Part,
    REFERENCE_BYTES_MAX, Reference, ReferenceError, SCHEMA, SCORING_BINS_MAX, Values,
};
pub use report::{FeatureKind, FeatureReport, WindowReport};
pub use seen::Seen;
pub use statistic::{Scores, Scoring, score};
pub use tap::{Sample, Tap};
pub use window::{WINDOWS_MAX, WindowLength, WindowSum, Windows};
