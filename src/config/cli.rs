//! The command line, made from the table of settings.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, value_parser};

use super::setting::{self, Setting};
use crate::model::{Selector, Stage, VersionId};
use crate::predict::{Files, Format, ReferenceTarget};

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
    /// What `predict` and `profile` have.
    pub files: Files,
    /// What `profile` alone has; `None` for others.
    pub reference: Option<ReferenceTarget>,
    /// What `promote` alone has; `None` for others.
    pub promotion: Option<Promotion>,
    /// What `probe` alone has; `None` for others.
    pub question: Option<Question>,
}

/// What a running server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it is to be sent requests.
    Ready,
    /// Whether it can answer at all.
    Live,
}

impl Question {
    const ALL: [Self; 2] = [Self::Ready, Self::Live];

    /// The question as an adjective, which is its path on the admin port as well.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Live => "live",
        }
    }
}

/// A stage or an alias for a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// A model's folder, or the name of a registered model.
    pub name: String,
    pub version: VersionId,
    pub to: Selector,
}

/// The subcommands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Serve,
    Predict,
    Profile,
    Promote,
    Check,
    Config,
    Probe,
}

const COMMANDS: &[(&str, Command, &str)] = &[
    ("serve", Command::Serve, "Serve MLflow ONNX models: the MLflow scoring protocol on one port"),
    ("predict", Command::Predict, "Score the rows of a file into another file, of any size"),
    ("profile", Command::Profile, "Write what drift is measured against, from training data"),
    ("promote", Command::Promote, "Give a stage or an alias to a version, so that it serves"),
    ("check", Command::Check, "Load and warm up models, print a verdict for each, and end"),
    ("config", Command::Config, "Print the effective configuration, ready for --config"),
    ("probe", Command::Probe, "Ask the server of this configuration whether it is ready, and end"),
];

const MODELS_HELP: &str = "A model directory, one model's folder of a directory registry, a \
                           whole registry, or what MLflow calls a model: models:/NAME@ALIAS, \
                           models:/NAME/STAGE, runs:/...; NAME=... serves it by that name";

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
    let models = matches.try_get_many::<String>("models").ok().flatten();
    let models = models.unwrap_or_default().cloned().collect();
    let config = text(matches, "config").map(PathBuf::from);
    let files = match command {
        Command::Predict => Files {
            output: path(matches, "output-path"),
            output_format: format(matches, "output-type"),
            ..files(matches, "input-path")
        },
        Command::Profile => files(matches, "data"),
        Command::Serve | Command::Promote | Command::Check | Command::Config | Command::Probe => {
            Files::default()
        }
    };
    let reference = (command == Command::Profile).then(|| reference(matches));
    let promotion = (command == Command::Promote).then(|| promotion(matches));
    let question = (command == Command::Probe).then(|| question(matches));
    Ok(Invocation { command, flags, models, config, files, reference, promotion, question })
}

/// A flag's text; `None` where it was not given, or where the command has no such flag.
fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

/// The rows to read, which both commands name alike.
fn files(matches: &ArgMatches, input: &str) -> Files {
    Files {
        input: path(matches, input),
        input_format: format(matches, "content-type"),
        rows_per_batch: matches.get_one::<NonZeroUsize>("rows-per-batch").copied(),
        ..Files::default()
    }
}

/// A file; `None` for a standard stream.
fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one::<PathBuf>(name).filter(|path| path.as_os_str() != "-").cloned()
}

fn format(matches: &ArgMatches, name: &str) -> Option<Format> {
    text(matches, name).and_then(|name| Format::from_name(&name))
}

fn reference(matches: &ArgMatches) -> ReferenceTarget {
    match (matches.contains_id("output-path"), path(matches, "output-path")) {
        (false, _) => ReferenceTarget::Model,
        (true, None) => ReferenceTarget::StandardOutput,
        (true, Some(path)) => ReferenceTarget::File(path),
    }
}

fn promotion(matches: &ArgMatches) -> Promotion {
    let required = "clap requires it";
    let stage = || {
        let name = text(matches, "stage").expect("clap requires it where there is no alias");
        Selector::Stage(Stage::from_name(&name).expect("clap knows the stages"))
    };
    Promotion {
        name: text(matches, "name").expect(required),
        version: VersionId(*matches.get_one::<u64>("version").expect(required)),
        to: text(matches, "alias").map_or_else(stage, Selector::Alias),
    }
}

fn question(matches: &ArgMatches) -> Question {
    let name = text(matches, "question").expect("it has a default");
    let mut known = Question::ALL.into_iter();
    known.find(|one| one.name() == name).expect("clap knows the questions")
}

