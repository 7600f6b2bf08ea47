//! Which version should serve, as MLflow says.

use super::answers::{ModelVersion, RegisteredModel, Time};
use super::client::Client;
use super::origin::{ready, ready_model, without_query};
use super::tell::Teller;
use crate::mlflow::ModelUri;
use crate::model::{ModelName, Selector, VersionId};
use crate::source::{Aspired, Origin, SourceError, Told, Wanted};
use crate::store::RemoteError;

/// Asks MLflow for one model.
///
/// An alias, a stage or `latest` costs one request each time, and two or three when the answer is
/// another than last time. Runs and logged models never change: once found they are not asked for
/// again.
pub struct MlflowSource {
    client: Client,
    wanted: Wanted,
    /// A version that `registered-models/get` names by its number only, with the time of the
    /// model's last change.
    numbered: Option<(Time, ModelVersion)>,
    /// Where the files of a version are, with what the registry said about it.
    located: Option<(String, Origin)>,
    /// A run's or logged model's answer.
    settled: Option<Aspired>,
    /// `None` where the registry is not to be told anything.
    teller: Option<Teller>,
}

/// What a model's aliases and stages select.
#[derive(Debug)]
pub(super) enum Selected<'a> {
    Version(&'a ModelVersion),
    /// Known by its number only.
    Number(u64),
    Nothing,
}

impl MlflowSource {
    /// The client's patience is that of each question: where the question is repeated anyway,
    /// [`RetryPolicy::NEVER`](super::RetryPolicy::NEVER) is enough.
    #[must_use]
    pub fn new(client: Client, wanted: Wanted) -> Self {
        let teller = Some(Teller::default());
        Self { client, wanted, numbered: None, located: None, settled: None, teller }
    }

    /// A source that asks and never writes.
    #[must_use]
    pub fn without_tags(self) -> Self {
        Self { teller: None, ..self }
    }

    /// The version that should serve now; `None` when the registry answered and nothing is
    /// selected: the alias is not set, no version is in the stage, the version was deleted.
    ///
    /// # Errors
    /// `Unknown` when there is no such model; `Remote` when there was no answer or none of use, and
    /// when the version is not ready.
    pub async fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        if self.settled.is_some() {
            return Ok(self.settled.clone());
        }
        match self.wanted.clone() {
            Wanted::Model(ModelUri::Registered { name, selector }) => {
                self.registered(&name, &selector).await
            }
            Wanted::Model(ModelUri::Logged { id }) => {
                let model = self.client.logged_model(&id).await.map_err(unknown)?;
                ready_model(&model)?;
                let origin = self.client.origin(&model.info.artifact_uri).await?;
                let stamp = format!("{id} {}", model.info.creation_timestamp_ms);
                Ok(Some(self.settle(&stamp, origin)))
            }
            Wanted::Run(run) => {
                let uri = run.to_string();
                let origin = self.client.origin(&uri).await.map_err(unknown)?;
                Ok(Some(self.settle(&uri, origin)))
            }
        }
    }

    /// Writes to the registry what became of a version of the model, as its tags `flowgate.status`
    /// and `flowgate.reason`. Runs and logged models have none. At most two requests; none where
    /// the same was said last, nor once the registry denied it.
    ///
    /// # Errors
    /// When it could not be written. Once the registry has answered `Denied` nothing is tried any
    /// more; a transient failure may be told again.
    pub async fn tell(&mut self, version: VersionId, told: &Told) -> Result<(), RemoteError> {
        match (&mut self.teller, &self.wanted) {
            (Some(teller), Wanted::Model(ModelUri::Registered { name, .. })) => {
                teller.tell(&self.client, name, version, told).await
            }
            _ => Ok(()),
        }
    }

    async fn registered(
        &mut self,
        name: &ModelName,
        selector: &Selector,
    ) -> Result<Option<Aspired>, SourceError> {
        let Some(version) = self.selected(name, selector).await? else { return Ok(None) };
        ready_version(name, &version)?;
        let said = version.to_string();
        let origin = match &self.located {
            Some((about, origin)) if *about == said => origin.clone(),
            _ => {
                let location = self.client.download_uri(name, version.version).await?;
                let origin = self.client.origin(&location).await?;
                self.located = Some((said.clone(), origin.clone()));
                origin
            }
        };
        Ok(Some(aspired(version.version, &said, origin)))
    }

    async fn selected(
        &mut self,
        name: &ModelName,
        selector: &Selector,
    ) -> Result<Option<ModelVersion>, SourceError> {
        if let Selector::Version(version) = selector {
            return match self.client.version(name, version.0).await {
                // Whether the model is there at all the answer does not tell.
                Err(RemoteError::Missing(_)) => {
                    self.client.model(name).await.map_err(unknown)?;
                    Ok(None)
                }
                version => Ok(Some(version?)),
            };
        }
        let model = self.client.model(name).await.map_err(unknown)?;
        match select(&model, selector) {
            Selected::Version(version) => Ok(Some(version.clone())),
            Selected::Number(number) => self.numbered(name, &model, number).await,
            Selected::Nothing => Ok(None),
        }
    }

    async fn numbered(
        &mut self,
        name: &ModelName,
        model: &RegisteredModel,
        number: u64,
    ) -> Result<Option<ModelVersion>, SourceError> {
        match &self.numbered {
            Some((at, version))
                if *at == model.last_updated_timestamp && version.version == number =>
            {
                Ok(Some(version.clone()))
            }
            _ => match self.client.version(name, number).await {
                // Deleted since the model was asked for.
                Err(RemoteError::Missing(_)) => Ok(None),
                version => {
                    let version = version?;
                    self.numbered = Some((model.last_updated_timestamp.clone(), version.clone()));
                    Ok(Some(version))
                }
            },
        }
    }

    fn settle(&mut self, said: &str, origin: Origin) -> Aspired {
        let aspired = aspired(1, said, origin);
        self.settled = Some(aspired.clone());
        aspired
    }
}

