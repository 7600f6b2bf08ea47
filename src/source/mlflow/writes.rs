//! What is written to the registry. All of it may be repeated: the second time changes nothing.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::ask::Ask;
use super::client::Client;
use super::reads::API;
use crate::model::{ModelName, Stage, VersionId};
use crate::store::RemoteError;

/// What becomes of the versions that are in a stage already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OthersInStage {
    /// They move to `Archived`.
    Archive,
    /// They stay. The one with the highest number is the latest in its stage, whoever came last.
    Keep,
}

impl Client {
    /// Sets a tag of a version.
    ///
    /// # Errors
    /// `Missing` when there is no such version, `Denied` when we may not.
    pub async fn set_version_tag(
        &self,
        name: &ModelName,
        version: VersionId,
        key: &str,
        value: &str,
    ) -> Result<(), RemoteError> {
        let body = json!({
            "name": name.as_str(), "version": version.to_string(), "key": key, "value": value,
        });
        let what = format!("a tag of version {version} of model {name}");
        self.write(Method::POST, "model-versions/set-tag", what, body).await
    }

    /// Takes a tag of a version away; none there is none the less gone.
    ///
    /// # Errors
    /// `Missing` when there is no such version, `Denied` when we may not.
    pub async fn delete_version_tag(
        &self,
        name: &ModelName,
        version: VersionId,
        key: &str,
    ) -> Result<(), RemoteError> {
        let body = json!({ "name": name.as_str(), "version": version.to_string(), "key": key });
        let what = format!("a tag of version {version} of model {name}");
        self.write(Method::DELETE, "model-versions/delete-tag", what, body).await
    }

    /// Points an alias at a version, away from any other.
    ///
    /// # Errors
    /// `Missing` when there is no such version, `Denied` when we may not, `Unusable` when the
    /// registry does not take the alias.
    pub async fn set_alias(
        &self,
        name: &ModelName,
        alias: &str,
        version: VersionId,
    ) -> Result<(), RemoteError> {
        let body = json!({
            "name": name.as_str(), "alias": alias, "version": version.to_string(),
        });
        let what = format!("alias {alias} for version {version} of model {name}");
        self.write(Method::POST, "registered-models/alias", what, body).await
    }

    /// Moves a version to a stage.
    ///
    /// # Errors
    /// `Missing` when there is no such version, `Denied` when we may not.
    pub async fn transition_stage(
        &self,
        name: &ModelName,
        version: VersionId,
        stage: Stage,
        others: OthersInStage,
    ) -> Result<(), RemoteError> {
        let body = json!({
            "name": name.as_str(),
            "version": version.to_string(),
            "stage": stage.name(),
            "archive_existing_versions": others == OthersInStage::Archive,
        });
        let what = format!("stage {stage} for version {version} of model {name}");
        self.write(Method::POST, "model-versions/transition-stage", what, body).await
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        what: String,
        body: Value,
    ) -> Result<(), RemoteError> {
        let ask = Ask::new(method, self.registry(), &format!("{API}/{path}"), what).body(body);
        self.json::<IgnoredAny>(&ask).await?;
        Ok(())
    }
}
