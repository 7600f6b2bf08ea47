//! From what should serve to what serves.
//!
//! Everything that is decided about versions, namely what is loaded, published, kept, taken back,
//! tried again or never again, is decided by one pure function, [`step`]: it takes the state, what
//! has happened and the time, and returns what is to be done. It reads no clock, waits for nothing
//! and fails on no order of events, so that a simulation can put years of bad luck through it
//! (`tests/sim`).
//!
//! What holds after every step:
//!
//! 1. A version is published only after its gate let it pass, and by one attempt once at a time.
//! 2. A failed load changes nothing about what serves.
//! 3. Under [`SwapPolicy::AvailabilityPreserving`] a model that has served goes on serving: its
//!    version is closed only after another was published.
//! 4. An answer of a registry that is an error, or empty, takes nothing away.
//! 5. Of a model there are at most two versions that can serve, and three in memory with the one
//!    that is on its way or the one that is on its way out.
//! 6. States of an attempt move forward only; a retry is a new attempt with a new number.
//! 7. Every load is answered by the loader once, and every attempt ends or serves.
//! 8. What was quarantined stays out until the registry says something new about it or an operator
//!    asks for it.

mod ask;
mod event;
mod fetcher;
mod follow;
mod lately;
mod loader;
mod loader_thread;
mod manager;
mod metrics;
mod policy;
mod probation;
mod readers;
mod reports;
mod room;
mod settle;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod untold;
mod verdicts;
mod version;

pub use event::{Action, Answer, AttemptId, Event, Verdict, VersionState};
pub use fetcher::{Fetched, Fetcher, FetcherError};
pub use follow::{FollowOptions, Followed, follow};
pub use loader::{Loader, Order, Plan, Refused};
pub use loader_thread::stand_back;
pub use manager::{Manager, ManagerError, ManagerOptions, Message};
pub use policy::{Backoff, Outlook, Policy, SwapPolicy};
pub use probation::{Health, compare};
pub use readers::Readers;
pub use reports::{ModelReport, Reports};
pub use state::{
    Attempt, Happening, Lifecycle, ModelState, Note, Pin, PinCause, Purpose, Refusal, RefusalKind,
};
pub use step::step;
pub use verdicts::{Tellers, ToldOf};
pub use version::{Version, VersionOrigin};
