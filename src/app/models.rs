//! From what is configured to loaded models.

use std::fmt::Display;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::backend::{self, Backend, Choice, OrtOptions};
use crate::config::{Config, ModelConfig};
use crate::model::ModelId;
use crate::servable::{LoadOptions, Loaded, load};
use crate::store::{ModelDir, ResolvedModel, TuneCache, resolve_all};
use crate::wire::invocations::ScoringOptions;

use super::Failure;

/// Loads all models, in order.
pub(super) fn load_all(config: &Config) -> Result<Vec<Loaded>, Failure> {
    let mut engines = Engines::new(config);
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
        batch: model.batch,
        tune_cache: config.cache_dir.clone().map(TuneCache::new),
        intra_op_threads: config.onnxruntime.intra_op_threads.get(),
        cores: available_parallelism().map_or(1, usize::from),
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
pub(super) struct Engines<'a> {
    config: &'a Config,
    started: Vec<(Choice, Arc<dyn Backend>)>,
}

impl<'a> Engines<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, started: Vec::new() }
    }

    pub(super) fn get(&mut self, choice: Choice) -> Result<Arc<dyn Backend>, Failure> {
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
