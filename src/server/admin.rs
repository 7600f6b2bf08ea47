//! The admin port: probes and reports, on a server of its own, so that neither a flood of requests
//! nor a full queue can silence them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Payload, Response};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpServer};
use serde_json::{Value, json};

use crate::drift::Monitors;
use crate::telemetry::{Exposition, Format};

use super::admin_drift::{self, Query, Refused};
use super::admin_status::ModelStatus;
use super::body::with_rest;
use super::error::{self, APPLICATION_JSON};
use super::leaving::Leaving;
use super::listen::{Listening, addresses};
use super::options::AdminOptions;
use super::route::percent_decode;
use super::webhook::{Delivered, Undelivered, Webhook};

/// Open connections, at most: probes and people are few.
const CONNECTIONS_MAX: usize = 256;
/// A client has this long to send the head of a request, and to be gone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the usual pause between two probes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What an operator asks of a model's lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// To serve the version before the present one.
    Rollback,
    /// To ask the registry now, and to try again what was refused.
    Poll,
}

/// What became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controlled {
    /// It is being done; `GET` tells how far it is.
    Accepted,
    /// No model has that name.
    Unknown,
    /// There is nothing to go back to.
    NothingBefore,
    /// The process is about to end, or has too much to do.
    Busy,
}

/// Whether the process is to be sent requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// The first versions are on their way.
    Starting,
    /// These models have no version that may serve.
    Waiting(Vec<String>),
    /// The process is about to end.
    Stopping,
}

type Operate = dyn Fn(&str, Control) -> Controlled + Send + Sync;

/// What the admin port shows of the process.
pub struct AdminView {
    models: Box<dyn Fn() -> Vec<ModelStatus> + Send + Sync>,
    control: Box<Operate>,
    readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    metrics: Exposition,
    drift: Monitors,
    /// `None`: the registry's deliveries are not taken.
    webhook: Option<Webhook>,
    leaving: Leaving,
}

impl AdminView {
    /// A view of a process that is ready. `models` tells what is served at the moment of the call,
    /// and `control` does what an operator asks, both quickly: on the admin server's event loop.
    #[must_use]
    pub fn new(
        models: impl Fn() -> Vec<ModelStatus> + Send + Sync + 'static,
        control: impl Fn(&str, Control) -> Controlled + Send + Sync + 'static,
    ) -> Self {
        let (models, control) = (Box::new(models), Box::new(control));
        let readiness = Box::new(|| Readiness::Ready);
        let metrics = Exposition::default();
        let (drift, leaving) = (Monitors::default(), Leaving::default());
        Self { models, control, readiness, metrics, drift, webhook: None, leaving }
    }

    /// The same view with the drift of these versions.
    #[must_use]
    pub fn with_drift(self, drift: Monitors) -> Self {
        Self { drift, ..self }
    }

    /// The same view with more than the process's own metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Exposition) -> Self {
        Self { metrics, ..self }
    }

    /// The same view of a process that is ready only when this says so, at the moment of the call.
    #[must_use]
    pub fn with_readiness(self, readiness: impl Fn() -> Readiness + Send + Sync + 'static) -> Self {
        Self { readiness: Box::new(readiness), ..self }
    }

    /// The same view, with deliveries of the registry taken.
    #[must_use]
    pub fn with_webhook(self, webhook: Webhook) -> Self {
        Self { webhook: Some(webhook), ..self }
    }

    /// The same view of a process that is live but no longer ready once it leaves.
    #[must_use]
    pub fn with_leaving(self, leaving: Leaving) -> Self {
        Self { leaving, ..self }
    }

    fn readiness(&self) -> Readiness {
        if self.leaving.has_begun() { Readiness::Stopping } else { (self.readiness)() }
    }
}

