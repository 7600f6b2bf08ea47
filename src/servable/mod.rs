//! What requests reach: one loaded model version with its protocol, the table of all of them, and
//! the threads that run them.
//!
//! A request's way: [`Servable::score`] decodes it (here, or on an inference thread if it is
//! large), [`InferencePool`] runs it on a thread of its own, the reply comes back over a channel.

mod answer;
mod contain;
mod job;
mod load;
mod pool;
#[expect(clippy::module_inception, reason = "the noun of this floor is the servable itself")]
mod servable;
mod table;

pub use answer::{Answer, Compress, Request, ScoreError};
pub use load::{LoadOptions, Loaded, WarmUp, load};
pub use pool::{InferencePool, PoolOptions};
pub use servable::Servable;
pub use table::{ServingTable, TableError};
