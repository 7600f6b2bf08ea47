//! What the tests that talk to the real server share: the process and a raw HTTP client.

pub(crate) mod http;
pub(crate) mod process;
