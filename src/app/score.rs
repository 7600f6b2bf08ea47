//! Scoring a file.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use actix_web::rt::System;
use tokio::sync::oneshot;

use crate::config::{Config, Environment};
use crate::predict::{self, Files, Job, PredictError};
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
    let job = predict_job(config, environment, files)?;
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

fn predict_job(config: &Config, environment: &Environment, files: Files) -> Result<Job, Failure> {
    let [model] = config.models.as_slice() else {
        return Err(Failure::Usage("one model scores a file; give its folder with -m".to_owned()));
    };
    let forms = files.forms().map_err(|error| Failure::Usage(error.to_string()))?;
    let path = model.path.display();
    let refused = |cause: &dyn Display| Failure::Failed(format!("cannot load {path}: {cause}"));
    // Held in the cache until the graph is loaded.
    let fetched = fetch_one(config, environment, model)?;
    let dir = ModelDir::open(&fetched.dir).map_err(|cause| refused(&cause))?;
    let engine = Engines::new(config).get(model.backend)?;
    let (signature, model) = predict::load(dir, &*engine, config.onnxruntime.providers.as_deref())
        .map_err(|cause| refused(&cause))?;
    Ok(Job { signature, model, files, forms, threads: config.pool.threads })
}
