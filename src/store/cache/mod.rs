//! Versions that were fetched from an artifact store, kept on disk.
//!
//! ```text
//! DIR/versions/KEY/model/...       a complete version: the files of its model directory
//! DIR/versions/KEY/manifest.json   what they are, with sizes and digests
//! DIR/versions/KEY/used            touched whenever the version is taken
//! DIR/partial/KEY/...              a fetch in progress; renamed to `versions` when it is whole
//! DIR/locks/...                    who fetches, who serves
//! DIR/known/....json               what each served model was last
//! DIR/quarantine/....json          its versions that may not serve again
//! ```
//!
//! Promises: what [`Cache::find`] returns is whole and stays while its [`Held`] lives, in whichever
//! process. A fetch that dies leaves nothing but a partial directory, which the next one removes.
//! The directory stays under its limit, by evicting what was taken longest ago and nobody holds.
//! Several processes of one host may share a directory; they coordinate with locks on files, which
//! the system releases when a process ends, however it ends. File systems without such locks are
//! refused.
//!
//! Everything here is for the loader thread: files are written and synced where the future runs.

mod check;
mod directory;
mod download;
mod error;
mod evict;
mod fetch;
mod held;
mod kept;
mod key;
mod known;
mod lock;
mod manifest;
mod partial;
mod quarantine;

#[cfg(test)]
mod tests;

pub use check::ListingError;
pub use directory::{Cache, CacheOptions};
pub use error::{CacheError, FetchError};
pub use held::{Damage, Held};
pub use key::CacheKey;
pub use known::LastKnown;
pub use manifest::About;
pub use quarantine::Quarantined;
