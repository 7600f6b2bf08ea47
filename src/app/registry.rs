//! From what is configured to the registries that are followed.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::{Config, Environment, ModelConfig};
use crate::lifecycle::Fetcher;
use crate::mlflow::ModelUri;
use crate::model::{ModelName, Selector};
use crate::source::{
    Client, DirectoryOptions, DirectorySource, FileStoreOptions, FileStoreSource, MlflowSource,
    ObjectOptions, RetryPolicy, Source, SqliteOptions, SqliteSource, Wanted, models_at,
};
use crate::store::{Cache, CacheOptions, Place, without_secrets};

use super::Failure;

/// A directory that was left alone for so long is complete.
const SETTLE: Duration = Duration::from_secs(1);

/// Files of one version, at most.
const FILES_MAX: usize = 10_000;

/// How URIs of database files begin, whatever their driver.
const SQLITE: &str = "sqlite";

/// A model with the registry that says which of its versions serves.
pub(super) struct Registered {
    pub(super) name: ModelName,
    /// As it is configured, for messages.
    pub(super) place: String,
    /// The registered model whose versions it serves; `None` where a registry has no such names.
    pub(super) follows: Option<ModelName>,
    pub(super) source: Source,
    /// Whether a version must answer its own example. Not for a directory that is no registry:
    /// nothing else could serve.
    pub(super) needs_example: bool,
    /// The alias or stage that selects its versions; empty where none does.
    pub(super) selected_by: String,
}

/// Makes what reaches registries and artifacts. Each thread has its own: connections live on the
/// thread that opened them.
pub(super) struct Reach<'a> {
    config: &'a Config,
    environment: &'a Environment,
    /// `None` where nothing is fetched, or there is no place for it.
    cache: Option<Arc<Cache>>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(config: &'a Config, environment: &'a Environment) -> Result<Self, Failure> {
        let cache = match &config.cache_dir {
            Some(dir) if config.models.iter().any(|model| is_mlflow(&model.path)) => {
                let cache = Cache::open(cache_options(dir, config.cache_bytes_max))
                    .map_err(|error| Failure::Failed(format!("cannot keep models: {error}")))?;
                Some(Arc::new(cache))
            }
            _ => None,
        };
        Ok(Self { config, environment, cache })
    }

    /// The models that one entry of the configuration means.
    pub(super) fn registered(&self, model: &ModelConfig) -> Result<Vec<Registered>, Failure> {
        let text = model.path.to_string_lossy();
        if !is_mlflow(&model.path) {
            return directories(model, &text);
        }
        let wanted =
            Wanted::parse(&text).map_err(|error| Failure::Usage(format!("{text}: {error}")))?;
        let name = served_name(model, &wanted, &text)?;
        let follows = match &wanted {
            Wanted::Model(ModelUri::Registered { name, .. }) => Some(name.clone()),
            Wanted::Model(ModelUri::Logged { .. }) | Wanted::Run(_) => None,
        };
        let selected_by = selected_by(&wanted);
        let place = text.into_owned();
        if let Some(source) = self.of_files(&wanted)? {
            let needs_example = true;
            return Ok(vec![Registered {
                name,
                place,
                follows,
                source,
                needs_example,
                selected_by,
            }]);
        }
        let client = mlflow_client(self.config, self.environment)?.ok_or_else(|| {
            Failure::Usage(format!(
                "{place} is looked up in an MLflow registry; name its server with \
                 MLFLOW_TRACKING_URI or --tracking-uri"
            ))
        })?;
        let mut source = MlflowSource::new(client.with_retry(RetryPolicy::NEVER), wanted);
        if !self.config.registry.tags {
            source = source.without_tags();
        }
        let source = Source::Mlflow(Box::new(source));
        Ok(vec![Registered { name, place, follows, source, needs_example: true, selected_by }])
    }

    /// The registry of a database file or a file store, if that is what is configured.
    fn of_files(&self, wanted: &Wanted) -> Result<Option<Source>, Failure> {
        let uri = self.config.registry.tracking_uri.clone().filter(|uri| is_of_files(uri));
        let Some(uri) = uri else { return Ok(None) };
        let (wanted, artifact_root) = (wanted.clone(), None);
        let workspace = self.environment.get("MLFLOW_WORKSPACE").map(str::to_owned);
        if self.config.registry.registry_uri.as_ref().is_some_and(|other| *other != uri) {
            return Err(Failure::Usage(
                "a registry URI beside a tracking URI of files is not supported; name the server \
                 with the tracking URI"
                    .to_owned(),
            ));
        }
        let source = if uri.starts_with(SQLITE) {
            let options = SqliteOptions { uri, wanted, workspace, artifact_root };
            SqliteSource::new(options).map(Source::from)
        } else {
            let options = FileStoreOptions { root: uri, wanted, workspace, artifact_root };
            FileStoreSource::new(options).map(Source::from)
        };
        source.map(Some).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// What fetches versions.
    pub(super) fn fetcher(&self) -> Result<Fetcher, Failure> {
        let objects = ObjectOptions {
            variables: self.environment.object_variables(),
            connect_time_max: Duration::from_secs(10),
            read_time_max: Duration::from_mins(1),
            retries_max: 5,
            retry_time_max: Duration::from_mins(2),
            files_max: FILES_MAX,
        };
        let client = mlflow_client(self.config, self.environment)?;
        let cache = self.cache.clone();
        Ok(Fetcher { cache, client, objects, identities: self.identities() })
    }

    /// What each served model of an MLflow registry is, for what is kept about it.
    fn identities(&self) -> HashMap<ModelName, String> {
        let registry = &self.config.registry;
        let server = |uri: &Option<String>| uri.as_deref().map(without_secrets).unwrap_or_default();
        let servers =
            format!("{} {}", server(&registry.tracking_uri), server(&registry.registry_uri));
        let models = self.config.models.iter().filter(|model| is_mlflow(&model.path));
        models
            .filter_map(|model| {
                let text = model.path.to_string_lossy();
                let wanted = Wanted::parse(&text).ok()?;
                Some((served_name(model, &wanted, &text).ok()?, format!("{servers} {text}")))
            })
            .collect()
    }
}

