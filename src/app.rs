//! Wiring: from the command line to a running server, and back to an exit code. Nothing about
//! models, requests or settings is decided here.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::{self, System};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::backend::{self, Backend, Choice, OrtOptions};
use crate::config::{
    Command, Config, Environment, Invocation, Level, LogFormat, LogOptions, ModelConfig, Sources,
    misspelt_variables, parse_command, read_file, to_yaml,
};
use crate::model::ModelId;
use crate::predict::{self, Files, Job, PredictError};
use crate::servable::{InferencePool, LoadOptions, Loaded, Servable, ServingTable, WarmUp, load};
use crate::server::{Listening, ServerOptions, listen};
use crate::store::{ModelDir, ResolvedModel, resolve, resolve_all};
use crate::wire::invocations::ScoringOptions;

/// Time for the last answers of inference threads after the server itself has ended.
const JOIN_GRACE: Duration = Duration::from_secs(1);

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
    let environment = Environment::read();
    let Invocation { command, flags, models, config, files } = invocation;
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
    if config.models.is_empty() {
        return Err(Failure::Usage(
            "no model to serve; name a model directory (flowgate serve models/wine-quality), or \
             list models in a file for --config"
                .to_owned(),
        ));
    }
    start_log(config.log);
    for sentence in misspelt_variables(&environment) {
        tracing::warn!("{sentence}");
    }
    match command {
        Command::Check => check(&config),
        Command::Predict => score(&config, files),
        Command::Serve | Command::Config => serve(&config),
    }
}

/// Prints a line for people. Nobody reading is no reason to stop.
fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn start_log(options: LogOptions) {
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

/// Loads every model and says how it went.
fn check(config: &Config) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    for Loaded { servable, engine, inputs, warm_up } in load_all(config)? {
        let verdict = match warm_up {
            WarmUp::Done => "ok".to_owned(),
            WarmUp::NoExample => "ok, but it has no example request to try".to_owned(),
            WarmUp::Failed(error) => {
                code = ExitCode::FAILURE;
                format!("loads, but its example request fails: {error}")
            }
        };
        say(format_args!("{}: {verdict}; {engine}, inputs {inputs}", servable.id()));
    }
    Ok(code)
}

fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let loaded = load_all(config)?;
    for Loaded { servable, warm_up, .. } in &loaded {
        if let WarmUp::Failed(error) = warm_up {
            tracing::warn!(model = %servable.id(), %error, "the example request failed");
        }
    }
    let lines: Vec<_> = loaded.iter().map(describe).collect();
    let names: Vec<_> = loaded.iter().map(|loaded| loaded.servable.id().name.clone()).collect();
    let servables: Vec<Arc<Servable>> =
        loaded.into_iter().map(|loaded| Arc::new(loaded.servable)).collect();
    let table = ServingTable::new(servables).map_err(|error| Failure::Usage(error.to_string()))?;
    let default = table.default_servable().id().name.clone();
    let pool = InferencePool::start(config.pool)
        .map_err(|error| Failure::Failed(format!("cannot start inference threads: {error}")))?;
    let pool = Arc::new(pool);

    System::new().block_on(async {
        let ServerOptions { host, port, .. } = &config.server;
        let listening =
            listen(&config.server, Arc::new(table), Arc::clone(&pool)).map_err(|error| {
                Failure::Failed(format!(
                    "cannot listen on {host}, port {port}: {error}; choose others with --host \
                     and --port"
                ))
            })?;
        let url = format!("http://{}/invocations", listening.address);
        for (line, name) in lines.iter().zip(&names) {
            let also = if *name == default { format!(" and {url}") } else { String::new() };
            say(format_args!("{line}, at {url}/{name}{also}"));
        }
        run_until_stopped(listening).await
    })?;

    let left = pool.close(Instant::now() + JOIN_GRACE);
    if left > 0 {
        tracing::warn!(requests = left, "stopped with requests unfinished");
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(Loaded { servable, engine, inputs, .. }: &Loaded) -> String {
    let id = servable.id();
    format!("serving {} version {} on {engine}, inputs {inputs}", id.name, id.version)
}

/// Runs the server until a signal, then until its requests have finished or a second signal.
async fn run_until_stopped(listening: Listening) -> Result<(), Failure> {
    let Listening { server, handle, .. } = listening;
    let failed = |error: io::Error| Failure::Failed(format!("the server failed: {error}"));
    let mut stop = StopSignals::new().map_err(failed)?;
    let mut server = rt::spawn(server);
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop.next() => None,
    };
    if let Some(ended) = ended {
        return ended.map_err(io::Error::other).flatten().map_err(failed);
    }
    tracing::info!("stopping; a second signal ends it at once");
    tokio::select! {
        () = handle.stop(true) => {}
        () = stop.next() => tracing::warn!("stopped by a second signal"),
    }
    Ok(())
}

