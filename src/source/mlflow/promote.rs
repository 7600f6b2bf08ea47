//! Promotion on an MLflow server.

use super::client::Client;
use super::source::{Selected, ready_version, select};
use super::writes::OthersInStage;
use crate::model::{ModelName, Selector, Stage, VersionId};
use crate::source::{PromoteError, Promoted};
use crate::store::Assignment;

impl Client {
    /// Gives a stage or an alias to a version that is there and `READY`. Of Staging and Production
    /// the version becomes the only one: others in the stage are archived, since MLflow takes the
    /// highest version of a stage, whichever came last, and to go back would do nothing.
    ///
    /// # Errors
    /// When the registry does not have the version, or not ready, or does not take what is asked.
    pub async fn promote(
        &self,
        name: &ModelName,
        version: VersionId,
        to: &Selector,
    ) -> Result<Promoted, PromoteError> {
        let assignment = Assignment::of(to)?;
        ready_version(name, &self.version(name, version.0).await?)?;
        let model = self.model(name).await?;
        let before = match select(&model, to) {
            Selected::Version(version) => Some(VersionId(version.version)),
            Selected::Number(number) => Some(VersionId(number)),
            Selected::Nothing => None,
        };
        match assignment {
            Assignment::Alias(alias) => self.set_alias(name, &alias, version).await?,
            Assignment::Stage(stage) => {
                let others = match stage {
                    Stage::Staging | Stage::Production => OthersInStage::Archive,
                    Stage::Archived | Stage::Unassigned => OthersInStage::Keep,
                };
                self.transition_stage(name, version, stage, others).await?;
            }
        }
        Ok(Promoted { name: name.clone(), version, to: to.clone(), before })
    }
}
