//! The server as its clients see it: over sockets, in this process or as the built binary.

mod bodies;
mod config_docs;
mod deadline;
mod http;
mod overload;
mod shutdown;
mod support;
