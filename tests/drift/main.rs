//! Drift statistics against what scipy, `NannyML` and Evidently compute, against laws that hold
//! for any data, and over thousands of simulated windows.
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]
#![expect(clippy::print_stdout, reason = "rates and errors are worth seeing when good, too")]

mod alarms;
mod laws;
mod oracles;
mod profile;
