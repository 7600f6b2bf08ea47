//! MLflow's registry and tracking server as their client sees them: recorded answers of the real
//! ones from a server in this process, and the real ones themselves where they are named.

#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]

mod connection;
mod fake;
mod files;
mod promote;
mod real;
mod selection;
mod tls;
mod verdicts;
mod writes;
