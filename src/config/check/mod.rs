//! From what was given to a [`Config`] that cannot be wrong.

mod telemetry;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use bytesize::ByteSize;

use crate::backend::LibrarySearch;
use crate::batch::{Lane, LaneChoice, PoolOptions, QueueLimits};
use crate::model::ModelName;
use crate::servable::BatchOptions;
use crate::server::{AdminOptions, ServerOptions};
use crate::telemetry::ProcessMemory;
use crate::wire::invocations::RecordShape;

use crate::config::checked::{
    Config, Level, LogFormat, LogOptions, ModelConfig, OnnxRuntimeOptions, RegistryOptions,
    StartOptions,
};
use crate::config::fault::{Fault, Faults};
use crate::config::file::FileModel;
use crate::config::parse;
use crate::config::setting::{self, Setting};
use crate::config::sources::{Given, Origin, Sources};

pub(in crate::config) const OUTPUTS: &[(&str, RecordShape)] =
    &[("mlflow", RecordShape::Flattened), ("rows", RecordShape::Rows)];
pub(in crate::config) const LANES: &[(&str, LaneChoice)] = &[
    ("auto", LaneChoice::Auto),
    ("express", LaneChoice::Always(Lane::Express)),
    ("queue", LaneChoice::Always(Lane::Queue)),
];
/// What `auto` aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Throughput,
    Latency,
}

const SWITCH: &[(&str, bool)] = &[("on", true), ("off", false)];
const SIGNATURES: &[(&str, bool)] = &[("compatible", true), ("any", false)];
const PROFILES: &[(&str, Profile)] =
    &[("throughput", Profile::Throughput), ("latency", Profile::Latency)];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// Threads of a kind, at most: more than any machine has cores.
const THREADS_MAX: usize = 1024;
/// Connections or waiting requests, at most: each costs some hundred bytes.
const COUNT_MAX: usize = 1_000_000;
const ROWS_MAX: usize = 1_000_000_000;
const SIZE_MAX: ByteSize = ByteSize::gib(16);
const INSTANT: Duration = Duration::from_millis(1);

impl Config {
    /// Checks everything that was given.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn check(sources: &Sources) -> Result<Self, Faults> {
        let mut check = Check { sources, faults: sources.faults.clone() };
        let server = check.server();
        let admin = check.admin(&server.host);
        let profile = check.get(&setting::PROFILE, |text| parse::word(text, PROFILES));
        let pool = check.pool(profile);
        let cache_dir = check.cache_dir();
        let onnxruntime = check.onnxruntime(profile);
        let registry = check.registry(admin.is_some());
        let cache_bytes_max = check.get(&setting::CACHE_BYTES_MAX, |text| {
            parse::bytes(text, ByteSize::mib(1), ByteSize::tib(64))
        }) as u64;
        let log = LogOptions {
            format: check.get(&setting::LOG_FORMAT, |text| parse::word(text, FORMATS)),
            level: check.get(&setting::LOG_LEVEL, |text| parse::word(text, LEVELS)),
        };
        let (meters, series_max, drift) = (check.meters(), check.series_max(), check.drift());
        let start = StartOptions {
            exit_on_error: check.get(&setting::EXIT_ON_ERROR, parse::boolean),
            ready_on_fallback: check.get(&setting::READY_ON_FALLBACK, parse::boolean),
        };
        let batch = check.batch();
        let models = check.models(batch);
        let timeout = server.request_timeout;
        check.below(&setting::QUEUE_WAIT_MAX, pool.queue.wait_max, timeout);
        check.below(&setting::QUEUE_DELAY_MAX, batch.delay_max, timeout);
        let Check { faults, .. } = check;
        if faults.is_empty() {
            Ok(Self {
                models,
                server,
                admin,
                pool,
                batch,
                onnxruntime,
                registry,
                cache_dir,
                cache_bytes_max,
                start,
                meters,
                series_max,
                drift,
                log,
            })
        } else {
            Err(Faults(faults))
        }
    }
}

