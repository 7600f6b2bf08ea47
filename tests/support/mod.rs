//! What the tests that talk to the real server share: the process and a raw HTTP client.

#![allow(dead_code, reason = "each test binary uses the part that it needs")]

pub(crate) mod http;
pub(crate) mod process;
