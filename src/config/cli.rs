//! The command line, made from the table of settings.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};

use super::setting::{self, Setting};

/// What the user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    pub command: Command,
    /// Values of flags, by the flag's long name.
    pub flags: HashMap<&'static str, String>,
    /// `[NAME=]DIR`, in order.
    pub models: Vec<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

/// The subcommands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Serve,
    Check,
    Config,
}

const COMMANDS: &[(&str, Command, &str)] = &[
    ("serve", Command::Serve, "Serve MLflow ONNX models: the MLflow scoring protocol on one port"),
    ("check", Command::Check, "Load and warm up models, print a verdict for each, and end"),
    ("config", Command::Config, "Print the effective configuration, ready for --config"),
];

const MODELS_HELP: &str = "A model directory, one model's folder of a directory registry, or a \
                           whole registry, as DIR or NAME=DIR";

/// Reads a command line.
///
/// # Errors
/// With what clap has to say, which is also how `--help` and `--version` come back.
pub fn parse_command(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Invocation, clap::Error> {
    let matches = command_line().try_get_matches_from(arguments)?;
    let (name, matches) = matches.subcommand().expect("clap requires a subcommand");
    let command = COMMANDS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, command, _)| *command)
        .expect("clap knows the subcommands from this table");
    let flags = setting::ALL
        .iter()
        .filter_map(|setting| Some((setting.flag, text(matches, setting.flag)?)))
        .collect();
    let models = matches.get_many::<String>("models").unwrap_or_default().cloned().collect();
    let config = text(matches, "config").map(PathBuf::from);
    Ok(Invocation { command, flags, models, config })
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn command_line() -> clap::Command {
    let commands = COMMANDS.iter().map(|(name, _, about)| subcommand(name, about));
    clap::Command::new("flowgate")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(commands)
}

fn subcommand(name: &'static str, about: &'static str) -> clap::Command {
    clap::Command::new(name)
        .about(about)
        .disable_help_flag(true)
        // `-h` is the host, as in `mlflow models serve`.
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print help"))
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("Configuration file (YAML) [env: FLOWGATE_CONFIG]"),
        )
        .arg(Arg::new("models").value_name("[NAME=]DIR").num_args(0..).help(MODELS_HELP))
        .args(setting::ALL.iter().map(|setting| flag(setting)))
}

fn flag(setting: &Setting) -> Arg {
    let default = setting.default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
    let known = setting.env_known.map(|known| format!(", {}", known.name)).unwrap_or_default();
    let help = format!("{}{default} [env: {}{known}]", setting.meaning, setting.env);
    let arg = Arg::new(setting.flag).long(setting.flag).value_name("VALUE").help(help);
    match setting.short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command_line().debug_assert();
    }

    #[test]
    fn short_flags_are_those_of_mlflow_models_serve() {
        let line = ["flowgate", "serve", "-p", "9", "-h", "::1", "-t", "5", "-w", "2", "a", "b=c"];
        let invocation = parse_command(line).unwrap();
        assert_eq!(invocation.command, Command::Serve);
        assert_eq!(invocation.models, ["a", "b=c"]);
        for (flag, value) in [("port", "9"), ("host", "::1"), ("timeout", "5"), ("workers", "2")] {
            assert_eq!(invocation.flags.get(flag).map(String::as_str), Some(value), "{flag}");
        }
    }
}
