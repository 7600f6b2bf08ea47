//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};

use super::arrivals::{Arrivals, Share};
use super::compare::Tolerance;
use super::requests::{Target, parse_header, read_bodies, read_lines};

/// What to do, complete and read from its files.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) target: Target,
    /// At least one.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// As many as bodies; `None` takes the first answers.
    pub(crate) expected: Option<Vec<Vec<u8>>>,
    pub(crate) tolerance: Tolerance,
    pub(crate) content_type: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) connections: NonZeroU64,
    pub(crate) threads: NonZeroU64,
    /// Requests a second, of all threads together; `None` is the closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    pub(crate) timeout: Duration,
    pub(crate) server_pid: Option<u32>,
    /// Where to write each right answer.
    pub(crate) samples: Option<PathBuf>,
    pub(crate) json: bool,
}

/// Reads the command line and the files that it names.
///
/// # Errors
/// When it makes no sense or a file cannot be read; also for `--help`, as clap has it.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Options, Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(words)?;
    options(&matches).map_err(|text| command.error(ErrorKind::ValueValidation, text))
}

fn options(matches: &ArgMatches) -> Result<Options, String> {
    let paths = |name| matches.get_many::<PathBuf>(name).into_iter().flatten();
    let read = |path: &PathBuf| read_lines(path).map_err(|error| error.to_string());
    let lists = paths("bodies").map(PathBuf::as_path);
    let bodies = read_bodies(paths("body").map(PathBuf::as_path), lists)
        .map_err(|error| error.to_string())?;
    let expected = matches.get_one::<PathBuf>("expect").map(read).transpose()?;
    if bodies.is_empty() {
        return Err("--bodies names no body: its file has no line".to_owned());
    }
    if let Some(answers) = &expected
        && answers.len() != bodies.len()
    {
        let (answers, bodies) = (answers.len(), bodies.len());
        return Err(format!("--expect has {answers} answers to {bodies} bodies"));
    }
    Ok(Options {
        target: required(matches, "url"),
        bodies,
        expected,
        tolerance: Tolerance {
            relative: required(matches, "tolerance"),
            absolute: required(matches, "tolerance-absolute"),
        },
        content_type: required(matches, "content-type"),
        headers: matches.get_many("header").into_iter().flatten().cloned().collect(),
        connections: required(matches, "connections"),
        threads: required(matches, "threads"),
        rate: matches.get_one("rate").copied(),
        duration: required(matches, "duration"),
        warmup: required(matches, "warmup"),
        timeout: required(matches, "timeout"),
        server_pid: matches.get_one("server-pid").copied(),
        samples: matches.get_one("samples").cloned(),
        json: matches.get_flag("json"),
    })
}

fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one(name).cloned().expect("clap has it: required, or with a default")
}

fn command() -> Command {
    Command::new("load")
        .about("Loads an HTTP server and checks every answer")
        .after_help(
            "Exit code: 0; 1 when an answer was wrong, none was right, or the run failed; 2 for a \
             wrong command line.",
        )
        .args(questions())
        .args(load())
        .args([
            value("server-pid", "PID", "Measure this process and its descendants: CPU, memory")
                .value_parser(value_parser!(u32)),
            value(
                "samples",
                "FILE",
                "Write a line for each right answer: when it was due, after the window began, \
                   its latency, and the version that made it",
            )
            .value_parser(value_parser!(PathBuf)),
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one JSON object instead of the summary"),
        ])
}

/// What is asked, and what should be answered.
fn questions() -> [Arg; 8] {
    let files = |arg: Arg| arg.value_parser(value_parser!(PathBuf)).action(ArgAction::Append);
    [
        value("url", "URL", "Where to send the requests: http://HOST:PORT/PATH")
            .required(true)
            .value_parser(Target::parse),
        files(value("body", "FILE", "A request body; repeat it for several, sent in turn")),
        files(value("bodies", "FILE", "A file with a request body a line; may be repeated"))
            .required_unless_present("body"),
        value(
            "expect",
            "FILE",
            "A file with the expected answers, a line for each body in turn; \
               without it the first answer of each version to each body is taken for right",
        )
        .value_parser(value_parser!(PathBuf)),
        value("tolerance", "RATIO", "How far numbers may lie from the expected, relative to them")
            .default_value("1e-5")
            .value_parser(distance),
        value("tolerance-absolute", "NUMBER", "And how far in any case")
            .default_value("1e-7")
            .value_parser(distance),
        value("content-type", "TYPE", "The bodies' content type").default_value("application/json"),
        value("header", "NAME: VALUE", "A further header; may be repeated")
            .action(ArgAction::Append)
            .value_parser(parse_header),
    ]
}