/// Binds the admin port and prepares its one worker. Stop the server through its handle.
///
/// # Errors
/// When the host does not resolve or the address cannot be bound.
pub fn listen_admin(options: &AdminOptions, view: Arc<AdminView>) -> io::Result<Listening> {
    let view = Data::from(view);
    let server =
        HttpServer::new(move || App::new().app_data(view.clone()).default_service(web::to(handle)))
            .disable_signals()
            .workers(1)
            .worker_max_blocking_threads(1)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(HEAD_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(1)
            .bind(addresses(&options.host, options.port)?.as_slice())?;
    Listening::new(&server.addrs(), server.run())
}

/// Answers any request to the admin port.
async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    view: Data<AdminView>,
) -> Response<BoxBody> {
    let path = percent_decode(request.path());
    let Some(endpoint) = endpoint(&path) else { return error::not_found() };
    let allow = match endpoint {
        Endpoint::Webhook if view.webhook.is_none() => return error::not_found(),
        Endpoint::Control(..) | Endpoint::Webhook => "POST",
        _ => "GET, HEAD",
    };
    if !allow.split(", ").any(|method| request.method() == method) {
        return error::method_not_allowed(allow);
    }
    match endpoint {
        Endpoint::Live => answer(StatusCode::OK, &json!({"status": "live"})),
        Endpoint::Ready => ready(view.readiness()),
        Endpoint::Metrics => {
            let accept =
                request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let format = Format::accepted(accept.unwrap_or_default());
            let content_type = HeaderValue::from_static(format.content_type());
            error::respond(StatusCode::OK, content_type, view.metrics.written(format))
        }
        Endpoint::Models => {
            let models: Vec<_> = (view.models)().iter().map(ModelStatus::to_json).collect();
            answer(StatusCode::OK, &json!({ "models": models }))
        }
        Endpoint::Model(name) => {
            let models = (view.models)();
            match models.iter().find(|status| status.name.as_str() == name) {
                Some(status) => answer(StatusCode::OK, &status.to_json()),
                None => error::not_found(),
            }
        }
        Endpoint::Drift(name) => drift(&view, name, request.query_string()),
        Endpoint::Control(name, control) => controlled((view.control)(name, control)),
        Endpoint::Webhook => deliver(&request, payload.into_inner(), view.webhook.as_ref()).await,
    }
}

