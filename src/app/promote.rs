//! Promoting a version, in a directory registry or on an MLflow server.

use std::process::ExitCode;

use actix_web::rt::System;

use crate::config::{Config, Environment, Promotion};
use crate::mlflow::ModelUri;
use crate::model::{ModelName, VersionId};
use crate::source::{PromoteError, Promoted, promote_directory};
use crate::store::without_secrets;

use super::registry::{is_of_files, mlflow_client};
use super::{Failure, say};

/// Promotes, and says what was changed.
pub(super) fn promote(
    config: &Config,
    environment: &Environment,
    promotion: &Promotion,
) -> Result<ExitCode, Failure> {
    let Promotion { name, version, to } = promotion;
    let tracking = config.registry.tracking_uri.as_deref();
    let promoted = match registered(name, tracking)? {
        None => promote_directory(name, *version, to),
        Some(model) => {
            let client = server(config, environment, name)?;
            System::new().block_on(client.promote(&model, *version, to))
        }
    };
    let promoted = promoted.map_err(|error| match error {
        PromoteError::Assignment(error) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    say(line(&promoted));
    Ok(ExitCode::SUCCESS)
}

/// The registered model that a name means; `None` when it is that of a folder. Names of models
/// hold no slash.
fn registered(name: &str, tracking: Option<&str>) -> Result<Option<ModelName>, Failure> {
    let odd = |cause: String| Failure::Usage(format!("{name}: {cause}"));
    if !ModelUri::is_claimed_by(name) {
        let is_folder = tracking.is_none() || name.contains('/');
        let model = (!is_folder).then(|| ModelName::new(name)).transpose();
        return model.map_err(|error| odd(error.to_string()));
    }
    match ModelUri::parse(name) {
        // One name after `models:/` is an id where a version is asked for; here it is a model's.
        Ok(ModelUri::Logged { id }) => match ModelName::new(&id) {
            Ok(model) => Ok(Some(model)),
            Err(error) => Err(odd(error.to_string())),
        },
        Ok(ModelUri::Registered { name: model, .. }) => {
            Err(odd(format!("the version comes after the model; give models:/{model}")))
        }
        Err(error) => Err(odd(error.to_string())),
    }
}

/// The client of the MLflow server that has the model.
fn server(
    config: &Config,
    environment: &Environment,
    name: &str,
) -> Result<crate::source::Client, Failure> {
    if let Some(uri) = config.registry.tracking_uri.as_deref().filter(|uri| is_of_files(uri)) {
        let uri = without_secrets(uri);
        return Err(Failure::Usage(format!(
            "`{uri}` is read here and never written: give the URI of a server with --tracking-uri \
             (`mlflow server --backend-store-uri {uri}` starts one), or promote with MLflow itself"
        )));
    }
    mlflow_client(config, environment)?.ok_or_else(|| {
        Failure::Usage(format!(
            "{name} is a model of an MLflow registry; name its server with MLFLOW_TRACKING_URI or \
             --tracking-uri"
        ))
    })
}

fn line(promoted: &Promoted) -> String {
    let Promoted { name, version, to, before } = promoted;
    let before = match before {
        None => "no version".to_owned(),
        Some(VersionId(number)) if *number == version.0 => "it".to_owned(),
        Some(before) => format!("version {before}"),
    };
    format!("{name} version {version} is promoted to {to}, which {before} had before")
}
