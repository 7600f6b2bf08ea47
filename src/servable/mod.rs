//! What requests reach: one loaded model version with its protocol, and the table of all of them.
//!
//! A request's way: [`Servable::score`] decodes it (here, or on an inference thread if it is
//! large or unusual) and hands it to the batcher; the reply comes back over a channel.

mod answer;
mod budget;
mod formed;
mod load;
mod pending;
mod reference;
#[expect(clippy::module_inception, reason = "the noun of this floor is the servable itself")]
mod servable;
mod table;
mod tally;
mod tuning;

pub use answer::{Answer, Compress, Request, ScoreError, Timing};
pub use budget::{Budget, Exhausted, Share};
pub use load::{LoadOptions, Loaded, WarmUp, load};
pub use pending::Pending;
pub use servable::{Lanes, Servable};
pub use table::{LiveTable, ServingTable, TableError};
pub use tally::Tally;
pub use tuning::{BatchOptions, TuneSource, Tuning};