/// What a path of the admin port stands for.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Live,
    Ready,
    Metrics,
    Models,
    Model(&'a str),
    Drift(&'a str),
    Control(&'a str, Control),
    Webhook,
}

fn endpoint(path: &str) -> Option<Endpoint<'_>> {
    Some(match path {
        "/live" => Endpoint::Live,
        "/ready" => Endpoint::Ready,
        "/metrics" => Endpoint::Metrics,
        "/v1/models" => Endpoint::Models,
        "/v1/webhooks/mlflow" => Endpoint::Webhook,
        _ => {
            let name = path.strip_prefix("/v1/models/").filter(|name| !name.is_empty())?;
            match name.rsplit_once('/') {
                // Names hold no slash.
                Some((name, "rollback")) => Endpoint::Control(name, Control::Rollback),
                Some((name, "drift")) => Endpoint::Drift(name),
                Some((name, "poll")) => Endpoint::Control(name, Control::Poll),
                Some(_) => return None,
                None => Endpoint::Model(name),
            }
        }
    })
}

fn ready(readiness: Readiness) -> Response<BoxBody> {
    let not_ready = |body: &Value| answer(StatusCode::SERVICE_UNAVAILABLE, body);
    match readiness {
        Readiness::Ready => answer(StatusCode::OK, &json!({"status": "ready"})),
        Readiness::Starting => not_ready(&json!({"status": "starting"})),
        Readiness::Stopping => not_ready(&json!({"status": "stopping"})),
        Readiness::Waiting(models) => not_ready(&json!({"status": "waiting", "models": models})),
    }
}

fn drift(view: &AdminView, name: &str, query: &str) -> Response<BoxBody> {
    let models = (view.models)();
    let Some(model) = models.iter().find(|status| status.name.as_str() == name) else {
        return error::not_found();
    };
    let serving = model.serving.as_ref().map(|serving| serving.version);
    let mut monitors = view.drift.all();
    monitors.retain(|monitor| monitor.id().name == model.name);
    let report = Query::parse(query)
        .map_err(Refused::from)
        .and_then(|query| admin_drift::report(&monitors, serving, &query, view.drift.now()));
    match report {
        Ok(report) => answer(StatusCode::OK, &report),
        Err(Refused::Question(detail)) => {
            answer(StatusCode::BAD_REQUEST, &json!({ "detail": detail }))
        }
        Err(Refused::Absent(detail)) => answer(StatusCode::NOT_FOUND, &json!({ "detail": detail })),
    }
}

fn controlled(controlled: Controlled) -> Response<BoxBody> {
    let said = |text: &str| json!({ "status": text });
    match controlled {
        Controlled::Accepted => answer(StatusCode::ACCEPTED, &said("accepted")),
        Controlled::Unknown => error::not_found(),
        Controlled::NothingBefore => {
            answer(StatusCode::CONFLICT, &said("there is no version to go back to"))
        }
        Controlled::Busy => answer(StatusCode::SERVICE_UNAVAILABLE, &said("try again later")),
    }
}

async fn deliver(
    request: &HttpRequest,
    mut payload: Payload,
    webhook: Option<&Webhook>,
) -> Response<BoxBody> {
    let Some(webhook) = webhook else { return error::not_found() };
    match webhook.take(request.headers(), &mut payload).await {
        Ok(taken) => delivered(taken),
        // Not read to its end, perhaps.
        Err(refused) => undelivered(refused).map_body(|_, body| with_rest(body, payload)),
    }
}

fn delivered(delivered: Delivered) -> Response<BoxBody> {
    let status = match delivered {
        Delivered::Polled => "accepted",
        Delivered::Ignored => "it concerns no model here",
        Delivered::Repeated => "it was here before",
    };
    answer(StatusCode::OK, &json!({ "status": status }))
}

fn undelivered(undelivered: Undelivered) -> Response<BoxBody> {
    let (status, detail) = match undelivered {
        Undelivered::Unsigned => {
            (StatusCode::UNAUTHORIZED, "The delivery is not signed with the secret of this server.")
        }
        Undelivered::Stale => (
            StatusCode::UNAUTHORIZED,
            "The delivery was made more than five minutes from now, by the clock of this server.",
        ),
        Undelivered::Malformed => (StatusCode::BAD_REQUEST, "The delivery is not one of MLflow's."),
        Undelivered::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The delivery is too large."),
        Undelivered::Incomplete => (StatusCode::BAD_REQUEST, "The delivery broke off."),
        Undelivered::Busy => (StatusCode::TOO_MANY_REQUESTS, "Other deliveries are being read."),
    };
    answer(status, &json!({ "detail": detail }))
}

fn answer(status: StatusCode, body: &Value) -> Response<BoxBody> {
    error::respond(status, APPLICATION_JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_one_thing_or_nothing() {
        for (path, expected) in [
            ("/live", Some(Endpoint::Live)),
            ("/ready", Some(Endpoint::Ready)),
            ("/metrics", Some(Endpoint::Metrics)),
            ("/v1/models", Some(Endpoint::Models)),
            ("/v1/models/größe 2", Some(Endpoint::Model("größe 2"))),
            ("/v1/models/wine/rollback", Some(Endpoint::Control("wine", Control::Rollback))),
            ("/v1/models/wine/poll", Some(Endpoint::Control("wine", Control::Poll))),
            ("/v1/models/wine/drift", Some(Endpoint::Drift("wine"))),
            ("/v1/models/wine/other", None),
            ("/v1/webhooks/mlflow", Some(Endpoint::Webhook)),
            ("/v1/webhooks", None),
            ("/v1/models/", None),
            ("/v1", None),
            ("/", None),
            ("/ping", None),
            ("/invocations", None),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }
}
