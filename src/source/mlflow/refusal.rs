//! What an answer other than the one asked for means.
//!
//! Only part of MLflow's refusals are JSON: who may not, or asks a switched-off part, is told so in
//! HTML or plain text, and whatever stands in front of MLflow has words of its own.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use serde::Deserialize;

use super::ask::Ask;
use super::options::Credentials;
use crate::store::RemoteError;

/// How much of an answer that was not expected is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 200;
/// Statuses that say to come again.
const TRANSIENT: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// Why an attempt gave nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: RemoteError,
    /// Whether the next attempt may fare better.
    pub(super) again: bool,
    /// The wait that the server asks for.
    pub(super) retry_after: Option<Duration>,
    /// `None` where nothing was answered.
    pub(super) status: Option<StatusCode>,
}

/// An answer that is not the one asked for.
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    pub(super) location: Option<&'a str>,
    pub(super) retry_after: Option<&'a str>,
    pub(super) text: &'a str,
    /// What was sent with the question; `None` also where the host is none of ours.
    pub(super) credentials: Option<&'a Credentials>,
}

/// The errors of MLflow itself.
#[derive(Deserialize)]
struct MlflowError {
    error_code: String,
    #[serde(default)]
    message: String,
}

impl From<Failure> for RemoteError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self { error, again: false, retry_after: None, status: None }
    }
}

impl Failure {
    /// Nothing was answered in time.
    pub(super) fn late(ask: &Ask, timeout: Duration) -> Self {
        let Ask { what, server, .. } = ask;
        let text = format!("{server} gave no answer about {what} within {timeout:?}");
        Self { again: true, ..RemoteError::Unreachable(text).into() }
    }

    /// No answer, or one that broke off.
    pub(super) fn broken(ask: &Ask, error: &reqwest::Error) -> Self {
        Self { again: true, ..broken_off(&ask.server, &ask.what, error).into() }
    }

    /// An answer that refuses.
    pub(super) fn refused(ask: &Ask, refusal: &Refusal<'_>) -> Self {
        let error = refusal.meaning(ask);
        Self {
            again: TRANSIENT.contains(&refusal.status.as_u16())
                && matches!(error, RemoteError::Unreachable(_)),
            error,
            retry_after: refusal
                .retry_after
                .and_then(|text| wait_asked_for(text, SystemTime::now())),
            status: Some(refusal.status),
        }
    }
}

impl Refusal<'_> {
    fn meaning(&self, ask: &Ask) -> RemoteError {
        let Ask { what, server, .. } = ask;
        let status = self.status.as_u16();
        let mlflow: Option<MlflowError> = serde_json::from_str(self.text).ok();
        let said = printable(mlflow.as_ref().map_or(self.text, |error| &error.message));
        let unknown = mlflow.as_ref().is_some_and(|error| match error.error_code.as_str() {
            "RESOURCE_DOES_NOT_EXIST" => true,
            "INVALID_PARAMETER_VALUE" => {
                error.message.contains("alias") && error.message.contains("not found")
            }
            _ => false,
        });
        if unknown {
            return RemoteError::Missing(format!("{what} (`{said}`, says {server})"));
        }
        match status {
            401 | 403 => RemoteError::Denied(self.denial(ask, &said)),
            300..=399 => RemoteError::Unusable(format!(
                "{server} sends us elsewhere for {what}, to {}: set the tracking or registry URI \
                 to where the server itself is",
                printable(self.location.unwrap_or("nowhere").split('?').next().unwrap_or_default())
            )),
            503 if said.contains("--no-serve-artifacts") => RemoteError::Unusable(format!(
                "{server} does not pass {what} on, because it runs with --no-serve-artifacts: \
                 start it with --serve-artifacts"
            )),
            501 => {
                RemoteError::Unusable(format!("{server} cannot give {what}: {status}, `{said}`"))
            }
            408 | 429 | 500.. => RemoteError::Unreachable(format!(
                "{server} answered {status} when asked about {what}: `{said}`"
            )),
            // MLflow says in JSON what it lacks; this is somebody else, or another MLflow.
            404 if mlflow.is_none() => RemoteError::Garbled(format!(
                "{server} does not know the address of {what} (404, `{said}`): is the tracking or \
                 registry URI that of an MLflow server?"
            )),
            _ => RemoteError::Unusable(format!(
                "{server} refused what it was asked about {what}: {status}, `{said}`"
            )),
        }
    }

    fn denial(&self, ask: &Ask, said: &str) -> String {
        let Ask { what, server, url, .. } = ask;
        let status = self.status.as_u16();
        if said.contains("Invalid Host header") {
            // What the server compares is the header, and that has the port.
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            return format!(
                "{server} refuses requests to a host of that name: start mlflow server with \
                 --allowed-hosts {host}{port}"
            );
        }
        let advice = match self.credentials {
            None if ask.signed.is_some() => {
                "the address that the MLflow server signed for it is not accepted (any more)"
                    .to_owned()
            }
            None => "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
                 MLFLOW_TRACKING_TOKEN (they are sent to the tracking and the registry server only)"
                .to_owned(),
            Some(Credentials::Basic { username, .. }) if status == 401 => {
                format!("the name {username} or its password is wrong")
            }
            Some(Credentials::Bearer(_)) if status == 401 => {
                "MLFLOW_TRACKING_TOKEN is not accepted".to_owned()
            }
            Some(Credentials::Basic { username, .. }) => format!("{username} lacks the permission"),
            Some(Credentials::Bearer(_)) => "the token lacks the permission".to_owned(),
        };
        format!("{server} denies {what} ({status}, `{said}`): {advice}")
    }
}

/// What a `Retry-After` asks for: seconds, or the time of day of a proxy's clock.
fn wait_asked_for(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// An answer that is not what MLflow answers.
pub(super) fn garbled(ask: &Ask, why: &str, bytes: &[u8]) -> RemoteError {
    let Ask { what, server, .. } = ask;
    let start = printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]));
    RemoteError::Garbled(format!("{server} answered about {what} with {why}: `{start}`"))
}

/// A connection that failed or broke off. What the error says of its URL is left out.
pub(super) fn broken_off(server: &str, what: &str, error: &reqwest::Error) -> RemoteError {
    let mut cause = error.source();
    let mut words = None;
    while let Some(error) = cause {
        words = Some(error.to_string());
        cause = error.source();
    }
    let words = printable(&words.unwrap_or_default());
    let advice = if words.contains("certificate") {
        "; MLFLOW_TRACKING_SERVER_CERT_PATH names the authorities to trust"
    } else {
        ""
    };
    let event = if error.is_timeout() {
        "took too long"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off"
    };
    RemoteError::Unreachable(format!("{server} {event} when asked about {what}: {words}{advice}"))
}

/// The start of an answer that was not expected.
pub(super) fn printable(text: &str) -> String {
    line(text, SHOWN_CHARS_MAX)
}

/// The start of a text, on one line and without control characters.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let start: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect();
    start.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_for_seconds_or_for_a_time() {
        // Fri, 20 Nov 2026 15:50:10 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_189_810);
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Fri, 20 Nov 2026 15:50:40 GMT", Some(30)),
            // Over already, as its clock says, or ours.
            ("Fri, 20 Nov 2026 15:50:00 GMT", Some(0)),
            ("Friday, 20-Nov-26 15:50:40 GMT", Some(30)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait_asked_for(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
