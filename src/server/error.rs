//! How requests that fail look on the wire: the one place that maps failures to status codes and
//! to MLflow's error envelope.

use std::time::Duration;

use actix_http::Response;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::backend::RunError;
use crate::batch::Rejected;
use crate::servable::{Exhausted, ScoreError};
use crate::telemetry::{Outcome, Rejection};
use crate::wire::coding::CodingError;
use crate::wire::invocations::{WireError, WireErrorKind};
use crate::wire::text::write_json_string;

/// What MLflow's server says when a request takes longer than its timeout. A plain text under a
/// JSON content type, as there.
const TIMEOUT_TEXT: &str = "Request processing time exceeded limit";

/// What MLflow's server says when a model raises.
const RUN_TEXT: &str = "Encountered an unexpected error while evaluating the model. Verify that \
                        the serialized input Dataframe is compatible with the model for inference.";

/// What stands for every schema error when their details are switched off.
const SCHEMA_TEXT: &str = "Failed to enforce model input schema. Please check your input data.";

/// When a refused client may try again. A full queue empties in milliseconds; whole seconds are
/// the finest the header can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The name that every response gives.
pub(super) const SERVER: HeaderValue = HeaderValue::from_static("flowgate");

/// Why a request was not answered with 200.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body is larger than allowed, by its own account or by count.
    BodyTooLarge {
        bytes_max: usize,
    },
    /// The client's own limit of time makes no sense.
    BadTimeout,
    /// The body ended early or its framing is damaged.
    BodyBroken {
        /// Whether it ended early: its client has left, most likely.
        is_cut: bool,
    },
    /// `Content-Encoding` names something we cannot read.
    UnknownCoding,
    Score(ScoreError),
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        Self::Score(error)
    }
}