/// How much of it.
fn load() -> [Arg; 6] {
    let count = || value_parser!(u64).try_map(NonZeroU64::try_from);
    let time = |text: &str| humantime::parse_duration(text);
    let positive = move |text: &str| match time(text) {
        Ok(Duration::ZERO) => Err("expected a time above zero".to_owned()),
        other => other.map_err(|error| error.to_string()),
    };
    [
        value("connections", "N", "Connections; as many requests are under way at once, at most")
            .short('c')
            .default_value("16")
            .value_parser(count()),
        value("threads", "N", "Threads of the load generator")
            .default_value("1")
            .value_parser(count()),
        value(
            "rate",
            "R",
            "Open loop: requests are due at this constant rate a second, and latency \
               counts from then; without it each connection sends when it has its answer",
        )
        .value_parser(rate),
        value("duration", "TIME", "Time to measure").default_value("10s").value_parser(positive),
        value("warmup", "TIME", "Time before that, in which answers are checked and not counted")
            .default_value("1s")
            .value_parser(time),
        value("timeout", "TIME", "A request without an answer for so long has failed")
            .default_value("60s")
            .value_parser(positive),
    ]
}

fn value(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(placeholder).help(help)
}

fn rate(text: &str) -> Result<f64, String> {
    let share = Share { thread: 0, threads: NonZeroU64::MIN };
    let rate = f64::from_str(text).ok().filter(|rate| Arrivals::new(*rate, share).is_some());
    rate.ok_or_else(|| "expected a number above zero".to_owned())
}

fn distance(text: &str) -> Result<f64, String> {
    let distance = f64::from_str(text).ok().filter(|distance| *distance >= 0.0);
    distance.ok_or_else(|| "expected a number from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const BODY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

    fn parsed(words: &[&str]) -> Result<Options, Error> {
        let base = ["load", "--url", "http://h:1/x", "--body", BODY];
        parse(base.iter().chain(words).map(OsString::from))
    }

    fn list(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let options = parsed(&[]).unwrap();
        assert_eq!((options.connections.get(), options.threads.get()), (16, 1));
        assert_eq!((options.rate, options.expected.is_none()), (None, true));
        assert_eq!(options.duration, Duration::from_secs(10));
        assert_eq!(options.tolerance, Tolerance { relative: 1e-5, absolute: 1e-7 });
        assert_eq!(options.content_type, "application/json");
    }

    #[test]
    fn what_is_said_is_taken() {
        let bodies = list("[1]\n[2]\n");
        let path = bodies.path().to_str().unwrap();
        let words = ["-c", "3", "--rate", "2.5", "--warmup", "0s", "--duration", "1m 2s"];
        let more = ["--header", "A: b", "--header", "C: d", "--bodies", path, "--json"];
        let options = parsed(&[words.as_slice(), &more].concat()).unwrap();
        assert_eq!((options.connections.get(), options.rate), (3, Some(2.5)));
        assert_eq!((options.warmup, options.duration.as_secs()), (Duration::ZERO, 62));
        assert_eq!(options.headers.len(), 2);
        assert!(options.json);
        // The files first, then the lists.
        assert_eq!(options.bodies.len(), 3);
        assert_eq!(options.bodies[1..], [b"[1]".to_vec(), b"[2]".to_vec()]);
    }

    #[test]
    fn there_is_one_expected_answer_to_each_body() {
        let (one, two) = (list("[1]\n"), list("[1]\n[2]\n"));
        let expect =
            |file: &tempfile::NamedTempFile| parsed(&["--expect", file.path().to_str().unwrap()]);
        assert_eq!(expect(&one).unwrap().expected, Some(vec![b"[1]".to_vec()]));
        let error = expect(&two).unwrap_err().to_string();
        assert!(error.contains("2 answers to 1 bodies"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            ["--connections", "0"],
            ["--threads", "x"],
            ["--rate", "0"],
            ["--rate", "nan"],
            ["--duration", "0s"],
            ["--timeout", "5"],
            ["--tolerance", "-1"],
            ["--header", "x"],
            ["--expect", "no such file"],
            ["--body", "no such file"],
        ] {
            assert!(parsed(&words).is_err(), "{words:?}");
        }
        let no_body = ["load", "--url", "http://h:1/x"].map(OsString::from);
        assert!(parse(no_body).is_err());
    }
}
