//! How object stores are reached.

use std::fmt;
use std::time::Duration;

/// What a store needs beside the URI.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectOptions {
    /// Variables of the environment, by name: those of the stores' own clients (`AWS_*`,
    /// `GOOGLE_*`, `AZURE_*`), `MLFLOW_S3_ENDPOINT_URL` and `MLFLOW_S3_IGNORE_TLS`. Others are
    /// ignored.
    pub variables: Vec<(String, String)>,
    pub connect_time_max: Duration,
    /// Longest wait for the first or next bytes of an answer.
    pub read_time_max: Duration,
    /// Times that a request is repeated after no answer, or one that says to come again.
    pub retries_max: usize,
    /// A request is not repeated later than this after the first.
    pub retry_time_max: Duration,
    /// Files that a directory may list.
    pub files_max: usize,
}

impl ObjectOptions {
    /// The value of a variable; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether a variable is set to what MLflow takes for true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// The variables whose names start so, in lower case, as `object_store` names its settings.
    pub(super) fn settings<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (String, &'a str)> + 'a {
        self.variables
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

/// Values of variables are secrets.
impl fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("ObjectOptions")
            .field("variables", &names)
            .field("connect_time_max", &self.connect_time_max)
            .field("read_time_max", &self.read_time_max)
            .field("retries_max", &self.retries_max)
            .field("retry_time_max", &self.retry_time_max)
            .field("files_max", &self.files_max)
            .finish()
    }
}
