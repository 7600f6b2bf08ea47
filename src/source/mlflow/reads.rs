//! What is asked of the registry and of the tracking server.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::answers::{
    ArtifactUriAnswer, LoggedModel, LoggedModelAnswer, LoggedModels, ModelVersion,
    ModelVersionAnswer, RegisteredModel, RegisteredModelAnswer, Run, RunAnswer,
};
use super::ask::Ask;
use super::client::Client;
use crate::mlflow::RunUri;
use crate::model::ModelName;
use crate::store::RemoteError;

/// Most pages of a search; a name of a logged model is rarely used as often within an experiment.
const PAGES_MAX: usize = 20;
const PAGE_MODELS: u32 = 100;

/// All of MLflow's API that is used here has this prefix.
pub(super) const API: &str = "api/2.0/mlflow";

impl Client {
    /// A model: its aliases, and the highest version of each stage.
    pub(super) async fn model(&self, name: &ModelName) -> Result<RegisteredModel, RemoteError> {
        let ask = Ask::get(
            self.registry(),
            &format!("{API}/registered-models/get"),
            format!("registered model {name}"),
        )
        .query("name", name.as_str());
        Ok(self.json::<RegisteredModelAnswer>(&ask).await?.registered_model)
    }

    pub(super) async fn version(
        &self,
        name: &ModelName,
        version: u64,
    ) -> Result<ModelVersion, RemoteError> {
        let ask = self.about_version("get", name, version);
        Ok(self.json::<ModelVersionAnswer>(&ask).await?.model_version)
    }

    /// Where the files of a version are; may name a run or a logged model.
    pub(super) async fn download_uri(
        &self,
        name: &ModelName,
        version: u64,
    ) -> Result<String, RemoteError> {
        let ask = self.about_version("get-download-uri", name, version);
        Ok(self.json::<ArtifactUriAnswer>(&ask).await?.artifact_uri)
    }

    pub(super) async fn logged_model(&self, id: &str) -> Result<LoggedModel, RemoteError> {
        let path = format!("{API}/logged-models");
        let ask = Ask::get(self.tracking(), &path, format!("logged model {id}")).under(id);
        Ok(self.json::<LoggedModelAnswer>(&ask).await?.model)
    }

    pub(super) async fn run(&self, run_id: &str) -> Result<Run, RemoteError> {
        let path = format!("{API}/runs/get");
        let ask = Ask::get(self.tracking(), &path, format!("run {run_id}"))
            .query("run_id", run_id)
            // The only name of the parameter that MLflow 1 knows.
            .query("run_uuid", run_id);
        Ok(self.json::<RunAnswer>(&ask).await?.run)
    }

    /// The model that a run logged under the first name of a path, which is how MLflow 3 does it;
    /// `None` where it logged none, or the server is older.
    pub(super) async fn model_of_run(
        &self,
        run: &Run,
        uri: &RunUri,
    ) -> Result<Option<LoggedModel>, RemoteError> {
        let name = uri.path.split('/').next().unwrap_or_default();
        if name.contains(['\'', '"', '`', '\\']) {
            // Not a name of a logged model, and more than a name within a filter.
            return Ok(None);
        }
        let mut question = json!({
            "experiment_ids": [run.info.experiment_id],
            "filter": format!("name = '{name}'"),
            "max_results": PAGE_MODELS,
        });
        for _ in 0..PAGES_MAX {
            let ask = Ask::new(
                Method::POST,
                self.tracking(),
                &format!("{API}/logged-models/search"),
                format!("the models that run {} logged", uri.run_id),
            )
            .body(question.clone());
            let page: LoggedModels = match self.json(&ask).await {
                Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => return Ok(None),
                page => page?,
            };
            let of_run = |model: &LoggedModel| {
                model.info.source_run_id.as_deref() == Some(uri.run_id.as_str())
            };
            if let Some(model) = page.models.into_iter().find(of_run) {
                return Ok(Some(model));
            }
            match page.next_page_token.filter(|token| !token.is_empty()) {
                Some(token) => question["page_token"] = token.into(),
                None => return Ok(None),
            }
        }
        Err(RemoteError::Unusable(format!(
            "more than {} models of the experiment have the name {name}, none of the first ones \
             by run {}: name the model by its id, models:/m-...",
            PAGES_MAX * PAGE_MODELS as usize,
            uri.run_id
        )))
    }

    fn about_version(&self, question: &str, name: &ModelName, version: u64) -> Ask {
        Ask::get(
            self.registry(),
            &format!("{API}/model-versions/{question}"),
            format!("version {version} of model {name}"),
        )
        .query("name", name.as_str())
        .query("version", &version.to_string())
    }
}
