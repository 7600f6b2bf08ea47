//! Verdicts on versions, written to the registry as tags: whoever looks at a version in MLflow sees
//! there what a server made of it.

use std::collections::BTreeMap;

use super::client::Client;
use super::refusal::line;
use crate::model::{ModelName, VersionId};
use crate::source::Told;
use crate::store::RemoteError;

/// How the keys of all our tags begin.
pub const TAG_PREFIX: &str = "flowgate.";
const STATUS: &str = "flowgate.status";
const REASON: &str = "flowgate.reason";
/// Longest reason; MLflow 1 and 2 take 5,000 bytes.
const REASON_CHARS_MAX: usize = 1000;
/// Verdicts that are remembered, so as not to be written again. Beyond it the one on the lowest
/// version is forgotten.
const TOLD_MAX: usize = 64;

/// Writes verdicts, each once.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: BTreeMap<VersionId, Told>,
    /// The registry does not let us.
    is_denied: bool,
}

impl Teller {
    /// At most two requests; none for what was told last of this version, nor after a denial. Only
    /// what failed for the moment is tried when it is told again.
    pub(super) async fn tell(
        &mut self,
        client: &Client,
        name: &ModelName,
        version: VersionId,
        told: &Told,
    ) -> Result<(), RemoteError> {
        if self.is_denied || self.told.get(&version) == Some(told) {
            return Ok(());
        }
        let written = write(client, name, version, told).await;
        self.is_denied = matches!(written, Err(RemoteError::Denied(_)));
        // What cannot work, such as a tag of a version that was deleted, is not tried again either.
        if !written.as_ref().is_err_and(RemoteError::is_transient) {
            self.told.insert(version, told.clone());
            if self.told.len() > TOLD_MAX {
                self.told.pop_first();
            }
        }
        written
    }
}

/// A status that has a reason never stands without it, and one that has none is not explained by
/// an old one for longer than it takes to say so.
async fn write(
    client: &Client,
    name: &ModelName,
    version: VersionId,
    told: &Told,
) -> Result<(), RemoteError> {
    if let Some(reason) = told.reason() {
        let reason = line(reason, REASON_CHARS_MAX);
        client.set_version_tag(name, version, REASON, &reason).await?;
    }
    client.set_version_tag(name, version, STATUS, told.status()).await?;
    if told.reason().is_none() {
        client.delete_version_tag(name, version, REASON).await?;
    }
    Ok(())
}
