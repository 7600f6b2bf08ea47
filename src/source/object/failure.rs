//! What went wrong at a store, in our words.
//!
//! `object_store`'s own texts hold whole answers and URLs, in which stores repeat keys and
//! signatures. Of these only the status and the store's error code are passed on.

use object_store::client::{HttpError, HttpErrorKind};

use crate::store::RemoteError;

/// Longest error code of a store that is shown.
const CODE_CHARS_MAX: usize = 64;
/// Codes of a store that mean a credential, whatever the status beside them.
const DENYING_CODES: [&str; 6] = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
];
/// Hosts that give a machine its credentials.
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

/// What asking for `what` came to.
pub(super) fn failure(what: &str, error: &object_store::Error) -> RemoteError {
    use object_store::Error;
    let text = error.to_string();
    if METADATA_HOSTS.iter().any(|host| text.contains(host)) {
        return RemoteError::Denied(format!(
            "{what} was not asked for: no credentials for its store are set, and this machine has \
             none of its own"
        ));
    }
    match error {
        Error::NotFound { .. } => RemoteError::Missing(what.to_owned()),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => denied(what, &text),
        Error::InvalidPath { .. } => {
            RemoteError::Garbled(format!("{what}: the store names a file in an impossible way"))
        }
        _ => match status(&text) {
            Some(answer) => refused(what, &text, answer),
            None => transport(what, error),
        },
    }
}

fn denied(what: &str, text: &str) -> RemoteError {
    let code = code(text).map(|code| format!(" ({code})")).unwrap_or_default();
    RemoteError::Denied(format!(
        "{what}: the store refuses access{code}; check the credentials and what they allow"
    ))
}

/// An answer that is no success; `answer` is its status with the reason, `503 Service Unavailable`.
fn refused(what: &str, text: &str, answer: &str) -> RemoteError {
    let code = code(text);
    let is_denied = matches!(answer.as_bytes(), [b'4', b'0', b'1' | b'3', ..]);
    if is_denied || code.is_some_and(|code| DENYING_CODES.contains(&code)) {
        return denied(what, text);
    }
    let detail = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let message = format!("{what}: the store answered {answer}{detail}");
    match answer.as_bytes() {
        [b'4', b'0', b'4', ..] => RemoteError::Missing(format!("{what}{detail}")),
        [b'5', ..] | [b'4', b'2', b'9', ..] | [b'4', b'0', b'8', ..] => {
            RemoteError::Unreachable(message)
        }
        [b'3', ..] => RemoteError::Unusable(format!(
            "{message}; name the region of the bucket (AWS_REGION) or the right host"
        )),
        _ => RemoteError::Unusable(message),
    }
}

/// No answer, or none that could be read.
fn transport(what: &str, error: &object_store::Error) -> RemoteError {
    let mut cause: &dyn std::error::Error = error;
    let mut http = None;
    while let Some(source) = cause.source() {
        http = http.or_else(|| source.downcast_ref::<HttpError>());
        cause = source;
    }
    let Some(http) = http else {
        return RemoteError::Garbled(format!("{what}: the answer of the store makes no sense"));
    };
    // The innermost cause is the system's: `Connection refused (os error 111)`.
    let reason = cause.to_string();
    let hint = if reason.contains("certificate") {
        "; a CA of your own is named by AWS_CA_BUNDLE (S3) or SSL_CERT_FILE"
    } else {
        ""
    };
    RemoteError::Unreachable(match http.kind() {
        HttpErrorKind::Connect => format!("{what}: no connection to the store: {reason}{hint}"),
        HttpErrorKind::Timeout => format!("{what}: the store did not answer in time"),
        _ => format!("{what}: the store broke off its answer: {reason}"),
    })
}

/// The status and its reason in the text of an error.
fn status(text: &str) -> Option<&str> {
    if text.contains("Received redirect without LOCATION") {
        return Some("301 Moved Permanently");
    }
    let (_, answer) = text.split_once("status code: ")?;
    let answer = answer.split(':').next()?.trim();
    answer.starts_with(|c: char| c.is_ascii_digit()).then_some(answer)
}

/// The error code in the XML that S3, Azure and Google Cloud answer with.
fn code(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("<Code>")?;
    let (code, _) = after.split_once("</Code>")?;
    let is_plain = code.len() <= CODE_CHARS_MAX && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_plain.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn a_machine_without_credentials_is_told_so() {
        let text = "Error performing PUT http://169.254.169.254/latest/api/token in 3s - no route";
        let error = failure("`s3://b/a`", &generic(text));
        assert!(matches!(error, RemoteError::Denied(_)), "{error:?}");
        assert!(error.to_string().contains("no credentials for its store are set"), "{error}");
    }

    #[test]
    fn whatever_a_store_says_only_plain_codes_are_repeated() {
        for body in ["<Code>a b</Code>", "<Code>secret", "<Code>secret=1</Code>", "secret: secret"]
        {
            let text = format!("Server returned non-2xx status code: 418 I'm a teapot: {body}");
            let message = failure("x", &generic(&text)).to_string();
            assert_eq!(message, "x: the store answered 418 I'm a teapot");
        }
        let message = failure("x", &generic("secret")).to_string();
        assert_eq!(message, "x: the answer of the store makes no sense");
    }
}
