//! The one request handler.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::{HttpMessage as _, Payload, Request, Response};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::batch::{ExpressLane, Handover, InferencePool};
use crate::servable::{
    self, Answer, Budget, Compress, Lanes, LiveTable, Pending, ScoreError, Servable,
};

use super::accept::{answer_coding, body_coding};
use super::answer::respond;
use super::body;
use super::error::{self, APPLICATION_JSON, Failure};
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

/// What all workers share.
pub(super) struct Shared {
    pub(super) table: Arc<LiveTable>,
    pub(super) pool: Arc<InferencePool<Pending>>,
    pub(super) budget: Arc<Budget>,
    pub(super) options: ServerOptions,
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
pub(super) async fn handle(mut request: Request, worker: Rc<Worker>) -> Response<BoxBody> {
    let mut payload = request.take_payload();
    let response = answer(&request, &mut payload, &worker).await;
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return response.map_body(|_, body| body::with_rest(body, payload)).into();
    }
    response.into()
}

async fn answer(request: &Request, payload: &mut Payload, worker: &Worker) -> HttpResponse {
    let table = worker.shared.table.load();
    let is_model = |name: &str| table.contains(name);
    match route::resolve(request.method().as_str(), request.path(), is_model) {
        Route::Health => error::start(StatusCode::OK, APPLICATION_JSON).body("\n"),
        Route::Version => error::start(StatusCode::OK, APPLICATION_JSON).body(MLFLOW_VERSION),
        Route::Docs => error::start(StatusCode::OK, "text/html; charset=utf-8").body(DOCS_PAGE),
        Route::OpenApi => error::start(StatusCode::OK, APPLICATION_JSON).body(OPENAPI),
        Route::Invocations(name) => {
            let servable = match name {
                None => Some(table.default_servable()),
                Some(name) => table.get(&name),
            };
            // Borrowed for the look-up, not for the wait.
            drop(table);
            match servable {
                None => error::not_found(),
                Some(servable) => invoke(&servable, request.headers(), payload, worker).await,
            }
        }
        Route::MethodNotAllowed { allow } => error::method_not_allowed(allow),
        Route::Redirect { path } => redirect(request, &path),
        Route::NotFound => error::not_found(),
    }
}

async fn invoke(
    servable: &Arc<Servable>,
    headers: &HeaderMap,
    payload: &mut Payload,
    worker: &Worker,
) -> HttpResponse {
    match score(servable, headers, payload, worker).await {
        Ok(answer) => respond(answer),
        Err(failure) => {
            if failure.is_overload() {
                worker.relief.note_refused();
            }
            failure.response(worker.shared.options.schema_details)
        }
    }
}

async fn score(
    servable: &Arc<Servable>,
    headers: &HeaderMap,
    payload: &mut Payload,
    worker: &Worker,
) -> Result<Answer, Failure> {
    let Worker { shared, express, handover, .. } = worker;
    let Shared { pool, budget, options, .. } = &**shared;
    let mut share = pool.or_sweep(|| budget.enter()).map_err(ScoreError::Exhausted)?;
    let deadline = Instant::now() + timeout(headers, options.request_timeout)?;
    let coding = body_coding(headers)?;
    let body_bytes_max = options.body_bytes_max;
    let body = body::read(headers, payload, body_bytes_max, &mut share, pool, deadline).await?;
    let request = servable::Request {
        content_type: content_type(headers),
        body,
        coding,
        body_bytes_max,
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

/// The header's text. Bytes beyond ASCII are read as Latin-1, as Python servers do.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    Some(match value.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    })
}

/// 307 to the same host, with the query kept.
fn redirect(request: &Request, path: &str) -> HttpResponse {
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
    HttpResponse::build(StatusCode::TEMPORARY_REDIRECT)
        .insert_header((header::SERVER, HeaderValue::from_static("flowgate")))
        .insert_header((header::LOCATION, route::percent_encode(&location)))
        .finish()
}
