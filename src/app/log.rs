//! The log on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Level, LogFormat, LogOptions};

/// Starts the log of the process.
pub(super) fn start_log(options: LogOptions) {
    let level = match options.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // A client's malformed request is an error to actix; anybody could fill the log with them.
    let quiet = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    let brief = if level >= LevelFilter::DEBUG { level } else { level.min(LevelFilter::WARN) };
    let filter = Targets::new()
        .with_default(level)
        .with_target("actix_http", quiet)
        .with_target("actix_server", brief);
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let log = match options.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().boxed(),
    };
    tracing_subscriber::registry().with(log.with_filter(filter)).init();
}
