//! The directory registry: folders of versions, watched while people copy into them.

mod look;
mod settle;
mod source;

#[cfg(test)]
mod tests;

pub(super) use look::Look;
pub use source::{DirectoryOptions, DirectorySource, models_at};
