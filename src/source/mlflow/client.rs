//! The connection: requests with credentials, retries and bounds.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Response};
use serde::de::DeserializeOwned;
use url::Url;

use super::ask::Ask;
use super::options::{ClientOptions, Credentials, RetryPolicy, shown};
use super::refusal::{Failure, Refusal, broken_off, garbled};
use crate::store::{ByteStream, RemoteError};

const USER_AGENT: &str = concat!("flowgate/", env!("CARGO_PKG_VERSION"));
/// Largest answer that is not a file: a model with thousands of versions or files.
const JSON_BYTES_MAX: usize = 16 << 20;
/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Largest file of certificates.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Most hops within one server.
const REDIRECTS_MAX: usize = 5;
/// A file may take as long as it would at this pace, beside the wait for one answer.
const FILE_BYTES_PER_SECOND_MIN: u64 = 64 << 10;
/// Longest time for a file of unknown length.
const FILE_TIME_MAX: Duration = Duration::from_hours(1);
const WORKSPACE: &str = "X-MLFLOW-WORKSPACE";

/// A client of an MLflow tracking server and of its model registry.
///
/// Clones share connections, which are served by the tokio runtime that opened them: each runtime
/// has a client of its own.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    retry: RetryPolicy,
}

struct Shared {
    http: reqwest::Client,
    tracking: Url,
    registry: Url,
    credentials: Option<Credentials>,
    workspace: Option<HeaderValue>,
    timeout: Duration,
}

impl Client {
    /// Reads the files of certificates that are named; asks no server yet.
    ///
    /// # Errors
    /// `Unusable` when a URI is not `http` or `https`, a file is no PEM file, or a setting cannot
    /// be sent in a header.
    pub fn new(options: &ClientOptions) -> Result<Self, RemoteError> {
        let (tracking, within) = server_url(&options.tracking_uri)?;
        let (registry, _) = server_url(&options.registry_uri)?;
        let workspace = options.workspace.as_deref().map(HeaderValue::from_str).transpose();
        let shared = Shared {
            http: connector(options)?,
            tracking,
            registry,
            credentials: options.credentials.clone().or(within),
            workspace: workspace.map_err(|_| {
                RemoteError::Unusable("the name of the workspace has odd characters".to_owned())
            })?,
            timeout: options.timeout,
        };
        Ok(Self { shared: Arc::new(shared), retry: options.retry })
    }

    /// The same client with other patience.
    #[must_use]
    pub fn with_retry(&self, retry: RetryPolicy) -> Self {
        Self { shared: Arc::clone(&self.shared), retry }
    }

    /// A client that shows nothing of ours, for the stores behind a server: with the authorities
    /// that this machine trusts.
    pub(super) fn of_stores(&self) -> Result<Self, RemoteError> {
        let Shared { tracking, registry, timeout, .. } = &*self.shared;
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout((*timeout).min(CONNECT_MAX))
            .read_timeout(*timeout)
            .redirect(Policy::none())
            .build()
            .map_err(|error| no_connections(&error))?;
        let (tracking, registry) = (tracking.clone(), registry.clone());
        let (credentials, workspace, timeout) = (None, None, *timeout);
        let shared = Shared { http, tracking, registry, credentials, workspace, timeout };
        Ok(Self { shared: Arc::new(shared), retry: self.retry })
    }

    pub(super) fn tracking(&self) -> &Url {
        &self.shared.tracking
    }

    pub(super) fn registry(&self) -> &Url {
        &self.shared.registry
    }

