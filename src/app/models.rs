//! From what is configured to models with their registries, and to loaded versions.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::backend::{self, Backend, Choice, OrtOptions};
use crate::config::{Config, Environment, ModelConfig};
use crate::drift::{DriftOptions, Monitors};
use crate::lifecycle::{Fetched, Loader, Order, Plan, Version};
use crate::servable::LoadOptions;
use crate::source::{Aspired, Source};
use crate::store::TuneCache;
use crate::telemetry::Meters;
use crate::wire::invocations::ScoringOptions;

use super::Failure;
use super::registry::{Reach, Registered};

/// A registry is waited for so long where nothing follows it.
const ASK_TIME_MAX: Duration = Duration::from_secs(30);

/// All models with what says which version of each serves, and what loads it.
pub(super) struct Models {
    pub(super) registered: Vec<Registered>,
    pub(super) loader: Loader,
}

/// Where versions are counted, and their drift.
#[derive(Clone, Default)]
pub(super) struct Watching {
    pub(super) meters: Meters,
    pub(super) monitors: Monitors,
}

/// Finds every model's registry, and starts the engines. Asks nobody and loads nothing yet.
pub(super) fn find_all(
    config: &Config,
    environment: &Environment,
    watching: &Watching,
) -> Result<Models, Failure> {
    let reach = Reach::new(config, environment)?;
    let mut engines = Engines::new(config);
    let (mut registered, mut plans) = (Vec::new(), HashMap::new());
    for model in &config.models {
        for one in reach.registered(model)? {
            let plan = Plan {
                backend: engines.get(model.backend)?,
                options: load_options(config, model, watching),
                needs_compatible: config.registry.needs_compatible,
                needs_example: one.needs_example,
                selected_by: one.selected_by.clone(),
            };
            plans.insert(one.name.clone(), plan);
            registered.push(one);
        }
    }
    let loader = Loader::new(plans, reach.fetcher()?)
        .map_err(|error| Failure::Failed(format!("cannot load models: {error}")))?;
    Ok(Models { registered, loader })
}

/// Loads the version of each model that serves now, in order. One that fails its own example is
/// among them.
pub(super) fn load_all(
    config: &Config,
    environment: &Environment,
) -> Result<Vec<Version>, Failure> {
    let Models { registered, mut loader } = find_all(config, environment, &Watching::default())?;
    loader.allow_failing_examples();
    let load_one = |Registered { name, place, mut source, .. }: Registered| {
        let refused =
            |cause: &dyn Display| Failure::Failed(format!("cannot serve {place}: {cause}"));
        let aspired = ask(loader.runtime(), &mut source).map_err(|cause| refused(&cause))?;
        let order = Order::new(name, aspired);
        loader.bring(&order, &mut |_| {}).map_err(|error| refused(&error.cause))
    };
    registered.into_iter().map(load_one).collect()
}

/// The files of the one version that a model's registry names.
pub(super) fn fetch_one(
    config: &Config,
    environment: &Environment,
    model: &ModelConfig,
) -> Result<Fetched, Failure> {
    let refused = |cause: &dyn Display| {
        Failure::Failed(format!("cannot load {}: {cause}", model.path.display()))
    };
    let reach = Reach::new(config, environment)?;
    let mut registered = reach.registered(model)?;
    let (Some(Registered { name, mut source, .. }), []) = (registered.pop(), registered.as_slice())
    else {
        return Err(refused(&"it holds several models; give the folder of one"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| refused(&cause))?;
    let aspired = ask(&runtime, &mut source).map_err(|cause| refused(&cause))?;
    let fetcher = reach.fetcher()?;
    runtime.block_on(fetcher.fetch(&name, &aspired)).map_err(|cause| refused(&cause))
}

/// Asks a registry which version serves. A directory that is being copied is waited for.
fn ask(runtime: &Runtime, source: &mut Source) -> Result<Aspired, String> {
    let answer = async {
        loop {
            match source.aspired().await {
                Ok(Some(aspired)) => return Ok(aspired),
                Ok(None) => match source.settles_in() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err("the registry selects no version of it".to_owned()),
                },
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    runtime
        .block_on(async { tokio::time::timeout(ASK_TIME_MAX, answer).await })
        .unwrap_or_else(|_| Err(format!("the registry gave no answer in {ASK_TIME_MAX:?}")))
}

/// How a model's versions are loaded.
fn load_options(config: &Config, model: &ModelConfig, watching: &Watching) -> LoadOptions {
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
        meters: watching.meters.clone(),
        // Without the admin port nobody could read it.
        drift: DriftOptions {
            is_on: config.drift.is_on && config.admin.is_some(),
            ..config.drift.clone()
        },
        monitors: watching.monitors.clone(),
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
