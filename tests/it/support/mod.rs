//! What the tests share: a model with a gate, a server around it, a client that hides nothing.

mod client;
mod gate;
mod page;
mod server;

pub(crate) use client::{Client, Reply, gzip};
pub(crate) use gate::{Gate, GatedModel};
pub(crate) use page::assert_holds;
pub(crate) use server::TestServer;

/// A request that the gated model answers with [`ECHOED`].
pub(crate) const ONE_ROW: &str = r#"{"inputs": [[1.5]]}"#;
/// The answer to [`ONE_ROW`].
pub(crate) const ECHOED: &str = r#"{"predictions": {"y": [[1.5]]}}"#;
