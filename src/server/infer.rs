//! The one request handler.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::servable::{Answer, Compress, InferencePool, Request, Servable, ServingTable};

use super::accept::{answer_coding, body_coding};
use super::body::{self, BodyBudget};
use super::error::{self, APPLICATION_JSON, Failure};
use super::options::ServerOptions;
use super::route::{self, Route};

/// The MLflow release whose scoring server this is. MLflow's own test client refuses a server
/// that names another than its own.
const MLFLOW_VERSION: &str = "3.18.0";

/// The page for people. Self-contained: it loads nothing from anywhere.
const DOCS_PAGE: &str = include_str!("pages/docs.html");

/// The same for machines.
const OPENAPI: &str = include_str!("pages/openapi.json");

/// What every worker shares.
pub(super) struct Shared {
    pub(super) table: Arc<ServingTable>,
    pub(super) pool: Arc<InferencePool>,
    pub(super) budget: Arc<BodyBudget>,
    pub(super) options: ServerOptions,
}

/// Answers any request.
pub(super) async fn handle(
    request: HttpRequest,
    mut payload: Payload,
    shared: Data<Shared>,
) -> HttpResponse {
    let response = answer(&request, &mut payload, &shared).await;
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return response.map_body(|_, body| body::with_rest(body, payload));
    }
    response
}

async fn answer(request: &HttpRequest, payload: &mut Payload, shared: &Shared) -> HttpResponse {
    let is_model = |name: &str| shared.table.contains(name);
    match route::resolve(request.method().as_str(), request.path(), is_model) {
        Route::Health => error::start(StatusCode::OK, APPLICATION_JSON).body("\n"),
        Route::Version => error::start(StatusCode::OK, APPLICATION_JSON).body(MLFLOW_VERSION),
        Route::Docs => error::start(StatusCode::OK, "text/html; charset=utf-8").body(DOCS_PAGE),
        Route::OpenApi => error::start(StatusCode::OK, APPLICATION_JSON).body(OPENAPI),
        Route::Invocations(name) => {
            let servable = match name {
                None => Some(shared.table.default_servable()),
                Some(name) => shared.table.get(&name),
            };
            match servable {
                None => error::not_found(),
                Some(servable) => invoke(&servable, request.headers(), payload, shared).await,
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
    shared: &Shared,
) -> HttpResponse {
    let result = score(servable, headers, payload, shared).await;
    match result {
        Ok(Answer { body, coding }) => {
            let mut response = error::start(StatusCode::OK, APPLICATION_JSON);
            if let Some(coding) = coding {
                let name = HeaderValue::from_static(coding.name());
                response.insert_header((header::CONTENT_ENCODING, name));
                response.insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
            }
            response.body(body)
        }
        Err(failure) => failure.response(shared.options.schema_details),
    }
}

async fn score(
    servable: &Arc<Servable>,
    headers: &HeaderMap,
    payload: &mut Payload,
    shared: &Shared,
) -> Result<Answer, Failure> {
    let options = &shared.options;
    let deadline = Instant::now() + options.request_timeout;
    let coding = body_coding(headers)?;
    let body_bytes_max = options.body_bytes_max;
    let body = body::read(headers, payload, body_bytes_max, &shared.budget, deadline).await?;
    let request = Request {
        content_type: content_type(headers),
        body,
        coding,
        body_bytes_max,
        deadline,
        compress: answer_coding(headers)
            .map(|coding| Compress { coding, bytes_min: options.compress_bytes_min }),
    };
    Ok(servable.score(&shared.pool, request).await?)
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
fn redirect(request: &HttpRequest, path: &str) -> HttpResponse {
    let host = match request.headers().get(header::HOST).map(HeaderValue::to_str) {
        Some(Ok(host)) => host.to_owned(),
        // HTTP/1.0 needs no Host: the address that was reached is as good a name.
        _ => request.app_config().local_addr().to_string(),
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
