//! Drift: whether what a model is asked, and what it answers, still looks like its training data.
//!
//! Pure: no files, no threads and no clock. Rows come in as the graph's own tensors, so that every
//! protocol and every form of request is seen alike.

mod build;
mod reference;

pub use build::{BuildError, Builder, Built, LeftOut, Recount};
pub use reference::{
    CATEGORIES_MAX, Categorical, EDGES_MAX, FEATURES_MAX, FILE_NAME, Feature, Numeric, Part,
    REFERENCE_BYTES_MAX, Reference, ReferenceError, SCHEMA, SCORING_BINS_MAX, Values,
};
