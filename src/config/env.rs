//! The one place that reads environment variables.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::backend::LibrarySearch;
use crate::source::{ClientOptions, Credentials, RetryPolicy};

use super::credentials::{self, CredentialsError, Login};

/// The environment, as it was when the process started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    executable: Option<PathBuf>,
    current_dir: Option<PathBuf>,
    home_dir: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment. Variables that are not text do not exist for us.
    #[must_use]
    pub fn read() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            executable: std::env::current_exe().ok(),
            current_dir: std::env::current_dir().ok(),
            home_dir: std::env::home_dir(),
        }
    }

    /// The file that `FLOWGATE_CONFIG` names.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        self.get("FLOWGATE_CONFIG").map(PathBuf::from)
    }

    /// Where ONNX Runtime's library may be, as far as the surroundings tell.
    pub(super) fn library(&self) -> LibrarySearch {
        LibrarySearch {
            explicit: None,
            ort_dylib_path: None,
            virtual_env: self.get("VIRTUAL_ENV").map(PathBuf::from),
            conda_prefix: self.get("CONDA_PREFIX").map(PathBuf::from),
            executable: self.executable.clone(),
            current_dir: self.current_dir.clone(),
        }
    }

    /// Where programs of this user keep what they could make again. The standard of the variable
    /// has relative paths ignored.
    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        let absolute = |name| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(user.join("flowgate"))
    }

    /// Whether this is a container of a Kubernetes pod: each has the address of its cluster's API.
    pub(super) fn is_in_kubernetes(&self) -> bool {
        self.get("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// What MLflow's own client would take from the environment to reach these servers, and from
    /// `~/.mlflow/credentials` below it.
    ///
    /// # Errors
    /// When that file is needed and of no use.
    pub fn mlflow_client(
        &self,
        tracking_uri: Url,
        registry_uri: Url,
    ) -> Result<ClientOptions, CredentialsError> {
        let text = |name: &str| self.get(name).map(str::to_owned);
        let number = |name: &str| self.get(name)?.parse::<u64>().ok();
        let is_true = |name: &str| self.get(name).and_then(super::parse::boolean) == Some(true);
        let default = RetryPolicy::MLFLOW;
        let seconds = |name: &str, or| number(name).map_or(or, Duration::from_secs);
        let (username, password) = self.mlflow_login()?;
        Ok(ClientOptions {
            tracking_uri,
            registry_uri,
            credentials: Credentials::choose(username, password, text("MLFLOW_TRACKING_TOKEN")),
            ca_bundle: text("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from),
            client_certificate: text("MLFLOW_TRACKING_CLIENT_CERT_PATH").map(PathBuf::from),
            insecure_tls: is_true("MLFLOW_TRACKING_INSECURE_TLS"),
            workspace: text("MLFLOW_WORKSPACE"),
            timeout: seconds("MLFLOW_HTTP_REQUEST_TIMEOUT", Duration::from_mins(2)),
            retry: RetryPolicy {
                retries_max: number("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
                    .map_or(default.retries_max, |retries| retries.min(100) as u32),
                backoff: seconds("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", default.backoff),
                jitter: seconds("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", default.jitter),
            },
        })
    }

    /// Name and password, each from the variable or else from the file. Where both variables are
    /// set the file is not looked at.
    fn mlflow_login(&self) -> Result<(Option<String>, Option<String>), CredentialsError> {
        let own = ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"]
            .map(|name| self.get(name).map(str::to_owned));
        let file = match &self.home_dir {
            Some(home) if own.contains(&None) => credentials::read(home)?,
            _ => Login::default(),
        };
        let [username, password] = own;
        Ok((username.or(file.username), password.or(file.password)))
    }

    /// What the clients of object stores take from the environment.
    #[must_use]
    pub fn object_variables(&self) -> Vec<(String, String)> {
        const PREFIXES: [&str; 4] = ["AWS_", "GOOGLE_", "AZURE_", "MLFLOW_S3_"];
        let is_theirs = |name: &String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let found = self.variables.iter().filter(|(name, _)| is_theirs(name));
        found.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Names of our own variables that are set.
    pub(super) fn ours(&self) -> impl Iterator<Item = &str> {
        let names = self.variables.keys().map(String::as_str);
        names.filter(|name| name.starts_with("FLOWGATE_") && self.get(name).is_some())
    }

    /// The variable's value. An empty one counts as not set, and so does an address in a
    /// variable of ours: for a service named `flowgate` Kubernetes sets `FLOWGATE_PORT` to
    /// something like `tcp://10.0.0.1:80`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.as_str();
        let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|one| value.starts_with(one));
        let by_kubernetes = name.starts_with("FLOWGATE_") && is_address;
        (!value.is_empty() && !by_kubernetes).then_some(value)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let variables: HashMap<_, _> = variables.map(own).into();
        let home_dir = variables.get("HOME").map(PathBuf::from);
        Self { variables, executable: None, current_dir: None, home_dir }
    }
}
