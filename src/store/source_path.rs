//! Where a model is said to be: a path, or a URI that must mean one.

use std::path::PathBuf;

use crate::mlflow::{ModelUri, ModelUriError};

/// Why a text names no local directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourcePathError {
    #[error("no model is named; give a model directory")]
    Empty,
    #[error(
        "`{uri}` means {what} in an MLflow registry, but a directory is expected; download it \
         (mlflow artifacts download -u {uri} -d DIR) and give that directory"
    )]
    Registry { uri: String, what: String },
    #[error("`{uri}` is not a proper models:/ URI ({cause}), and a directory is expected anyway")]
    ModelUri { uri: String, cause: ModelUriError },
    #[error(
        "`{uri}` is a {scheme}: URI, but a directory is expected; download it \
         (mlflow artifacts download -u {uri} -d DIR) and give that directory"
    )]
    Scheme { uri: String, scheme: String },
    #[error("`{uri}` is not a usable file: URI: {reason}; write file:///PATH or just PATH")]
    File { uri: String, reason: &'static str },
}

/// The local path that a path or a `file:` URI means. Whether it exists is not asked.
///
/// # Errors
/// When the text is a URI of another place.
pub fn local_path(text: &str) -> Result<PathBuf, SourcePathError> {
    if text.is_empty() {
        return Err(SourcePathError::Empty);
    }
    if ModelUri::is_claimed_by(text) {
        return Err(refuse_model_uri(text));
    }
    match scheme(text) {
        None => Ok(PathBuf::from(text)),
        Some("file") => file_uri(text),
        Some(scheme) => {
            Err(SourcePathError::Scheme { uri: text.to_owned(), scheme: scheme.to_owned() })
        }
    }
}

fn refuse_model_uri(text: &str) -> SourcePathError {
    let uri = text.to_owned();
    match ModelUri::parse(text) {
        Ok(ModelUri::Registered { name, selector }) => {
            SourcePathError::Registry { uri, what: format!("{selector} of model {name}") }
        }
        Ok(ModelUri::Logged { id }) => {
            SourcePathError::Registry { uri, what: format!("the logged model {id}") }
        }
        Err(cause) => SourcePathError::ModelUri { uri, cause },
    }
}

/// The scheme of a URI. Only what MLflow writes with one colon (`file:`, `runs:`, ...) or what has
/// `://` counts: a colon alone may well be part of a directory's name.
pub fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let known = ["file", "runs", "mlflow-artifacts", "dbfs"].contains(&scheme);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (is_scheme && (known || rest.starts_with("//"))).then_some(scheme)
}

fn file_uri(uri: &str) -> Result<PathBuf, SourcePathError> {
    let refuse = |reason| SourcePathError::File { uri: uri.to_owned(), reason };
    let rest = uri.strip_prefix("file:").unwrap_or(uri);
    let path = match rest.strip_prefix("//") {
        Some(after_host) => {
            let slash = after_host.find('/').ok_or_else(|| refuse("it has no path"))?;
            let (host, path) = after_host.split_at(slash);
            if !matches!(host, "" | "localhost") {
                return Err(refuse("it names another host"));
            }
            path
        }
        None => rest,
    };
    if path.is_empty() {
        return Err(refuse("it has no path"));
    }
    percent_decoded(path).map(PathBuf::from).ok_or_else(|| refuse("a percent escape is not UTF-8"))
}

/// `None` when the result is not UTF-8. A percent sign without two hex digits stands for itself.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = match bytes.get(at + 1..at + 3) {
            Some(&[high, low]) if byte == b'%' => hex(high).zip(hex(low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_uris_mean_a_path() {
        let cases = [
            ("models/wine", "models/wine"),
            ("/srv/a:b", "/srv/a:b"),
            ("run-3:/x", "run-3:/x"),
            ("file:///srv/wine%20quality/1", "/srv/wine quality/1"),
            ("file://localhost/srv/%C3%A9", "/srv/é"),
            ("file:/srv/100%", "/srv/100%"),
            ("file:models/wine", "models/wine"),
        ];
        for (text, path) in cases {
            assert_eq!(local_path(text), Ok(PathBuf::from(path)), "{text}");
        }
    }

    #[test]
    fn other_uris_are_refused_with_what_they_mean() {
        let cases = [
            ("", "give a model directory"),
            ("models:/churn/3", "means version 3 of model churn in an MLflow registry"),
            ("models:/churn@champion", "means alias champion of model churn"),
            ("models:/churn/latest", "means the latest version of model churn"),
            ("models:/m-0123", "means the logged model m-0123"),
            ("models:/churn/prod", "`prod` is neither a version nor a stage"),
            ("runs:/abc/model", "is a runs: URI"),
            ("s3://bucket/model", "is a s3: URI"),
            ("mlflow-artifacts:/1/x", "is a mlflow-artifacts: URI"),
            ("file://host/srv", "names another host"),
            ("file:", "has no path"),
            ("file:///%FF", "not UTF-8"),
        ];
        for (text, part) in cases {
            let message = local_path(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
