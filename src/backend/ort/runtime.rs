//! ONNX Runtime itself: one library and one environment for the life of the process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::backend::elf;
use crate::backend::library::{LibrarySearch, unusable};

/// Target of ONNX Runtime's own log lines.
const LOG_TARGET: &str = "onnxruntime";

/// The runtime that the process uses, once there is one. Never emptied: a second environment
/// cannot be made, and the library cannot be unloaded.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// A handle on the process's ONNX Runtime.
#[derive(Clone)]
pub(super) struct Runtime {
    pub(super) environment: Environment,
    /// As exact as the library's file name tells: `1.31.1`, or `1.31`.
    pub(super) version: String,
    library: PathBuf,
}

impl Runtime {
    /// The process's runtime: opened at the first call, the same one afterwards whatever the
    /// search says.
    ///
    /// # Errors
    /// When no library works: a sentence for the operator.
    pub(super) fn start(search: &LibrarySearch) -> Result<Self, String> {
        // The slot is only written whole, so a poisoned lock guards sound data.
        let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            if let Some((setting, path)) = search.named()
                && search.candidates().is_ok_and(|found| !found.contains(&runtime.library))
            {
                let (named, in_use) = (path.display(), runtime.library.display());
                tracing::warn!(%named, %in_use, "{setting} is ignored: a library is already open");
            }
            return Ok(runtime.clone());
        }
        let runtime = Self::open(search)?;
        *slot = Some(runtime.clone());
        Ok(runtime)
    }

    fn open(search: &LibrarySearch) -> Result<Self, String> {
        let mut refused = Vec::new();
        for library in search.candidates()? {
            let opened = check(&library)
                .and_then(|()| ort::init_from(&library).map_err(|error| reason(&error)));
            let builder = match opened {
                Ok(builder) => builder,
                Err(reason) => {
                    refused.push(unusable(&library, &reason));
                    continue;
                }
            };
            let environment = builder
                .with_name("flowgate")
                .with_telemetry(false)
                .with_logger(Arc::new(|level, category, id, place, message| {
                    forward(level, category, id, place, message);
                }))
                .build()
                .map_err(|error| unusable(&library, error.message()))?;
            environment.set_log_level(log_level());
            let version = version(&library);
            tracing::debug!(library = %library.display(), version, "opened ONNX Runtime");
            return Ok(Self { environment, version, library });
        }
        Err(refused.join("; "))
    }
}

#[cfg(target_os = "linux")]
fn check(library: &Path) -> Result<(), String> {
    elf::check(library)
}

#[cfg(not(target_os = "linux"))]
fn check(_: &Path) -> Result<(), String> {
    Ok(())
}

fn reason(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => format!("it does not open ({error})"),
        LoadDynamicError::MissingApi { .. } => "it is another library".to_owned(),
        LoadDynamicError::InvalidVersionString => "it does not tell its version".to_owned(),
        LoadDynamicError::BadVersion { version_str, .. } => format!(
            "it is version {version_str}, and at least 1.{}.0 is needed",
            ort::MINOR_VERSION
        ),
    }
}

/// The version in the library's file name or in its link's target, else what the library tells.
fn version(library: &Path) -> String {
    let in_name = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let digits = |c: char| c.is_ascii_digit();
        let version = &name[name.find(digits)?..=name.rfind(digits)?];
        (version.split('.').count() == 3).then(|| version.to_owned())
    };
    let target = library.canonicalize().ok();
    in_name(library)
        .or_else(|| target.as_deref().and_then(in_name))
        .or_else(|| ort::util::probe(library).map(|minor| format!("1.{minor}")))
        .unwrap_or_else(|| "of unknown version".to_owned())
}

/// ONNX Runtime formats a message before it asks whether anyone wants it, so the level is set at
/// the source. Its errors come back as values too, which is why they count as detail here.
fn log_level() -> LogLevel {
    if tracing::enabled!(target: LOG_TARGET, tracing::Level::DEBUG) {
        LogLevel::Warning
    } else {
        LogLevel::Fatal
    }
}

fn forward(level: LogLevel, category: &str, id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Fatal => tracing::error!(target: LOG_TARGET, category, id, place, "{message}"),
        LogLevel::Error | LogLevel::Warning => {
            tracing::debug!(target: LOG_TARGET, category, id, place, "{message}");
        }
        LogLevel::Info | LogLevel::Verbose => {
            tracing::trace!(target: LOG_TARGET, category, id, place, "{message}");
        }
    }
}
