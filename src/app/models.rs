//! From what is configured to loaded models.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::backend::{self, Backend, Choice, OrtOptions};
use crate::config::{Config, Environment, ModelConfig};
use crate::lifecycle::{Fetcher, First, Plan, Version};
use crate::model::{ModelId, ModelName};
use crate::servable::{LoadOptions, Loaded, WarmUp, load};
use crate::source::{Aspired, Origin};
use crate::store::{ModelDir, ResolvedModel, TuneCache, resolve_all};
use crate::wire::invocations::ScoringOptions;

use super::Failure;
use super::registry::{Reach, Registered, is_mlflow};

/// A registry is waited for so long at the start.
const ASK_TIME_MAX: Duration = Duration::from_secs(30);

/// What a server starts with.
pub(super) struct Start {
    /// The versions that serve at first.
    pub(super) first: Vec<First>,
    pub(super) plans: HashMap<ModelName, Plan>,
    pub(super) sources: Vec<Registered>,
    pub(super) fetcher: Fetcher,
}

/// Finds every model's registry, and loads the version that it names.
pub(super) fn start(config: &Config, environment: &Environment) -> Result<Start, Failure> {
    let reach = Reach::new(config, environment)?;
    let mut engines = Engines::new(config);
    let (mut first, mut plans, mut sources) = (Vec::new(), HashMap::new(), Vec::new());
    for model in &config.models {
        first.extend(if is_mlflow(&model.path) {
            vec![fetch_first(&reach, config, model, &mut engines)?]
        } else {
            load_one(config, model, &mut engines)?.into_iter().map(first_of).collect()
        });
        for mut registered in reach.registered(model)? {
            if let Some(one) = first.iter().find(|one| one.model == registered.name) {
                registered.source.set_answered(one.aspired.version);
            }
            let plan = Plan {
                backend: engines.get(model.backend)?,
                options: load_options(config, model),
                needs_compatible: config.registry.needs_compatible,
            };
            plans.insert(registered.name.clone(), plan);
            sources.push(registered);
        }
    }
    Ok(Start { first, plans, sources, fetcher: reach.fetcher()? })
}

/// A version that was loaded from where it lies.
fn first_of((loaded, dir): (Loaded, PathBuf)) -> First {
    warn_of_example(&loaded);
    let ModelId { name, version } = loaded.servable.id().clone();
    let aspired = Aspired { version, origin: Origin::Directory(dir), stamp: String::new() };
    First { model: name, aspired, version: Version::new(loaded, None) }
}

fn warn_of_example(loaded: &Loaded) {
    if let WarmUp::Failed(error) = &loaded.warm_up {
        tracing::warn!(model = %loaded.servable.id(), %error, "the example request failed");
    }
}

/// Asks an MLflow registry, fetches what it names and loads it; or what it named last, if that is
/// not to be had.
fn fetch_first(
    reach: &Reach<'_>,
    config: &Config,
    model: &ModelConfig,
    engines: &mut Engines<'_>,
) -> Result<First, Failure> {
    let refused = |cause: &dyn Display| {
        Failure::Failed(format!("cannot serve {}: {cause}", model.path.display()))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| refused(&cause))?;
    // Clients of this runtime.
    let (name, named, fetcher) = runtime.block_on(async {
        let mut registered = reach.registered(model)?;
        let Some(Registered { name, mut source, .. }) = registered.pop() else {
            return Err(refused(&"it names no model"));
        };
        let asked = tokio::time::timeout(ASK_TIME_MAX, source.aspired()).await;
        let named = match asked {
            Ok(Ok(Some(aspired))) => Ok(aspired),
            Ok(Ok(None)) => Err("the registry selects no version of it".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("the registry gave no answer in {ASK_TIME_MAX:?}")),
        };
        Ok((name, named, reach.fetcher()?))
    })?;
    let engine = engines.get(model.backend)?;
    let options = load_options(config, model);
    let bring = |aspired: Aspired| -> Result<First, String> {
        let fetched = runtime.block_on(fetcher.fetch(&name, &aspired));
        let fetched = fetched.map_err(|error| error.to_string())?;
        let dir = ModelDir::open(&fetched.dir).map_err(|error| error.to_string())?;
        let id = ModelId { name: name.clone(), version: aspired.version };
        let loaded = load(id, dir, &*engine, &options).map_err(|error| error.to_string())?;
        if let WarmUp::Failed(error) = &loaded.warm_up {
            return Err(format!("its own example request fails: {error}"));
        }
        let version = Version::new(loaded, fetched.held);
        Ok(First { model: name.clone(), aspired, version })
    };
    let last = fetcher.last_known(&name).filter(|last| Ok(last) != named.as_ref());
    let (first, cause) = match (named.and_then(bring), last) {
        (Ok(first), _) => return Ok(first),
        (Err(cause), None) => return Err(refused(&cause)),
        (Err(cause), Some(last)) => (bring(last).map_err(|error| refused(&error))?, cause),
    };
    let version = first.aspired.version;
    tracing::error!(model = %name, %version, cause, "the last known version serves");
    Ok(first)
}

/// Loads all models, in order.
pub(super) fn load_all(config: &Config) -> Result<Vec<Loaded>, Failure> {
    let mut engines = Engines::new(config);
    let mut all = Vec::new();
    for model in &config.models {
        all.extend(load_one(config, model, &mut engines)?.into_iter().map(|(loaded, _)| loaded));
    }
    Ok(all)
}

/// Loads what one path means: a model, or every model of a registry.
fn load_one(
    config: &Config,
    model: &ModelConfig,
    engines: &mut Engines<'_>,
) -> Result<Vec<(Loaded, PathBuf)>, Failure> {
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
    let options = load_options(config, model);
    resolved
        .into_iter()
        .map(|ResolvedModel { name, version, dir }| {
            // The directory first: its faults need no engine to be found.
            let opened = ModelDir::open(&dir).map_err(|cause| refused(&cause))?;
            let engine = engines.get(model.backend)?;
            let id = ModelId { name, version };
            let loaded = load(id, opened, &*engine, &options).map_err(|cause| refused(&cause))?;
            Ok((loaded, dir))
        })
        .collect()
}

/// How a model's versions are loaded.
fn load_options(config: &Config, model: &ModelConfig) -> LoadOptions {
    LoadOptions {
        providers: config.onnxruntime.providers.clone(),
        scoring: ScoringOptions {
            record_shape: model.record_shape,
            decoded_bytes_max: config.server.body_bytes_max,
        },
        batch: model.batch,
        tune_cache: config.cache_dir.clone().map(TuneCache::new),
        intra_op_threads: config.onnxruntime.intra_op_threads.get(),
        cores: available_parallelism().map_or(1, usize::from),
    }
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
