//! From what passed the schema to the graph's feeds: `_OnnxModelWrapper.predict`.

mod assemble;
mod cast;
mod values;

pub use assemble::{ModelInput, feed, feed_column};
pub use cast::Casts;
pub use values::frame_values;
