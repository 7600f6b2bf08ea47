//! How the servers are reached: what MLflow's own client takes from its environment variables.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Longest wait between two attempts, whatever the policy or the server asks for.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// What a [`Client`](super::Client) is made from.
#[derive(Clone)]
pub struct ClientOptions {
    /// Knows runs, logged models and the artifacts that it passes on (`MLFLOW_TRACKING_URI`).
    /// `http` or `https`; its path is a prefix of all paths.
    pub tracking_uri: Url,
    /// Knows registered models (`MLFLOW_REGISTRY_URI`); often the same.
    pub registry_uri: Url,
    /// For both servers. Those within a URI are taken where there are none here.
    pub credentials: Option<Credentials>,
    /// PEM file of the only authorities trusted (`MLFLOW_TRACKING_SERVER_CERT_PATH`), in place of
    /// the system's.
    pub ca_bundle: Option<PathBuf>,
    /// PEM file of a certificate and its key (`MLFLOW_TRACKING_CLIENT_CERT_PATH`).
    pub client_certificate: Option<PathBuf>,
    /// Whether any certificate will do (`MLFLOW_TRACKING_INSECURE_TLS`).
    pub insecure_tls: bool,
    /// Sent as `X-MLFLOW-WORKSPACE` (`MLFLOW_WORKSPACE`).
    pub workspace: Option<String>,
    /// Longest wait for one answer, and for the next piece of a file
    /// (`MLFLOW_HTTP_REQUEST_TIMEOUT`).
    pub timeout: Duration,
    pub retry: RetryPolicy,
}

/// Who we are to the servers.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Basic { username: String, password: String },
    Bearer(String),
}

/// How often and when a request is repeated that found nobody, or an answer that says to come again
/// (408, 429, 500, 502, 503, 504).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first (`MLFLOW_HTTP_REQUEST_MAX_RETRIES`).
    pub retries_max: u32,
    /// The second retry waits twice as long, each further one twice as long as the one before it;
    /// two minutes at most (`MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR`).
    pub backoff: Duration,
    /// Up to so much more, by chance (`MLFLOW_HTTP_REQUEST_BACKOFF_JITTER`).
    pub jitter: Duration,
}

impl Credentials {
    /// What MLflow's client would use: name and password where both are there, else the token.
    /// Empty texts are as good as none.
    #[must_use]
    pub fn choose(
        username: Option<String>,
        password: Option<String>,
        token: Option<String>,
    ) -> Option<Self> {
        let [username, password, token] =
            [username, password, token].map(|text| text.filter(|text| !text.is_empty()));
        match (username, password) {
            (Some(username), Some(password)) => Some(Self::Basic { username, password }),
            _ => token.map(Self::Bearer),
        }
    }
}

impl RetryPolicy {
    /// For those who ask again anyway.
    pub const NEVER: Self =
        Self { retries_max: 0, backoff: Duration::ZERO, jitter: Duration::ZERO };

    /// What MLflow's client does unless told otherwise.
    pub const MLFLOW: Self =
        Self { retries_max: 7, backoff: Duration::from_secs(2), jitter: Duration::from_secs(1) };

    /// The wait before a retry, counted from 0. `asked` is what the server asks for
    /// (`Retry-After`), `chance` a random number from 0 to 1.
    #[must_use]
    pub fn wait(&self, retry: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = match retry {
            0 => Duration::ZERO,
            retry => self.backoff.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)),
        };
        let jitter = self.jitter.min(WAIT_MAX).mul_f64(chance.clamp(0.0, 1.0));
        asked.unwrap_or(doubled.saturating_add(jitter)).min(WAIT_MAX)
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username}, ...)"),
            Self::Bearer(_) => f.write_str("Bearer(...)"),
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("tracking_uri", &shown(&self.tracking_uri))
            .field("registry_uri", &shown(&self.registry_uri))
            .field("credentials", &self.credentials)
            .field("ca_bundle", &self.ca_bundle)
            .field("client_certificate", &self.client_certificate)
            .field("insecure_tls", &self.insecure_tls)
            .field("workspace", &self.workspace)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish()
    }
}

/// A URL for people: without name, password, query and the slash at its end.
pub(super) fn shown(url: &Url) -> String {
    let mut plain = url.clone();
    // What cannot have a name or a password has none to hide.
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    plain.set_query(None);
    plain.set_fragment(None);
    plain.as_str().trim_end_matches('/').to_owned()
}
