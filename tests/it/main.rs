//! The server as its clients see it: over sockets, in this process or as the built binary.

#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

mod admin;
mod bodies;
mod cli;
mod config_docs;
mod deadline;
mod drift;
mod http;
mod metrics_docs;
mod overload;
mod predict;
mod probe;
mod profile;
mod promotion;
mod shutdown;
mod start;
mod support;
mod swap;
