//! The client of each kind of store, with its settings.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, HeaderMap, HeaderValue, ObjectStore, RetryConfig,
};
use reqwest::header::AUTHORIZATION;

use crate::store::RemoteError;

use super::address::Address;
use super::options::ObjectOptions;

/// Builds the client for an address. Nothing is asked yet.
pub(super) fn connect(
    address: &Address,
    options: &ObjectOptions,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    // The clients take the process's cryptography; whoever came first has chosen it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = match address {
        Address::S3 { bucket, .. } => s3(bucket, options)?,
        Address::Google { bucket, .. } => google(bucket, options)?,
        Address::Azure { container, account, domain, .. } => {
            azure([container, account, domain], options)?
        }
        Address::Web { site, login, .. } => {
            web(site, login.as_ref(), options, options.retries_max)?
        }
    };
    Ok(store)
}

fn s3(bucket: &str, options: &ObjectOptions) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let mut client = client(options);
    if let Some(path) = options.variable("AWS_CA_BUNDLE") {
        let refuse = |cause: &dyn std::fmt::Display| {
            RemoteError::Unusable(format!("AWS_CA_BUNDLE `{path}` cannot be used: {cause}"))
        };
        let pem = fs::read(path).map_err(|error| refuse(&error))?;
        let roots = Certificate::from_pem_bundle(&pem)
            .map_err(|_| refuse(&"it is no bundle of PEM certificates"))?;
        client = roots.into_iter().fold(client, ClientOptions::with_root_certificate);
    }
    if options.is_true("MLFLOW_S3_IGNORE_TLS") {
        client = client.with_allow_invalid_certificates(true);
    }
    let builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry(options));
    let builder =
        options.settings("AWS_").fold(builder, |builder, (name, value)| match name.parse() {
            Ok(setting) => builder.with_config(setting, value),
            Err(_) => builder,
        });
    let builder = match options.variable("MLFLOW_S3_ENDPOINT_URL") {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    };
    let store = builder.with_bucket_name(bucket).build();
    store.map(|store| Arc::new(store) as _).map_err(|error| unusable("S3", &error))
}

fn google(bucket: &str, options: &ObjectOptions) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_client_options(client(options))
        .with_retry(retry(options));
    let builder =
        options.settings("GOOGLE_").fold(builder, |builder, (name, value)| match name.parse() {
            Ok(setting) => builder.with_config(setting, value),
            Err(_) => builder,
        });
    let store = builder.with_bucket_name(bucket).build();
    store
        .map(|store| Arc::new(store) as _)
        .map_err(|error| unusable("Google Cloud Storage", &error))
}

fn azure(
    [container, account, domain]: [&str; 3],
    options: &ObjectOptions,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let builder = MicrosoftAzureBuilder::new()
        .with_client_options(client(options))
        .with_retry(retry(options));
    let mut builder =
        options.settings("AZURE_").fold(builder, |builder, (name, value)| match name.parse() {
            Ok(setting) => builder.with_config(setting, value),
            Err(_) => builder,
        });
    if let Some(connection) = options.variable("AZURE_STORAGE_CONNECTION_STRING") {
        for (setting, value) in connection_settings(connection) {
            builder = builder.with_config(setting, value);
        }
    }
    // Both kinds of URI name the account by the host of one of its two doors; blobs are behind
    // the first of them in every cloud.
    builder = match domain {
        "blob.core.windows.net" | "dfs.core.windows.net" => builder,
        "blob.fabric.microsoft.com" | "dfs.fabric.microsoft.com" => {
            builder.with_use_fabric_endpoint(true)
        }
        other => {
            let blobs = other.replacen("dfs.", "blob.", 1);
            builder.with_endpoint(format!("https://{account}.{blobs}"))
        }
    };
    let store = builder.with_account(account).with_container_name(container).build();
    store.map(|store| Arc::new(store) as _).map_err(|error| unusable("Azure Blob Storage", &error))
}

/// What matters of an Azure connection string: `AccountKey=...;BlobEndpoint=...`.
fn connection_settings(connection: &str) -> Vec<(AzureConfigKey, String)> {
    let parts = connection.split(';').filter_map(|part| part.split_once('='));
    parts
        .filter_map(|(name, value)| {
            let setting = match name.trim() {
                "AccountKey" => AzureConfigKey::AccessKey,
                "SharedAccessSignature" => AzureConfigKey::SasKey,
                "BlobEndpoint" => AzureConfigKey::Endpoint,
                _ => return None,
            };
            Some((setting, value.trim_end_matches('/').to_owned()))
        })
        .collect()
}

/// A web server, asked again so often at most.
pub(super) fn web(
    site: &str,
    login: Option<&(String, String)>,
    options: &ObjectOptions,
    retries_max: usize,
) -> Result<Arc<dyn ObjectStore>, RemoteError> {
    let retry = RetryConfig { max_retries: retries_max, ..retry(options) };
    let mut client = client(options);
    if let Some((user, password)) = login {
        let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let mut value = HeaderValue::from_str(&format!("Basic {token}"))
            .map_err(|_| RemoteError::Unusable(format!("the user for {site} is impossible")))?;
        value.set_sensitive(true);
        client = client.with_default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
    }
    let builder = HttpBuilder::new().with_url(site).with_client_options(client).with_retry(retry);
    builder.build().map(|store| Arc::new(store) as _).map_err(|error| unusable("the site", &error))
}

fn client(options: &ObjectOptions) -> ClientOptions {
    ClientOptions::new()
        // An endpoint without TLS is one that somebody has asked for.
        .with_allow_http(true)
        // A file may take as long as it needs while something arrives.
        .with_timeout_disabled()
        .with_connect_timeout(options.connect_time_max)
        .with_read_timeout(options.read_time_max)
}

fn retry(options: &ObjectOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: options.retries_max,
        retry_timeout: options.retry_time_max,
    }
}

/// A setting that is missing or wrong. What these errors say is about settings, never their values.
fn unusable(store: &str, error: &object_store::Error) -> RemoteError {
    let mut cause: &dyn std::error::Error = error;
    let mut of_client = false;
    while let Some(source) = cause.source() {
        of_client |= source.is::<reqwest::Error>();
        cause = source;
    }
    RemoteError::Unusable(if of_client {
        // Only its innermost cause says what is missing: usually the system's certificates.
        format!(
            "the client of {store} cannot be made: {cause} (the system's certificates are needed: \
             install ca-certificates, or name a bundle in SSL_CERT_FILE)"
        )
    } else {
        format!("the client of {store} cannot be made: {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_gives_key_and_endpoint() {
        let text = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5PQ==;\
                    BlobEndpoint=http://127.0.0.1:10000/a/;EndpointSuffix=x";
        let want = [
            (AzureConfigKey::AccessKey, "a2V5PQ==".to_owned()),
            (AzureConfigKey::Endpoint, "http://127.0.0.1:10000/a".to_owned()),
        ];
        assert_eq!(connection_settings(text), want);
    }
}