fn aspired(version: u64, said: &str, origin: Origin) -> Aspired {
    let place = match &origin {
        Origin::Directory(path) => path.display().to_string(),
        // What follows may be a signature, which is secret and another one each time.
        Origin::Artifacts(uri) => without_query(uri).to_owned(),
    };
    Aspired { version: VersionId(version), origin, stamp: format!("{said} {place}") }
}

/// The version that a selector means. The latest of a stage is the one with the highest number, not
/// the one that came last; `latest` is the highest of all stages.
pub(super) fn select<'a>(model: &'a RegisteredModel, selector: &Selector) -> Selected<'a> {
    let known = |number: u64| model.latest_versions.iter().find(|v| v.version == number);
    let highest = |of: &dyn Fn(&&ModelVersion) -> bool| {
        model.latest_versions.iter().filter(of).max_by_key(|version| version.version)
    };
    let found = match selector {
        Selector::Alias(alias) => match model.aliases.iter().find(|entry| entry.alias == *alias) {
            Some(entry) => match known(entry.version) {
                Some(version) => Some(version),
                None => return Selected::Number(entry.version),
            },
            None => None,
        },
        Selector::Stage(stage) => highest(&|version| {
            version.current_stage.as_deref().unwrap_or("None").eq_ignore_ascii_case(stage.name())
        }),
        Selector::Latest => highest(&|_| true),
        Selector::Version(number) => return Selected::Number(number.0),
    };
    found.map_or(Selected::Nothing, Selected::Version)
}

pub(super) fn ready_version(name: &ModelName, version: &ModelVersion) -> Result<(), RemoteError> {
    let what = format!("version {} of model {name}", version.version);
    ready(&what, version.status.as_deref(), version.status_message.as_deref())
}

/// What the registry does not know is no failure of the registry.
fn unknown(error: RemoteError) -> SourceError {
    match error {
        RemoteError::Missing(_) => SourceError::Unknown(error.to_string()),
        error => SourceError::Remote(error),
    }
}