fn command_line() -> clap::Command {
    let commands = COMMANDS.iter().map(|(name, command, about)| match command {
        Command::Predict => predict(bare(name, about)),
        Command::Profile => profile(bare(name, about)),
        Command::Promote => promote(bare(name, about)),
        Command::Probe => probe(bare(name, about)),
        Command::Serve | Command::Check | Command::Config => subcommand(bare(name, about)),
    });
    clap::Command::new("flowgate")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(commands)
}

/// What every subcommand has.
fn bare(name: &'static str, about: &'static str) -> clap::Command {
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
}

fn subcommand(bare: clap::Command) -> clap::Command {
    bare.arg(Arg::new("models").value_name("[NAME=]DIR").num_args(0..).help(MODELS_HELP))
        .args(setting::ALL.iter().map(|setting| flag(setting)))
}

fn predict(bare: clap::Command) -> clap::Command {
    bare.arg(model('m', "model-uri"))
        .arg(file('i', "input-path", "Rows to score; `-` or nothing is standard input"))
        .arg(file('o', "output-path", "Where to; `-` or nothing is standard output"))
        .args(reading())
        .arg(
            Arg::new("output-type")
                .long("output-type")
                .value_name("TYPE")
                .value_parser(PossibleValuesParser::new(Format::CHOICES))
                .help("Form of the output [default: by its ending, else json]"),
        )
        .args(settings_of(concerns_predict))
}

fn profile(bare: clap::Command) -> clap::Command {
    bare.arg(
        Arg::new("data")
            .value_name("TRAIN")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("The model's training data, as a scoring reads rows; `-` is standard input"),
    )
    .arg(model('m', "model"))
    .arg(file(
        'o',
        "output-path",
        "Where to; `-` is standard output [default: drift_reference.json in the model's \
         directory, or standard output where that is not on this machine]",
    ))
    .args(reading())
    .args(settings_of(concerns_predict))
}

fn model(short: char, long: &'static str) -> Arg {
    Arg::new("models").short(short).long(long).value_name("DIR").required(true).help(
        "A model directory, one model's folder of a directory registry, or a model of an MLflow \
         registry: models:/NAME@ALIAS, models:/NAME/STAGE, ...",
    )
}

fn file(short: char, long: &'static str, help: &'static str) -> Arg {
    let path = value_parser!(PathBuf);
    Arg::new(long).short(short).long(long).value_name("FILE").value_parser(path).help(help)
}

/// How rows are read.
fn reading() -> [Arg; 2] {
    [
        Arg::new("content-type")
            .short('t')
            .long("content-type")
            .value_name("TYPE")
            .value_parser(PossibleValuesParser::new(Format::CHOICES))
            .help("Form of the input [default: by its ending, else json]"),
        Arg::new("rows-per-batch")
            .long("rows-per-batch")
            .value_name("ROWS")
            .value_parser(value_parser!(NonZeroUsize))
            .help("Rows that are scored together [default: 1000, or the model's own batch]"),
    ]
}

fn settings_of(concerns: fn(&Setting) -> bool) -> impl Iterator<Item = Arg> {
    setting::ALL.iter().filter(move |setting| concerns(setting)).map(|setting| flag(setting))
}

fn promote(bare: clap::Command) -> clap::Command {
    let stages = [Stage::Production, Stage::Staging, Stage::Archived].map(Stage::name);
    bare.arg(Arg::new("name").value_name("NAME").required(true).help(
        "A model's folder of a directory registry; where there is a tracking URI, a registered \
             model, unless it has a slash",
    ))
    .arg(
        Arg::new("version")
            .value_name("VERSION")
            .required(true)
            .value_parser(value_parser!(u64).range(1..))
            .help("The version's number"),
    )
    .arg(
        Arg::new("stage")
            .long("stage")
            .value_name("STAGE")
            .value_parser(PossibleValuesParser::new(stages))
            .ignore_case(true)
            .help("The stage to move it to; others in Production or Staging are archived"),
    )
    .arg(Arg::new("alias").long("alias").value_name("ALIAS").help("The alias to point at it"))
    .group(ArgGroup::new("to").args(["stage", "alias"]).required(true))
    .args(settings_of(concerns_promote))
}

fn probe(bare: clap::Command) -> clap::Command {
    bare.arg(
        Arg::new("question")
            .value_name("QUESTION")
            .value_parser(PossibleValuesParser::new(Question::ALL.map(Question::name)))
            .default_value(Question::Ready.name())
            .help("`ready`: is it to be sent requests? `live`: can it answer at all?"),
    )
    .args(settings_of(concerns_probe))
}

