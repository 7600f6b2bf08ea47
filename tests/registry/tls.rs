//! Whom the client trusts, and what it shows of itself.

use std::path::PathBuf;
use std::sync::Arc;

use flowgate::source::{Client, ClientOptions, MlflowSource, SourceError, Wanted};
use flowgate::store::RemoteError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, crypto};

use crate::fake::{Answer, Fake, options};

fn fixture(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/registry/tls").join(name)
}

/// A server that lets in whom it is to let in: everybody, or the bearers of our certificate.
fn server(only_ours: bool) -> Fake {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("authority.pem")).unwrap()).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let clients = if only_ours {
        clients.build().unwrap()
    } else {
        clients.allow_unauthenticated().build().unwrap()
    };
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let fake = Fake::start_tls(config);
    let model = Answer::new(200, "application/json", r#"{"registered_model": {}}"#);
    fake.set("GET", "/api/2.0/mlflow/registered-models/get", model);
    fake
}

async fn ask(options: &ClientOptions) -> Result<(), SourceError> {
    let client = Client::new(options)?;
    let mut source = MlflowSource::new(client, Wanted::parse("models:/churn@live").unwrap());
    source.aspired().await.map(drop)
}

/// Trusts the test's authority and no other.
fn trusting(fake: &Fake) -> ClientOptions {
    ClientOptions { ca_bundle: Some(fixture("authority.pem")), ..options(&fake.uri()) }
}

#[tokio::test]
async fn the_named_authority_is_trusted_and_no_other() {
    let fake = server(false);
    ask(&trusting(&fake)).await.unwrap();
    // The certificate of the client is an authority for nobody.
    let other = ClientOptions { ca_bundle: Some(fixture("client.pem")), ..trusting(&fake) };
    let error = ask(&other).await.unwrap_err();
    assert!(matches!(&error, SourceError::Remote(RemoteError::Unreachable(_))), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("MLFLOW_TRACKING_SERVER_CERT_PATH"), "{text}");
    ask(&ClientOptions { insecure_tls: true, ..other }).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_our_own_is_shown_where_it_is_asked_for() {
    let fake = server(true);
    ask(&trusting(&fake)).await.unwrap_err();
    let client_certificate = Some(fixture("client.pem"));
    ask(&ClientOptions { client_certificate, ..trusting(&fake) }).await.unwrap();
}
