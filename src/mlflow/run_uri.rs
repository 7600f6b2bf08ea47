//! `runs:/` URIs, as MLflow's client reads them.

use std::fmt;

const SCHEME: &str = "runs:";
/// Longest accepted identifier of a run, in bytes (MLflow's own rule).
const RUN_ID_BYTES_MAX: usize = 256;

/// A directory among what a run logged: `runs:/<run id>/model`. The path may be the name of a model
/// that the run logged (MLflow 3) or lie among the run's artifacts (before).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunUri {
    /// Letters, digits, `_` and `-`.
    pub run_id: String,
    /// Relative, with `/` between names; neither empty nor with empty, `.` or `..` names.
    pub path: String,
}

/// Why a text is not a `runs:/` URI of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected runs:/RUN_ID/PATH, with the path of a model that the run logged")]
pub struct RunUriError;

impl RunUri {
    /// Whether a text claims to be such a URI.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads a `runs:/` URI. Names are taken as they stand: MLflow does not percent-decode.
    ///
    /// # Errors
    /// When the text has another form, or names no path.
    pub fn parse(text: &str) -> Result<Self, RunUriError> {
        let (run_id, path) = text
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.split_once('/'))
            .ok_or(RunUriError)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |name: &str| !matches!(name, "" | "." | "..");
        if is_run_id(run_id) && path.split('/').all(plain) {
            Ok(Self { run_id: run_id.to_owned(), path: path.to_owned() })
        } else {
            Err(RunUriError)
        }
    }
}

fn is_run_id(text: &str) -> bool {
    (1..=RUN_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl fmt::Display for RunUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}/{}/{}", self.run_id, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_a_path_are_read() {
        for (text, run_id, path) in [
            ("runs:/e483b2c9/model", "e483b2c9", "model"),
            ("runs:/e483b2c9/a/b c/", "e483b2c9", "a/b c"),
        ] {
            let uri = RunUri::parse(text).unwrap();
            assert_eq!((uri.run_id.as_str(), uri.path.as_str()), (run_id, path), "{text}");
            assert_eq!(RunUri::parse(&uri.to_string()), Ok(uri));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let texts = [
            "runs:/e483b2c9",
            "runs:/e483b2c9/",
            "runs://host/model",
            "runs:e483b2c9/model",
            "runs:/e483/../x",
            "runs:/e483//x",
            "runs:/../x",
            "models:/a/1",
            "",
        ];
        for text in texts {
            assert_eq!(RunUri::parse(text), Err(RunUriError), "{text}");
        }
    }
}