/// What selects the versions of a model, as a label.
fn selected_by(wanted: &Wanted) -> String {
    let Wanted::Model(ModelUri::Registered { selector, .. }) = wanted else { return String::new() };
    match selector {
        Selector::Alias(alias) => alias.clone(),
        Selector::Stage(stage) => stage.name().to_owned(),
        Selector::Latest => "latest".to_owned(),
        Selector::Version(_) => String::new(),
    }
}

/// The name that a model of an MLflow registry is served by.
fn served_name(model: &ModelConfig, wanted: &Wanted, text: &str) -> Result<ModelName, Failure> {
    match (&model.name, wanted) {
        (Some(name), _) | (None, Wanted::Model(ModelUri::Registered { name, .. })) => {
            Ok(name.clone())
        }
        (None, Wanted::Model(ModelUri::Logged { id })) => named(id, text),
        (None, Wanted::Run(run)) => {
            let run = run.to_string();
            named(run.rsplit('/').next().unwrap_or(&run), text)
        }
    }
}

/// The client of the MLflow server, if one is configured.
pub(super) fn mlflow_client(
    config: &Config,
    environment: &Environment,
) -> Result<Option<Client>, Failure> {
    let registry = &config.registry;
    // Files are read, and nothing is asked.
    let tracking = registry.tracking_uri.as_deref().filter(|uri| !is_of_files(uri));
    let Some(tracking) = tracking else { return Ok(None) };
    let url = |text: &str| {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(
            || {
                Failure::Usage(format!(
                    "`{}` is no http: or https: URI of an MLflow server",
                    without_secrets(text)
                ))
            },
        )
    };
    let tracking = url(tracking)?;
    let registry = registry.registry_uri.as_deref().map_or(Ok(tracking.clone()), url)?;
    let options = environment.mlflow_client(tracking, registry);
    let options = options.map_err(|error| Failure::Usage(error.to_string()))?;
    let client = Client::new(&options).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Some(client))
}

/// Whether a tracking URI is that of a database file or a file store.
pub(super) fn is_of_files(uri: &str) -> bool {
    uri.starts_with(SQLITE) || uri.starts_with("file:") || !uri.contains(':')
}

fn cache_options(dir: &Path, bytes_max: u64) -> CacheOptions {
    CacheOptions {
        dir: dir.join("models"),
        bytes_max,
        free_bytes_min: 64 << 20,
        file_bytes_max: bytes_max,
        files_max: FILES_MAX,
        streams_max: 4,
        list_time_max: Duration::from_mins(2),
        fetch_time_max: Duration::from_hours(1),
        stall_time_max: Duration::from_mins(1),
        stall_bytes_min: 1024,
        known_max: 1024,
    }
}

/// Whether a model is named by a URI that MLflow looks up.
fn is_mlflow(path: &Path) -> bool {
    Wanted::is_claimed_by(&path.to_string_lossy())
}

fn directories(model: &ModelConfig, text: &str) -> Result<Vec<Registered>, Failure> {
    let refused = |cause: &dyn Display| Failure::Failed(format!("cannot serve {text}: {cause}"));
    let models = models_at(text).map_err(|cause| refused(&cause))?;
    if let (Some(name), true) = (&model.name, models.len() > 1) {
        return Err(refused(&format_args!(
            "it holds several models, which cannot all be named {name}; give the folder of one"
        )));
    }
    let is_registry = !matches!(Place::of(text), Ok(Place::Directory(_)));
    let registered = models.into_iter().map(|(name, folder)| {
        let options = DirectoryOptions {
            path: folder.to_string_lossy().into_owned(),
            selector: None,
            settle: SETTLE,
        };
        let place = options.path.clone();
        let name = model.name.clone().unwrap_or(name);
        let source = DirectorySource::new(options).into();
        let selected_by = String::new();
        Registered { name, place, follows: None, source, needs_example: is_registry, selected_by }
    });
    Ok(registered.collect())
}

fn named(text: &str, uri: &str) -> Result<ModelName, Failure> {
    ModelName::new(text).map_err(|error| Failure::Usage(format!("{uri}: {error}; use NAME={uri}")))
}