/// Scores a file, until it is done or a signal comes.
fn score(config: &Config, files: Files) -> Result<ExitCode, Failure> {
    let job = predict_job(config, files)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (done, mut outcome) = oneshot::channel();
    let flag = Arc::clone(&stop);
    let failed = |error: io::Error| Failure::Failed(format!("cannot score: {error}"));
    let scoring = thread::Builder::new()
        .name("predict".to_owned())
        .spawn(move || {
            let _ = done.send(predict::run(job, &flag));
        })
        .map_err(failed)?;
    let outcome = System::new().block_on(async {
        let mut signals = StopSignals::new().map_err(failed)?;
        tokio::select! {
            outcome = &mut outcome => return Ok(outcome),
            () = signals.next() => stop.store(true, Ordering::Relaxed),
        }
        Ok(outcome.await)
    })?;
    let _ = scoring.join();
    match outcome.unwrap_or(Err(PredictError::Panicked)) {
        Ok(summary) => {
            let _ = writeln!(io::stderr().lock(), "{summary}");
            Ok(ExitCode::SUCCESS)
        }
        Err(PredictError::Usage(text)) => Err(Failure::Usage(text)),
        Err(error @ PredictError::Stopped) => Err(Failure::Stopped(error.to_string())),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

fn predict_job(config: &Config, files: Files) -> Result<Job, Failure> {
    let [model] = config.models.as_slice() else {
        return Err(Failure::Usage("one model scores a file; give its folder with -m".to_owned()));
    };
    let forms = files.forms().map_err(|error| Failure::Usage(error.to_string()))?;
    let path = model.path.display();
    let refused = |cause: &dyn Display| Failure::Failed(format!("cannot load {path}: {cause}"));
    let resolved = resolve(&model.path.to_string_lossy(), None).map_err(|cause| refused(&cause))?;
    let dir = ModelDir::open(&resolved.dir).map_err(|cause| refused(&cause))?;
    let engine = Engines { config, started: Vec::new() }.get(model.backend)?;
    let (signature, model) = predict::load(dir, &*engine, config.onnxruntime.providers.as_deref())
        .map_err(|cause| refused(&cause))?;
    Ok(Job { signature, model, files, forms, threads: config.pool.threads })
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Loads all models, in order.
fn load_all(config: &Config) -> Result<Vec<Loaded>, Failure> {
    let mut engines = Engines { config, started: Vec::new() };
    let mut all = Vec::new();
    for model in &config.models {
        all.extend(load_one(config, model, &mut engines)?);
    }
    Ok(all)
}

/// Loads what one path means: a model, or every model of a registry.
fn load_one(
    config: &Config,
    model: &ModelConfig,
    engines: &mut Engines<'_>,
) -> Result<Vec<Loaded>, Failure> {
    let refused = |cause: &dyn Display| {
        Failure::Failed(format!("cannot serve {}: {cause}", model.path.display()))
    };
    let mut resolved =
        resolve_all(&model.path.to_string_lossy(), None).map_err(|cause| refused(&cause))?;
    if let Some(name) = &model.name {
        let [one] = resolved.as_mut_slice() else {
            return Err(refused(&format_args!(
                "it holds several models, which cannot all be named {name}; give the folder of one"
            )));
        };
        one.name = name.clone();
    }
    let options = LoadOptions {
        providers: config.onnxruntime.providers.clone(),
        scoring: ScoringOptions {
            record_shape: model.record_shape,
            decoded_bytes_max: config.server.body_bytes_max,
        },
    };
    resolved
        .into_iter()
        .map(|ResolvedModel { name, version, dir }| {
            // The directory first: its faults need no engine to be found.
            let dir = ModelDir::open(&dir).map_err(|cause| refused(&cause))?;
            let engine = engines.get(model.backend)?;
            let id = ModelId { name, version };
            load(id, dir, &*engine, &options).map_err(|cause| refused(&cause))
        })
        .collect()
}

/// The engines in use, each started once.
struct Engines<'a> {
    config: &'a Config,
    started: Vec<(Choice, Arc<dyn Backend>)>,
}

impl Engines<'_> {
    fn get(&mut self, choice: Choice) -> Result<Arc<dyn Backend>, Failure> {
        if let Some((_, engine)) = self.started.iter().find(|(started, _)| *started == choice) {
            return Ok(Arc::clone(engine));
        }
        let onnxruntime = &self.config.onnxruntime;
        let options = OrtOptions {
            library: onnxruntime.library.clone(),
            intra_op_threads: onnxruntime.intra_op_threads,
            spinning: onnxruntime.spinning,
        };
        let engine = backend::select(choice, options)
            .map_err(|error| Failure::Failed(format!("cannot start an engine: {error}")))?;
        self.started.push((choice, Arc::clone(&engine)));
        Ok(engine)
    }
}