/// `error_code`, `sqlstate` and `error_class` of an envelope, with its status.
struct Class(StatusCode, &'static str, &'static str, &'static str);

const BAD_REQUEST: Class =
    Class(StatusCode::BAD_REQUEST, "BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE");
const PARAMS: Class =
    Class(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", "KAM00", "INVALID_PARAMETER_VALUE");
const SCHEMA: Class =
    Class(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", "KAM01", "SCHEMA_ENFORCEMENT_FAILED");
const TOO_LARGE: Class =
    Class(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE");
const EXHAUSTED: Class =
    Class(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "KAMC3", "REQUEST_RATE_LIMITED");
const UNAVAILABLE: Class = Class(
    StatusCode::SERVICE_UNAVAILABLE,
    "TEMPORARILY_UNAVAILABLE",
    "XXMC1",
    "TEMPORARILY_UNAVAILABLE",
);
const INTERNAL: Class =
    Class(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "XXM00", "CLIENT_INTERNAL_ERROR");

impl Failure {
    /// Whether the request was refused for want of room, and may be sent again.
    pub(super) fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::Score(
                ScoreError::Rejected(_)
                    | ScoreError::Exhausted(Exhausted::Requests(_) | Exhausted::Bytes)
            )
        )
    }

    /// How the request ended.
    pub(super) fn outcome(&self) -> Outcome {
        let error = match self {
            Self::Score(error) => error,
            Self::BodyBroken { is_cut: true } => return Outcome::Abandoned,
            _ => return Outcome::Invalid,
        };
        match error {
            ScoreError::Wire(_)
            | ScoreError::Coding(_)
            | ScoreError::Run(RunError::Input { .. })
            | ScoreError::Exhausted(Exhausted::TooLarge { .. }) => Outcome::Invalid,
            ScoreError::Rejected(_)
            | ScoreError::Exhausted(Exhausted::Requests(_) | Exhausted::Bytes) => Outcome::Rejected,
            ScoreError::Closed => Outcome::Unavailable,
            ScoreError::Expired => Outcome::Expired,
            ScoreError::Run(RunError::Failed(_))
            | ScoreError::Lost
            | ScoreError::Panicked { .. } => Outcome::Failed,
        }
    }

    /// The bound that refused the request, if one did.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::BodyTooLarge { .. } => Some(Rejection::BodyTooLarge),
            Self::Score(error) => match error {
                ScoreError::Coding(CodingError::TooLarge { .. }) => Some(Rejection::BodyTooLarge),
                ScoreError::Rejected(Rejected::Wait(_)) => Some(Rejection::Deadline),
                ScoreError::Rejected(Rejected::Requests(_) | Rejected::Rows(_))
                | ScoreError::Exhausted(Exhausted::Requests(_)) => Some(Rejection::QueueFull),
                ScoreError::Rejected(Rejected::Closed) | ScoreError::Closed => {
                    Some(Rejection::Draining)
                }
                ScoreError::Exhausted(Exhausted::Bytes | Exhausted::TooLarge { .. }) => {
                    Some(Rejection::Memory)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The answer to a request that failed so.
    pub(super) fn response(self, schema_details: bool) -> Response<BoxBody> {
        match self {
            Self::BodyTooLarge { bytes_max } => too_large("request body", bytes_max),
            Self::BadTimeout => envelope(
                &BAD_REQUEST,
                "Invalid input. The header x-request-timeout-ms must be a whole number of \
                 milliseconds above zero.",
            ),
            Self::BodyBroken { .. } => envelope(
                &BAD_REQUEST,
                "Invalid input. The request body ended early or its framing is damaged.",
            ),
            Self::UnknownCoding => unsupported_media_type(
                "The scoring server decodes the following content encodings, one at a time: \
                 gzip, deflate, br, zstd",
            ),
            Self::Score(error) => score_failure(error, schema_details),
        }
    }
}

fn score_failure(error: ScoreError, schema_details: bool) -> Response<BoxBody> {
    match error {
        ScoreError::Wire(error) => wire_failure(&error, schema_details),
        ScoreError::Coding(CodingError::TooLarge { bytes_max }) => {
            too_large("decompressed request body", bytes_max)
        }
        ScoreError::Coding(error @ CodingError::Corrupt { .. }) => {
            envelope(&BAD_REQUEST, &format!("Invalid input. Here, {error}."))
        }
        ScoreError::Run(RunError::Input { input, reason }) => {
            envelope(&BAD_REQUEST, &format!("{RUN_TEXT} Input '{input}': {reason}"))
        }
        ScoreError::Run(RunError::Failed(_)) => envelope(&BAD_REQUEST, RUN_TEXT),
        ScoreError::Rejected(_) => {
            retry_later(&EXHAUSTED, "The server's request queue is full. Try again later.")
        }
        ScoreError::Exhausted(Exhausted::TooLarge { needed, max }) => envelope(
            &TOO_LARGE,
            &format!(
                "The request is too large: it needs up to {needed} bytes of memory, expected at \
                 most {max}."
            ),
        ),
        ScoreError::Exhausted(Exhausted::Requests(_)) => retry_later(
            &EXHAUSTED,
            "The server has as many requests in progress as it takes. Try again later.",
        ),
        ScoreError::Exhausted(Exhausted::Bytes) => {
            retry_later(&EXHAUSTED, "The server's memory for requests is taken. Try again later.")
        }
        ScoreError::Closed => retry_later(&UNAVAILABLE, "The server is shutting down."),
        ScoreError::Expired => respond(StatusCode::GATEWAY_TIMEOUT, APPLICATION_JSON, TIMEOUT_TEXT),
        ScoreError::Lost => {
            envelope(&INTERNAL, "Internal error. The server's log has the details.")
        }
        ScoreError::Panicked { id } => {
            envelope(&INTERNAL, &format!("Internal error {id}. The server's log has the details."))
        }
    }
}

fn wire_failure(error: &WireError, schema_details: bool) -> Response<BoxBody> {
    match error.kind {
        WireErrorKind::UnsupportedMediaType => unsupported_media_type(&error.message),
        WireErrorKind::BadRequest => envelope(&BAD_REQUEST, &error.message),
        WireErrorKind::Schema if schema_details => envelope(&SCHEMA, &error.message),
        WireErrorKind::Schema => envelope(&SCHEMA, SCHEMA_TEXT),
        WireErrorKind::Params => envelope(&PARAMS, &error.message),
    }
}

pub(super) const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 404 as FastAPI says it.
pub(super) fn not_found() -> Response<BoxBody> {
    respond(StatusCode::NOT_FOUND, APPLICATION_JSON, r#"{"detail":"Not Found"}"#)
}

/// 405 as FastAPI says it.
pub(super) fn method_not_allowed(allow: &'static str) -> Response<BoxBody> {
    let text = r#"{"detail":"Method Not Allowed"}"#;
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, APPLICATION_JSON, text);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// 503 for a model of which no version can serve yet.
pub(super) fn no_version() -> Response<BoxBody> {
    retry_later(&UNAVAILABLE, "The model has no version that can serve yet. Try again later.")
}

/// 503 of health checks while the process is about to end. Requests are still answered.
pub(super) fn leaving() -> Response<BoxBody> {
    retry_later(&UNAVAILABLE, "The server is about to end. Send requests to another one.")
}

fn unsupported_media_type(text: &str) -> Response<BoxBody> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    respond(StatusCode::UNSUPPORTED_MEDIA_TYPE, plain, text.to_owned())
}

fn too_large(what: &str, bytes_max: usize) -> Response<BoxBody> {
    let message = format!("The {what} is too large: expected at most {bytes_max} bytes, got more.");
    envelope(&TOO_LARGE, &message)
}

fn retry_later(class: &Class, message: &str) -> Response<BoxBody> {
    let mut response = envelope(class, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
    response
}

fn envelope(class: &Class, message: &str) -> Response<BoxBody> {
    let Class(status, error_code, sqlstate, error_class) = class;
    let mut body = format!("{{\"error_code\": \"{error_code}\", \"message\": ").into_bytes();
    write_json_string(&mut body, message);
    let rest = format!(", \"sqlstate\": \"{sqlstate}\", \"error_class\": \"{error_class}\"}}");
    body.extend_from_slice(rest.as_bytes());
    respond(*status, APPLICATION_JSON, body)
}

/// Any response of ours.
pub(super) fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl MessageBody + 'static,
) -> Response<BoxBody> {
    let mut response = Response::with_body(status, BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(header::SERVER, SERVER);
    headers.insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;
    use crate::batch::Rejected;

    async fn text(response: Response<BoxBody>) -> String {
        String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap()
    }

    #[actix_web::test]
    async fn envelope_is_written_as_python_writes_it() {
        let error = WireError::schema("größe \"x\"\n\u{1f600}\u{7f}");
        let response = Failure::from(ScoreError::Wire(error)).response(true);
        assert_eq!(response.status(), 400);
        let expected = concat!(
            r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "gr\u00f6\u00dfe \"x\"\n"#,
            r#"\ud83d\ude00\u007f", "sqlstate": "KAM01", "#,
            r#""error_class": "SCHEMA_ENFORCEMENT_FAILED"}"#
        );
        assert_eq!(text(response).await, expected);
    }

    #[actix_web::test]
    async fn schema_details_can_be_hidden() {
        let error = WireError::schema("column `salary` is missing");
        let response = Failure::from(ScoreError::Wire(error)).response(false);
        assert!(!text(response).await.contains("salary"));
    }

    #[actix_web::test]
    async fn unsupported_media_type_is_plain_text() {
        let error = WireError::unsupported_media_type("only these");
        let response = Failure::from(ScoreError::Wire(error)).response(true);
        assert_eq!(response.status(), 415);
        assert_eq!(response.headers().get("content-type").unwrap(), "text/plain; charset=utf-8");
        assert_eq!(text(response).await, "only these");
    }

    #[actix_web::test]
    async fn a_full_queue_says_when_to_try_again() {
        let rejected = ScoreError::Rejected(Rejected::Requests(1));
        let response = Failure::from(rejected).response(true);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
    }

    #[actix_web::test]
    async fn runtime_texts_stay_inside() {
        let failed = ScoreError::Run(RunError::Failed("/secret/path".to_owned()));
        let response = Failure::from(failed).response(true);
        assert_eq!(response.status(), 400);
        assert!(!text(response).await.contains("secret"));
    }
}
