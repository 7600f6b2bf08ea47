//! The one request handler.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::{ConnectionType, HttpMessage as _, Payload, Request, Response};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::batch::{ExpressLane, Handover, InferencePool};
use crate::servable::{
    self, Answer, Budget, Compress, Lanes, LiveTable, Pending, ScoreError, Servable,
};
use crate::telemetry::{Meters, TraceId};

use super::accept::{answer_coding, body_coding};
use super::answer::respond;
use super::body::{Incoming, with_rest};
use super::error::{self, APPLICATION_JSON, Failure};
use super::leaving::Leaving;
use super::options::ServerOptions;
use super::relief::Relief;
use super::route::{self, Route};

/// The MLflow release whose scoring server this is. MLflow's own test client refuses a server
/// that names another than its own.
const MLFLOW_VERSION: &str = "3.18.0";

/// The page for people. Self-contained: it loads nothing from anywhere.
const DOCS_PAGE: &str = include_str!("pages/docs.html");

/// The same for machines.
const OPENAPI: &str = include_str!("pages/openapi.json");

/// How long the client waits for an answer, in milliseconds.
static REQUEST_TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The trace that a request belongs to (W3C Trace Context).
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What all workers share.
pub(super) struct Shared {
    pub(super) table: Arc<LiveTable>,
    pub(super) pool: Arc<InferencePool<Pending>>,
    pub(super) budget: Arc<Budget>,
    pub(super) options: ServerOptions,
    pub(super) meters: Meters,
    pub(super) leaving: Leaving,
}

/// The address of ours that a connection reached.
#[derive(Clone, Copy)]
pub(super) struct Reached(pub(super) SocketAddr);

/// One event loop's own.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) express: ExpressLane<Pending>,
    pub(super) handover: Handover<Pending>,
    pub(super) relief: Relief,
}

/// Answers any request.
pub(super) async fn handle(
    mut request: Request,
    worker: Rc<Worker>,
) -> Result<Response<BoxBody>, Infallible> {
    let mut payload = request.take_payload();
    let mut response = match find(&request, &worker) {
        Ok(servable) => {
            // Dropped with this future where the client leaves: the request was abandoned then.
            let traceparent = request.headers().get(&TRACEPARENT);
            let trace = traceparent.and_then(|value| TraceId::of_kept(value.as_bytes()));
            let passage = servable.meter().begin().traced(trace);
            let since = passage.since();
            match score(&servable, request.headers(), &mut payload, &worker, since).await {
                Ok(answer) => respond(answer, &servable, passage),
                Err(failure) => {
                    passage.end(failure.outcome());
                    if let Some(why) = failure.rejection() {
                        servable.meter().reject(why);
                    }
                    if failure.is_overload() {
                        worker.relief.note_refused();
                    }
                    let response = failure.response(worker.shared.options.schema_details);
                    early(response, &request, payload)
                }
            }
        }
        Err(response) => early(response, &request, payload),
    };
    if worker.shared.leaving.has_begun() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The answer to a request whose body nobody has read to its end.
fn early(response: Response<BoxBody>, request: &Request, payload: Payload) -> Response<BoxBody> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        response.map_body(|_, body| with_rest(body, payload))
    } else {
        response
    }
}