/// A check on its way through the settings.
struct Check<'a> {
    sources: &'a Sources,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn server(&mut self) -> ServerOptions {
        let body_bytes_max = self
            .get(&setting::BODY_BYTES_MAX, |text| parse::bytes(text, ByteSize::kib(1), SIZE_MAX));
        ServerOptions {
            host: self.get(&setting::HOST, |text| (!text.is_empty()).then(|| text.to_owned())),
            port: self.get(&setting::PORT, |text| text.parse().ok()),
            workers: self.get(&setting::WORKERS, |text| threads(text, cores().div_ceil(2))),
            request_timeout: self.get(&setting::TIMEOUT, |text| parse::duration(text, INSTANT)),
            body_bytes_max,
            requests_max: self
                .get(&setting::REQUESTS_MAX, |text| parse::number(text, 1, COUNT_MAX)),
            requests_bytes_max: self.requests_bytes_max(body_bytes_max),
            compress_bytes_min: self.get(&setting::COMPRESS_BYTES_MIN, |text| {
                parse::bytes(text, ByteSize::b(0), SIZE_MAX)
            }),
            connections_max: self
                .get(&setting::CONNECTIONS_MAX, |text| parse::number(text, 1, COUNT_MAX)),
            head_timeout: self.get(&setting::HEAD_TIMEOUT, |text| parse::duration(text, INSTANT)),
            keep_alive: self.get(&setting::KEEP_ALIVE, |text| parse::duration(text, INSTANT)),
            shutdown_timeout: self.get(&setting::SHUTDOWN_TIMEOUT, |text| {
                parse::duration(text, Duration::from_secs(1))
            }),
            schema_details: self.get(&setting::SCHEMA_DETAILS, parse::boolean),
        }
    }

    /// Holds one body at least; `auto` gives way to a large `body_bytes_max`.
    fn requests_bytes_max(&mut self, body_bytes_max: usize) -> usize {
        let (min, max) = (ByteSize::b(body_bytes_max as u64), ByteSize::b(u64::MAX));
        self.get(&setting::REQUESTS_BYTES_MAX, |text| {
            if text == "auto" {
                Some((memory_bytes() / 2).max(body_bytes_max))
            } else {
                parse::bytes(text, min, max)
            }
        })
    }

    /// The admin port, on the data port's host unless it has one of its own.
    fn admin(&mut self, host: &str) -> Option<AdminOptions> {
        let port = self.get(&setting::ADMIN_PORT, |text| match text {
            "off" => Some(None),
            _ => text.parse().ok().map(Some),
        });
        let own =
            self.optional(&setting::ADMIN_HOST, |text| (!text.is_empty()).then(|| text.to_owned()));
        Some(AdminOptions { host: own.unwrap_or_else(|| host.to_owned()), port: port? })
    }

    fn cache_dir(&mut self) -> Option<PathBuf> {
        let given = self.optional(&setting::CACHE_DIR, |text| match text {
            "" => None,
            "off" => Some(None),
            _ => Some(Some(PathBuf::from(text))),
        });
        given.unwrap_or_else(|| self.sources.cache_dir.clone())
    }

    fn pool(&mut self, profile: Profile) -> PoolOptions {
        let queue = QueueLimits {
            requests_max: self
                .get(&setting::QUEUE_REQUESTS_MAX, |text| parse::number(text, 1, COUNT_MAX)),
            rows_max: self.get(&setting::QUEUE_ROWS_MAX, |text| parse::number(text, 1, ROWS_MAX)),
            wait_max: self.get(&setting::QUEUE_WAIT_MAX, |text| parse::duration(text, INSTANT)),
        };
        let auto = if profile == Profile::Latency { 1 } else { cores() };
        PoolOptions { threads: self.get(&setting::THREADS, |text| threads(text, auto)), queue }
    }

    fn batch(&mut self) -> BatchOptions {
        BatchOptions {
            rows_max: self.get(&setting::BATCH_ROWS_MAX, batch_rows_max),
            delay_max: self
                .get(&setting::QUEUE_DELAY_MAX, |text| parse::duration(text, Duration::ZERO)),
            lane: self.get(&setting::LANE, |text| parse::word(text, LANES)),
            tune_time_max: self
                .get(&setting::TUNE_TIME_MAX, |text| parse::duration(text, Duration::ZERO)),
        }
    }

    fn onnxruntime(&mut self, profile: Profile) -> OnnxRuntimeOptions {
        let is_latency = profile == Profile::Latency;
        let auto = if is_latency { cores() } else { 1 };
        OnnxRuntimeOptions {
            library: self.library(),
            providers: self.optional(&setting::ORT_PROVIDERS, parse::list),
            intra_op_threads: self
                .get(&setting::ORT_THREADS, |text| NonZeroUsize::new(threads(text, auto)?)),
            spinning: self.get(&setting::ORT_SPINNING, |text| match text {
                "auto" => Some(is_latency),
                _ => parse::boolean(text),
            }),
        }
    }

    /// Where to look for ONNX Runtime, the configured place first.
    fn library(&mut self) -> LibrarySearch {
        let mut search = self.sources.library.clone();
        let given = self.sources.given.get(setting::ORT_LIBRARY.key);
        let of_others = setting::ORT_LIBRARY.env_known.map(|known| known.name);
        if let Some(Given { text, origin }) = given {
            let path = Some(PathBuf::from(text));
            match origin {
                Origin::Environment(name) if Some(*name) == of_others => {
                    search.ort_dylib_path = path;
                }
                _ => search.explicit = path,
            }
        }
        search
    }

    fn registry(&mut self, has_admin: bool) -> RegistryOptions {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        RegistryOptions {
            tracking_uri: self.optional(&setting::TRACKING_URI, text),
            registry_uri: self.optional(&setting::REGISTRY_URI, text),
            poll_interval: self
                .get(&setting::POLL_INTERVAL, |text| parse::duration(text, 100 * INSTANT)),
            needs_compatible: self.get(&setting::SIGNATURES, |text| parse::word(text, SIGNATURES)),
            keep_predecessor: self
                .get(&setting::KEEP_PREDECESSOR, |text| parse::duration(text, Duration::ZERO)),
            tags: self.get(&setting::TAGS, |text| parse::word(text, SWITCH)),
            webhook_secret_file: self.optional(&setting::WEBHOOK_SECRET_FILE, |path| {
                (has_admin && !path.is_empty()).then(|| PathBuf::from(path))
            }),
        }
    }

    /// The command line's models, else the file's.
    fn models(&mut self, batch: BatchOptions) -> Vec<ModelConfig> {
        let backend = self.get(&setting::BACKEND, |text| text.parse().ok());
        let record_shape = self.get(&setting::DATAFRAME_OUTPUTS, |text| parse::word(text, OUTPUTS));
        let base = ModelConfig { name: None, path: PathBuf::new(), backend, record_shape, batch };
        let sources = self.sources;
        // The file's entries are checked even if the command line goes before them.
        let of_file: Vec<_> = sources
            .models
            .iter()
            .enumerate()
            .map(|(index, entry)| self.file_model(index, entry, base.clone()))
            .collect();
        if sources.arguments.is_empty() {
            return of_file;
        }
        sources.arguments.iter().map(|argument| self.argument(argument, base.clone())).collect()
    }

    /// `[NAME=]DIR`. A path that has a `=` after a `/` is a path.
    fn argument(&mut self, argument: &str, base: ModelConfig) -> ModelConfig {
        match argument.split_once('=').filter(|(name, _)| !name.contains('/')) {
            None => ModelConfig { path: PathBuf::from(argument), ..base },
            Some((name, path)) => {
                let place = format!("argument {argument}");
                ModelConfig { name: self.name(place, name), path: PathBuf::from(path), ..base }
            }
        }
    }

    fn file_model(&mut self, index: usize, entry: &FileModel, base: ModelConfig) -> ModelConfig {
        let mut model = base;
        for (key, text) in &entry.values {
            let place = format!("models[{index}].{key}");
            match *key {
                "name" => model.name = self.name(place, text),
                "path" => model.path = PathBuf::from(text),
                "backend" => {
                    let parsed = text.parse().ok();
                    model.backend = self.word(place, key, text, parsed, model.backend);
                }
                "batch_rows_max" => {
                    let (parsed, or) = (batch_rows_max(text), model.batch.rows_max);
                    model.batch.rows_max = self.word(place, key, text, parsed, or);
                }
                "queue_delay_max" => {
                    let (parsed, or) =
                        (parse::duration(text, Duration::ZERO), model.batch.delay_max);
                    model.batch.delay_max = self.word(place, key, text, parsed, or);
                }
                "lane" => {
                    let parsed = parse::word(text, LANES);
                    model.batch.lane = self.word(place, key, text, parsed, model.batch.lane);
                }
                _ => {
                    let parsed = parse::word(text, OUTPUTS);
                    model.record_shape = self.word(place, key, text, parsed, model.record_shape);
                }
            }
        }
        if model.path.as_os_str().is_empty() {
            let problem = "a model needs a path".to_owned();
            self.faults.push(Fault { place: format!("models[{index}].path"), problem });
        }
        model
    }

    fn name(&mut self, place: String, text: &str) -> Option<ModelName> {
        match ModelName::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.faults.push(Fault { place, problem: format!("{error}, got `{text}`") });
                None
            }
        }
    }

    fn word<T>(&mut self, place: String, key: &str, text: &str, parsed: Option<T>, or: T) -> T {
        parsed.unwrap_or_else(|| {
            let expected = setting::MODEL
                .iter()
                .find(|known| known.key == key)
                .map_or("a known key", |known| known.expected);
            let problem = format!("expected {expected}, got `{text}`");
            self.faults.push(Fault { place, problem });
            or
        })
    }

    /// A wait beyond the time that a request has makes no sense; a default gives way.
    fn below(&mut self, setting: &Setting, wait: Duration, timeout: Duration) {
        if wait >= timeout && self.sources.given.contains_key(setting.key) {
            let problem = format!("expected less than {}", setting::TIMEOUT.key);
            self.faults.push(Fault { place: setting.key.to_owned(), problem });
        }
    }

    /// The value of a setting that has a default. A mistake is noted and the default taken.
    fn get<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Option<T>) -> T {
        self.optional(setting, &parse)
            .or_else(|| parse(setting.default?))
            .expect("the defaults in the table parse, as a test makes sure")
    }

    /// The value of a setting, if it was given.
    fn optional<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Given { text, origin } = self.sources.given.get(setting.key)?;
        let value = parse(text);
        if value.is_none() {
            let place = match origin {
                Origin::File | Origin::Default => setting.key.to_owned(),
                Origin::Flag(_) | Origin::Environment(_) => format!("{} ({origin})", setting.key),
            };
            let problem = format!("expected {}, got `{text}`", setting.expected);
            self.faults.push(Fault { place, problem });
        }
        value
    }
}

/// A number of threads: the given one, or `auto`.
fn threads(text: &str, auto: usize) -> Option<usize> {
    if text == "auto" { Some(auto) } else { parse::number(text, 1, THREADS_MAX) }
}

/// Rows in a batch: a number, or `auto` (`None`).
#[expect(clippy::option_option, reason = "the outer one says whether the text makes sense")]
fn batch_rows_max(text: &str) -> Option<Option<usize>> {
    if text == "auto" { Some(None) } else { parse::number(text, 1, COUNT_MAX).map(Some) }
}

/// Memory that the process may use, in bytes; 2 GiB where nobody knows.
fn memory_bytes() -> usize {
    let max = ProcessMemory::read().max.unwrap_or(2 << 30);
    usize::try_from(max).unwrap_or(usize::MAX)
}

/// Cores that the process may use: the cgroup's CPU quota (v1 or v2) and the affinity mask count.
fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}
