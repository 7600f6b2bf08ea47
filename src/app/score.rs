//! Scoring a file, and profiling one.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use actix_web::rt::System;
use tokio::sync::oneshot;

use crate::backend::LoadedModel;
use crate::config::{Config, Environment};
use crate::drift;
use crate::model::Signature;
use crate::predict::{
    self, Files, HELD_VALUES_MAX, Job, PredictError, ProfileJob, ReferenceTarget,
};
use crate::store::ModelDir;

use super::Failure;
use super::models::{Engines, fetch_one};
use super::signals::StopSignals;

/// Scores a file, until it is done or a signal comes.
pub(super) fn score(
    config: &Config,
    environment: &Environment,
    files: Files,
) -> Result<ExitCode, Failure> {
    let forms = files.forms().map_err(usage)?;
    let Loaded { signature, model, .. } = load_one(config, environment)?;
    let job = Job { signature, model, files, forms, threads: config.pool.threads };
    until_stopped("predict", move |stop| predict::run(job, stop))
}

/// Makes a drift reference of a file, until it is done or a signal comes.
pub(super) fn profile(
    config: &Config,
    environment: &Environment,
    files: Files,
    target: &ReferenceTarget,
) -> Result<ExitCode, Failure> {
    files.input_form().map_err(usage)?;
    let Loaded { signature, signature_digest, model, local_dir } = load_one(config, environment)?;
    let output = match target {
        ReferenceTarget::Model => local_dir.map(|dir| dir.join(drift::FILE_NAME)),
        ReferenceTarget::StandardOutput => None,
        ReferenceTarget::File(path) => Some(path.clone()),
    };
    let job = ProfileJob {
        model,
        signature,
        signature_digest,
        files: Files { output, ..files },
        threads: config.pool.threads,
        values_max: HELD_VALUES_MAX,
    };
    until_stopped("profile", move |stop| predict::profile(&job, stop))
}

fn usage(error: impl Display) -> Failure {
    Failure::Usage(error.to_string())
}

/// Runs on a thread of its own, which a signal asks to stop, and says what came of it.
fn until_stopped<T: Display + Send + 'static>(
    name: &str,
    run: impl FnOnce(&AtomicBool) -> Result<T, PredictError> + Send + 'static,
) -> Result<ExitCode, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (done, mut outcome) = oneshot::channel();
    let flag = Arc::clone(&stop);
    let failed = |error: io::Error| Failure::Failed(format!("cannot score: {error}"));
    let running = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _ = done.send(run(&flag));
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
    let _ = running.join();
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

/// The one model that reads a file.
struct Loaded {
    signature: Signature,
    signature_digest: Option<String>,
    model: Arc<dyn LoadedModel>,
    /// Where it lies, if a directory of this machine was named and not a registry.
    local_dir: Option<PathBuf>,
}

fn load_one(config: &Config, environment: &Environment) -> Result<Loaded, Failure> {
    let [model] = config.models.as_slice() else {
        return Err(Failure::Usage("one model scores a file; give its folder with -m".to_owned()));
    };
    let path = model.path.display();
    let refused = |cause: &dyn Display| Failure::Failed(format!("cannot load {path}: {cause}"));
    // Held in the cache until the graph is loaded.
    let fetched = fetch_one(config, environment, model)?;
    let dir = ModelDir::open(&fetched.dir).map_err(|cause| refused(&cause))?;
    let is_local = fetched.held.is_none() && model.path.is_dir();
    let local_dir = is_local.then(|| dir.path.clone());
    let signature_digest = dir.mlmodel.signature_digest.clone();
    let engine = Engines::new(config).get(model.backend)?;
    let (signature, model) = predict::load(dir, &*engine, config.onnxruntime.providers.as_deref())
        .map_err(|cause| refused(&cause))?;
    Ok(Loaded { signature, signature_digest, model, local_dir })
}
