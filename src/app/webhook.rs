//! From the registry's deliveries to the questions that they are worth.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::{RegistryOptions, read_webhook_secret};
use crate::model::ModelName;
use crate::server::{Webhook, WebhookSecret};

use super::Failure;
use super::registry::Registered;

/// The secret that deliveries are signed with, if there is one.
pub(super) fn webhook_secret(options: &RegistryOptions) -> Result<Option<WebhookSecret>, Failure> {
    let secret = options.webhook_secret_file.as_deref().map(read_webhook_secret).transpose();
    secret.map_err(|error| Failure::Usage(format!("no webhooks can be taken: {error}")))
}

/// Takes deliveries: `polls` of the models that follow what a delivery names are notified.
pub(super) fn webhook(
    secret: WebhookSecret,
    sources: &[Registered],
    polls: &HashMap<ModelName, Arc<Notify>>,
) -> Webhook {
    let mut followers: HashMap<ModelName, Vec<Arc<Notify>>> = HashMap::new();
    for Registered { name, follows, .. } in sources {
        if let (Some(model), Some(poll)) = (follows, polls.get(name)) {
            followers.entry(model.clone()).or_default().push(Arc::clone(poll));
        }
    }
    Webhook::new(secret, move |model| {
        let polls = ModelName::new(model).ok().and_then(|model| followers.get(&model));
        polls.into_iter().flatten().for_each(|poll| poll.notify_one());
        polls.is_some()
    })
}