/// Settings that tell where a server of this configuration listens.
fn concerns_probe(setting: &Setting) -> bool {
    [&setting::HOST, &setting::PORT, &setting::ADMIN_HOST, &setting::ADMIN_PORT]
        .iter()
        .any(|one| one.key == setting.key)
}

/// Settings that tell where a registry is.
fn concerns_promote(setting: &Setting) -> bool {
    let single = [setting::TRACKING_URI.key, setting::REGISTRY_URI.key];
    single.contains(&setting.key) || setting.key.starts_with("log.")
}

/// Settings that have a meaning without a server.
fn concerns_predict(setting: &Setting) -> bool {
    let sections = ["onnxruntime.", "log.", "cache."];
    let single = [&setting::THREADS, &setting::BACKEND, &setting::TRACKING_URI];
    let single = single.map(|setting| setting.key);
    single.contains(&setting.key) || sections.iter().any(|section| setting.key.starts_with(section))
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

    #[test]
    fn a_promotion_has_a_version_and_one_of_stage_and_alias() {
        let promotion = |line: &str| {
            parse_command(format!("flowgate promote {line}").split(' ')).map(|i| i.promotion)
        };
        let to = |to| Some(Promotion { name: "models/wine".to_owned(), version: VersionId(2), to });
        let alias = to(Selector::Alias("champion".to_owned()));
        let stage = to(Selector::Stage(Stage::Production));
        assert_eq!(promotion("models/wine 2 --alias champion").unwrap(), alias);
        assert_eq!(promotion("models/wine 2 --stage production").unwrap(), stage);
        assert_eq!(promotion("--tracking-uri x models/wine 2 --stage Production").unwrap(), stage);
        for bad in [
            "wine --alias a",
            "wine 2",
            "wine 2 --alias a --stage Production",
            "wine 0 --alias a",
            "wine two --alias a",
            "wine 2 --stage None",
            "wine 2 --stage prod",
            "wine 2 --alias a --port 1",
        ] {
            assert!(promotion(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_probe_asks_whether_the_server_is_ready_unless_told_otherwise() {
        let asked = |line: &str| {
            parse_command(format!("flowgate probe {line}").split_whitespace())
                .map(|i| (i.question.unwrap(), i.flags.get("admin-port").cloned()))
        };
        assert_eq!(asked("").unwrap(), (Question::Ready, None));
        assert_eq!(asked("live --admin-port 9").unwrap(), (Question::Live, Some("9".to_owned())));
        for bad in ["well", "ready live", "--cache-dir off", "ready --timeout 1"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_of_predict_are_those_of_mlflow_models_predict() {
        let line = "flowgate predict -m a -i in.csv -t csv -o - --rows-per-batch 7 --backend ort";
        let invocation = parse_command(line.split(' ')).unwrap();
        assert_eq!(invocation.command, Command::Predict);
        assert_eq!(invocation.models, ["a"]);
        assert_eq!(invocation.flags.get("backend").map(String::as_str), Some("ort"));
        let files = Files {
            input: Some(PathBuf::from("in.csv")),
            input_format: Some(Format::Csv),
            rows_per_batch: NonZeroUsize::new(7),
            ..Files::default()
        };
        assert_eq!(invocation.files, files);
        for bad in ["-i x", "-m a -t xml", "-m a --rows-per-batch 0", "-m a --port 1", "-m a b"] {
            let line = format!("flowgate predict {bad}");
            assert_eq!(parse_command(line.split(' ')).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn a_profile_goes_into_the_model_unless_it_is_told_otherwise() {
        let profile = |line: &str| {
            parse_command(format!("flowgate profile {line}").split(' '))
                .map(|i| (i.models, i.files.input, i.reference.unwrap()))
        };
        let from = |input: Option<&str>, to| (vec!["m".to_owned()], input.map(PathBuf::from), to);
        let [a, file] = [Some("a.csv"), Some("b.json")];
        let to_file = ReferenceTarget::File(file.map(PathBuf::from).unwrap());
        assert_eq!(profile("a.csv --model m").unwrap(), from(a, ReferenceTarget::Model));
        assert_eq!(profile("-m m a.csv -o b.json").unwrap(), from(a, to_file));
        assert_eq!(
            profile("- -m m -o - -t csv").unwrap(),
            from(None, ReferenceTarget::StandardOutput)
        );
        for bad in ["a.csv", "--model m", "a.csv b.csv -m m", "a.csv -m m --output-type csv"] {
            assert!(profile(bad).is_err(), "{bad}");
        }
    }
}
