//! What the tests that talk to the real server share: the process and a raw HTTP client.

#![allow(dead_code, reason = "each test binary uses the part that it needs")]
#![allow(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

pub(crate) mod asking;
pub(crate) mod http;
pub(crate) mod process;
