//! Wiring: from the command line to a running server, and back to an exit code. Nothing about
//! models, requests or settings is decided here.

mod log;
mod models;
mod probe;
mod promote;
mod registry;
mod score;
mod serve;
mod served;
mod signals;
mod stopping;
mod telemetry;
mod webhook;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::{
    Command, Config, Environment, Invocation, Sources, misspelt_variables, parse_command,
    read_file, to_yaml,
};
use crate::lifecycle::Version;
use crate::servable::WarmUp;

use log::start_log;
use models::load_all;
use signals::MainLoop;

/// Why the process ends badly; the text is one sentence for the operator.
enum Failure {
    /// What was asked makes no sense: exit code 2, as for flags that clap refuses.
    Usage(String),
    /// It makes sense, but it does not work: exit code 1.
    Failed(String),
    /// It was ended by a signal: exit code 130, as shells have it.
    Stopped(String),
}

/// 128 and the number of SIGINT.
const STOPPED: u8 = 130;

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let invocation = match parse_command(arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            // Nobody to tell if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (text, code) = match execute(invocation) {
        Ok(code) => return code,
        Err(Failure::Usage(text)) => (text, ExitCode::from(2)),
        Err(Failure::Failed(text)) => (text, ExitCode::FAILURE),
        Err(Failure::Stopped(text)) => (text, ExitCode::from(STOPPED)),
    };
    let _ = writeln!(io::stderr().lock(), "flowgate: {text}");
    code
}

fn execute(invocation: Invocation) -> Result<ExitCode, Failure> {
    // Before anything that takes time.
    let main_loop = match invocation.command {
        Command::Serve => Some(MainLoop::start().map_err(no_main_loop)?),
        _ => None,
    };
    let environment = Environment::read();
    let Invocation { command, flags, models, config, files, reference, promotion, question } =
        invocation;
    let file = match config.or_else(|| environment.config_file()) {
        Some(path) => Some(read_file(&path).map_err(|error| {
            Failure::Usage(format!("cannot read the configuration file: {error}"))
        })?),
        None => None,
    };
    let sources = Sources::merge(&flags, models, &environment, file.as_deref());
    let config = Config::check(&sources).map_err(|faults| Failure::Usage(faults.to_string()))?;
    if command == Command::Config {
        say(to_yaml(&sources, &config).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(question) = question {
        return probe::probe(&config, question);
    }
    start_log(config.log);
    for sentence in misspelt_variables(&environment) {
        tracing::warn!("{sentence}");
    }
    if let Some(promotion) = promotion {
        return promote::promote(&config, &environment, &promotion);
    }
    if config.models.is_empty() {
        return Err(Failure::Usage(
            "no model to serve; name a model directory (flowgate serve models/wine-quality), or \
             list models in a file for --config"
                .to_owned(),
        ));
    }
    if let Some(target) = reference {
        return score::profile(&config, &environment, files, &target);
    }
    match main_loop {
        Some(main_loop) => serve::serve(&config, &environment, main_loop),
        None if command == Command::Check => check(&config, &environment),
        None => score::score(&config, &environment, files),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn no_main_loop(error: io::Error) -> Failure {
    Failure::Failed(format!("the system lets no program wait for signals: {error}"))
}

/// Prints a line for people. Nobody reading is no reason to stop.
fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Loads every model and says how it went.
fn check(config: &Config, environment: &Environment) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    for version in load_all(config, environment)? {
        let Version { servable, engine, provider, inputs, warm_up, tuning, .. } = version;
        let verdict = match warm_up {
            WarmUp::Done => "ok".to_owned(),
            WarmUp::NoExample => "ok, but it has no example request to try".to_owned(),
            WarmUp::Failed(error) => {
                code = ExitCode::FAILURE;
                format!("loads, but its example request fails: {error}")
            }
        };
        let batches = tuning.describe(servable.runner().lane());
        let id = servable.id();
        say(format_args!("{id}: {verdict}; {engine} ({provider}), inputs {inputs}; {batches}"));
    }
    Ok(code)
}