    /// Asks for JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Failure> {
        let bytes = self
            .retried(ask, async || {
                let response = self.attempt(ask).await?;
                match start(ask, response, JSON_BYTES_MAX + 1).await? {
                    bytes if bytes.len() > JSON_BYTES_MAX => {
                        Err(garbled(ask, "more than 16 MiB", &bytes).into())
                    }
                    bytes => Ok(bytes),
                }
            })
            .await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| garbled(ask, &format!("something else ({error})"), &bytes).into())
    }

    /// Asks for a file. Once it has begun nothing is repeated; an end before the announced length
    /// is an error of the stream.
    pub(super) async fn file(&self, ask: Ask) -> Result<ByteStream, RemoteError> {
        let response = self.retried(&ask, async || self.attempt(&ask).await).await?;
        let time = match response.content_length() {
            Some(bytes) => {
                self.shared.timeout + Duration::from_secs(bytes / FILE_BYTES_PER_SECOND_MIN)
            }
            None => FILE_TIME_MAX,
        };
        let end = tokio::time::Instant::now() + time;
        let pieces = Box::pin(response.bytes_stream());
        let pieces = futures_util::stream::unfold(Some((pieces, ask)), move |state| async move {
            let (mut pieces, ask) = state?;
            match tokio::time::timeout_at(end, pieces.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some((pieces, ask)))),
                Ok(Some(Err(error))) => {
                    Some((Err(broken_off(&ask.server, &ask.what, &error)), None))
                }
                Err(_) => Some((Err(Failure::late(&ask, time).error), None)),
            }
        });
        Ok(Box::pin(pieces))
    }

    /// Tries until something is answered that stands, or patience is at its end.
    async fn retried<T>(
        &self,
        ask: &Ask,
        once: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let timeout = self.shared.timeout;
        let mut retry = 0;
        loop {
            let result = tokio::time::timeout(timeout, once()).await;
            match result.unwrap_or_else(|_| Err(Failure::late(ask, timeout))) {
                Err(failure) if failure.again && retry < self.retry.retries_max => {
                    let wait = self.retry.wait(retry, failure.retry_after, fastrand::f64());
                    tracing::debug!(error = %failure.error, ?wait, "asking again");
                    tokio::time::sleep(wait).await;
                    retry += 1;
                }
                result => return result,
            }
        }
    }

    async fn attempt(&self, ask: &Ask) -> Result<Response, Failure> {
        let mut request = self.shared.http.request(ask.method.clone(), ask.url.clone());
        let credentials = self.shared.credentials_for(&ask.url);
        request = match credentials {
            Some(Credentials::Basic { username, password }) => {
                request.basic_auth(username, Some(password))
            }
            Some(Credentials::Bearer(token)) => request.bearer_auth(token),
            None => request,
        };
        if let Some(workspace) = &self.shared.workspace {
            request = request.header(WORKSPACE, workspace.clone());
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some(headers) = &ask.signed {
            request = request.headers(headers.clone());
        }
        let response = request.send().await.map_err(|error| Failure::broken(ask, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // The status says enough where the rest of the refusal does not arrive.
        let text = start(ask, response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let refusal = Refusal {
            status,
            location: text_of(&headers, LOCATION),
            retry_after: text_of(&headers, RETRY_AFTER),
            text: &String::from_utf8_lossy(&text),
            credentials,
        };
        Err(Failure::refused(ask, &refusal))
    }
}

impl Shared {
    /// What we show to that host; nothing to hosts that somebody else named.
    fn credentials_for(&self, url: &Url) -> Option<&Credentials> {
        let known = [&self.tracking, &self.registry].map(Url::origin).contains(&url.origin());
        self.credentials.as_ref().filter(|_| known)
    }
}

/// The URL without name, password, query and fragment; and the credentials that it held.
fn server_url(url: &Url) -> Result<(Url, Option<Credentials>), RemoteError> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(RemoteError::Unusable(format!(
            "{} is not the URI of an MLflow server: expected http://HOST:PORT or https://...",
            shown(url)
        )));
    }
    let decoded = |text: &str| {
        // The query parser is the decoder at hand; what means something to it alone is hidden.
        let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let credentials = Credentials::choose(
        decoded(url.username()),
        decoded(url.password().unwrap_or_default()),
        None,
    );
    let plain = Url::parse(&shown(url))
        .map_err(|error| RemoteError::Unusable(format!("{}: {error}", shown(url))))?;
    Ok((plain, credentials))
}

fn connector(options: &ClientOptions) -> Result<reqwest::Client, RemoteError> {
    // The process has one provider of cryptography; whoever was first here took the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(options.timeout.min(CONNECT_MAX))
        .read_timeout(options.timeout)
        .redirect(Policy::custom(|attempt| {
            let first = attempt.previous().first().map(Url::origin);
            let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
            let same = first == Some(attempt.url().origin());
            if keeps_method && same && attempt.previous().len() <= REDIRECTS_MAX {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .tls_danger_accept_invalid_certs(options.insecure_tls);
    let https = [&options.tracking_uri, &options.registry_uri].map(|uri| uri.scheme() == "https");
    if let Some(path) = &options.ca_bundle {
        let certificates = pem(path)?;
        let certificates = Certificate::from_pem_bundle(&certificates)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| not_pem(path, "certificates"))?;
        builder = builder.tls_certs_only(certificates);
    } else if !https.contains(&true) {
        // A system without any authority is good enough where none is needed.
        builder = builder.tls_certs_only([]);
    }
    if let Some(path) = &options.client_certificate {
        let identity = Identity::from_pem(&pem(path)?);
        builder = builder
            .identity(identity.map_err(|_| not_pem(path, "a certificate and its private key"))?);
    }
    builder.build().map_err(|error| no_connections(&error))
}

fn no_connections(error: &reqwest::Error) -> RemoteError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| error.to_string());
    RemoteError::Unusable(format!("no connections can be made: {cause}"))
}

/// Short, but blocking; only when a client is made.
fn pem(path: &Path) -> Result<Vec<u8>, RemoteError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| RemoteError::Unusable(format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

fn not_pem(path: &Path, what: &str) -> RemoteError {
    RemoteError::Unusable(format!("{} is not a PEM file of {what}", path.display()))
}

/// The body, or its first bytes: at least `bytes_max` of them where there are more.
async fn start(ask: &Ask, mut response: Response, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while bytes.len() < bytes_max {
        match response.chunk().await.map_err(|error| Failure::broken(ask, &error))? {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(bytes.freeze())
}

fn text_of(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
