//! A load generator for HTTP servers that answer JSON, made to share a machine with the server.
//!
//! Two ways to ask:
//!
//! - **Closed loop**: every connection sends its next request when it has the answer to the last.
//!   This finds the throughput, and says little about latency under load: a slow server is asked
//!   less often.
//! - **Open loop** (`--rate`): requests are due at a constant rate, whatever the server does. A
//!   request's latency counts from the moment it was due, so time spent waiting for a free
//!   connection is part of it and a stall shows in every request that it delayed.
//!
//! Every answer is compared with the expected one. Only right answers with status 200 are
//! goodput; everything else is counted by what it was.
//!
//! What is counted, in both ways: latencies and counts are of the requests that were *due* in the
//! measured window (after the warm-up), rates are of the answers that *arrived* in it. So
//! nothing that was asked is left out, and a queue that is emptied after the end adds no
//! throughput.
//!
//! Threads: each of `--threads` has its own event loop and its share of the connections; they share
//! nothing that is written while they run, but the expected answers. The main thread sleeps and
//! reads the server's CPU time at both ends of the window.

mod answer;
mod arrivals;
mod cli;
mod client;
mod compare;
mod expected;
mod process;
mod report;
mod requests;
mod run;
mod tally;
mod timer;
mod turns;

use std::io::{self, Write as _};
use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => {
            // Nobody to tell if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = run::run(&options).and_then(|measured| {
        let report = Report::new(&options, &measured);
        if let Some(path) = &options.samples {
            measured.tally.write_samples(path)?;
        }
        let mut out = io::stdout().lock();
        if options.json {
            serde_json::to_writer(&mut out, &report)?;
            writeln!(out)?;
        } else {
            write!(out, "{report}")?;
        }
        Ok(report.is_sound())
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}
