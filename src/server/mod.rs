//! The HTTP surface: MLflow's scoring server, route by route, and the admin port beside it.
//!
//! Runs on actix worker threads, each with an event loop of its own: nothing here blocks. What a
//! path means is decided in `route`, what an outcome looks like on the wire in `error`, the
//! only place that knows status codes of failures.

mod accept;
mod admin;
mod admin_drift;
mod admin_status;
mod answer;
mod body;
mod error;
mod infer;
mod leaving;
mod listen;
mod options;
mod relief;
mod route;
mod webhook;

pub use admin::{AdminView, Control, Controlled, Readiness, listen_admin};
pub use admin_status::{
    BatchingStatus, LifecycleStatus, ModelStatus, RefusedStatus, ServingStatus, VersionStatus,
};
pub use leaving::Leaving;
pub use listen::{Listening, listen};
pub use options::{AdminOptions, ServerOptions};
pub use webhook::{Webhook, WebhookSecret};
