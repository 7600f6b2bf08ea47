//! Files of a server that passes none on itself: it signs addresses in the store that has them, for
//! a few minutes each (`mlflow server --artifacts-presigned-only`).
//!
//! The store is another host than the server and gets none of what we show to that.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::ask::Ask;
use super::client::Client;
use super::refusal::garbled;
use crate::store::{ByteStream, RemoteError};

const SERVER_INFO: &str = "api/3.0/mlflow/server-info";
const SIGN_API: &str = "api/2.0/mlflow-artifacts/presigned";

/// What a server says about itself.
#[derive(Deserialize)]
struct ServerInfo {
    #[serde(default)]
    artifacts_presigned_only: bool,
}

/// Where a file can be had for a while, and what has to be sent with the question.
#[derive(Deserialize)]
struct Signed {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl Client {
    /// Whether a server says that it signs addresses and does nothing else. One that says nothing
    /// does not.
    pub(super) async fn is_presigned_only(&self, server: &Url) -> bool {
        let ask = Ask::get(server, SERVER_INFO, "its abilities");
        match self.json::<ServerInfo>(&ask).await {
            Ok(info) => info.artifacts_presigned_only,
            Err(_) => false,
        }
    }

    /// A file at the address that the server signs for it.
    pub(super) async fn presigned_file(
        &self,
        server: &Url,
        path: &str,
        what: String,
    ) -> Result<ByteStream, RemoteError> {
        let ask = Ask::get(server, SIGN_API, what).under(path);
        let signed: Signed = self.json(&ask).await?;
        let unusable = || garbled(&ask, "an address that cannot be used", b"");
        let url = Url::parse(&signed.url).ok();
        let url =
            url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(unusable)?;
        let header = |(name, value): (&String, &String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        let headers = signed.headers.iter().map(header).collect::<Option<HeaderMap>>();
        let ask = Ask::signed(url, headers.ok_or_else(unusable)?, ask.what);
        self.of_stores()?.file(ask).await
    }
}
