//! Registries: what says which version of a model should serve.
//!
//! A source is asked again and again and answers with the present state, never with what has
//! changed: who missed an answer, or asks after a restart, has lost nothing. An error, or no answer,
//! changes nothing either.

mod aspired;
mod object;

pub use aspired::{Aspired, Origin, SourceError};
pub use object::{ObjectDir, ObjectOptions};
