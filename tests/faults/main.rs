//! Registries, disks and processes that fail while models are served: what serves goes on serving,
//! the log and the admin port say why, and all is well again when they are.
#![cfg(all(feature = "ort", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

mod disk;
#[path = "../registry/fake.rs"]
mod fake;
mod killed;
mod registry;
mod serving;
#[path = "../support/mod.rs"]
mod support;
mod unwell;
