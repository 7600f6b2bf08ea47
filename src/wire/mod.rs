//! Bytes to tensors and tensors to bytes, one folder a protocol. Knows no sockets and no threads.

pub mod coding;
pub mod invocations;
pub mod text;