/// The model that a request is for, or the answer to a request that is for none.
fn find(request: &Request, worker: &Worker) -> Result<Arc<Servable>, Response<BoxBody>> {
    // Borrowed for the look-up, not for the wait.
    let table = worker.shared.table.load();
    let is_model = |name: &str| table.contains(name);
    let page =
        |content_type, text: &'static str| Err(error::respond(StatusCode::OK, content_type, text));
    match route::resolve(request.method().as_str(), request.path(), is_model) {
        Route::Invocations(name) => {
            let name = name.as_deref();
            let found = name.map_or_else(|| table.default_servable(), |name| table.get(name));
            found.ok_or_else(|| {
                let name = name.unwrap_or(table.default_name().as_str());
                worker.shared.meters.note_unavailable(name);
                error::no_version()
            })
        }
        Route::Health if worker.shared.leaving.has_begun() => Err(error::leaving()),
        Route::Health => page(APPLICATION_JSON, "\n"),
        Route::Version => page(APPLICATION_JSON, MLFLOW_VERSION),
        Route::Docs => page(HeaderValue::from_static("text/html; charset=utf-8"), DOCS_PAGE),
        Route::OpenApi => page(APPLICATION_JSON, OPENAPI),
        Route::MethodNotAllowed { allow } => Err(error::method_not_allowed(allow)),
        Route::Redirect { path } => Err(redirect(request, &path)),
        Route::UnknownModel => {
            worker.shared.meters.note_unknown();
            Err(error::not_found())
        }
        Route::NotFound => Err(error::not_found()),
    }
}

async fn score(
    servable: &Arc<Servable>,
    headers: &HeaderMap,
    payload: &mut Payload,
    worker: &Worker,
    now: Instant,
) -> Result<Answer, Failure> {
    let Worker { shared, express, handover, .. } = worker;
    let Shared { pool, budget, options, .. } = &**shared;
    let mut share = pool.or_sweep(|| budget.enter()).map_err(ScoreError::Exhausted)?;
    let deadline = now + timeout(headers, options.request_timeout)?;
    let coding = body_coding(headers)?;
    let incoming = Incoming::new(announced(headers), options.body_bytes_max)?;
    let (body, since) = incoming.read(payload, &mut share, pool, now, deadline).await?;
    let request = servable::Request {
        content_type: content_type(headers),
        body,
        coding,
        body_bytes_max: options.body_bytes_max,
        since,
        deadline,
        compress: answer_coding(headers)
            .map(|coding| Compress { coding, bytes_min: options.compress_bytes_min }),
        share,
    };
    Ok(servable.score(Lanes { pool, express, handover }, request).await?)
}

/// How long a request may take: as long as its client waits, but never beyond the server's own
/// limit.
fn timeout(headers: &HeaderMap, limit: Duration) -> Result<Duration, Failure> {
    let Some(value) = headers.get(&REQUEST_TIMEOUT_MS) else { return Ok(limit) };
    match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        None | Some(0) => Err(Failure::BadTimeout),
        Some(millis) => Ok(Duration::from_millis(millis).min(limit)),
    }
}

/// Bytes of the body, as its client announces; 0 if it does not.
fn announced(headers: &HeaderMap) -> u64 {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The header's text. Bytes beyond ASCII are read as Latin-1, as Python servers do.
fn content_type(headers: &HeaderMap) -> Option<Cow<'static, str>> {
    Some(match headers.get(header::CONTENT_TYPE)?.as_bytes() {
        b"application/json" => Cow::Borrowed("application/json"),
        bytes => bytes.iter().copied().map(char::from).collect(),
    })
}

/// 307 to the same host, with the query kept.
fn redirect(request: &Request, path: &str) -> Response<BoxBody> {
    let host = match request.headers().get(header::HOST).map(HeaderValue::to_str) {
        Some(Ok(host)) => host.to_owned(),
        // HTTP/1.0 needs no Host: the address that was reached is as good a name.
        _ => request.conn_data().map_or_else(String::new, |Reached(address)| address.to_string()),
    };
    let mut location = format!("http://{host}{path}");
    if let Some(query) = request.uri().query() {
        location.push('?');
        location.push_str(query);
    }
    let location = HeaderValue::try_from(route::percent_encode(&location));
    let mut response = Response::with_body(StatusCode::TEMPORARY_REDIRECT, BoxBody::new(()));
    let headers = response.headers_mut();
    headers.insert(header::SERVER, error::SERVER);
    headers.insert(header::LOCATION, location.expect("what is not plain ASCII is escaped"));
    response
}
