//! Where a URI points.

use object_store::path::Path;

use crate::store::{RemoteError, percent_decoded, without_secrets};

/// A directory in a store. Paths are taken as they stand in URIs of objects, as MLflow's clients
/// do, and decoded in URLs.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Address {
    S3 {
        bucket: String,
        path: Path,
    },
    Google {
        bucket: String,
        path: Path,
    },
    Azure {
        container: String,
        account: String,
        /// `blob.core.windows.net`, or its like in another cloud.
        domain: String,
        path: Path,
    },
    Web {
        /// Scheme, host and port.
        site: String,
        /// User and password, where the URL has them.
        login: Option<(String, String)>,
        path: Path,
    },
}

impl Address {
    /// Reads a URI.
    pub(super) fn parse(uri: &str) -> Result<Self, RemoteError> {
        let unusable = |reason: &str| {
            RemoteError::Unusable(format!("artifacts at `{}`: {reason}", without_secrets(uri)))
        };
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| {
            unusable("not the URI of an object store (s3://BUCKET/PATH, ...) or a web server")
        })?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(unusable("it names no bucket or host"));
        }
        let object_path = || {
            // A slash at the end or twice in a row means nothing to MLflow's clients either.
            let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
            Path::parse(parts.join("/"))
                .map_err(|_| unusable("its path holds `.`, `..` or control characters"))
        };
        let bucket = authority.to_owned();
        match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Ok(Self::S3 { bucket, path: object_path()? }),
            "gs" => Ok(Self::Google { bucket, path: object_path()? }),
            "abfss" | "abfs" | "wasbs" | "wasb" => {
                let parts = authority.split_once('@').and_then(|(container, host)| {
                    let (account, domain) = host.split_once('.')?;
                    Some([container, account, domain].map(str::to_owned))
                });
                let [container, account, domain] = parts.ok_or_else(|| {
                    unusable("expected CONTAINER@ACCOUNT.blob.core.windows.net before the path")
                })?;
                Ok(Self::Azure { container, account, domain, path: object_path()? })
            }
            "http" | "https" => {
                let mut url = url::Url::parse(uri).map_err(|_| unusable("not a valid URL"))?;
                let path = url.path().trim_matches('/');
                let path =
                    Path::from_url_path(path).map_err(|_| unusable("its path is invalid"))?;
                let login = login(&url).map_err(unusable)?;
                url.set_username("")
                    .and_then(|()| url.set_password(None))
                    .map_err(|()| unusable("it names no host"))?;
                let site = url[..url::Position::BeforePath].to_owned();
                Ok(Self::Web { site, login, path })
            }
            other => Err(unusable(&format!(
                "nothing here fetches {other}: URIs (s3, gs, abfss, wasbs, http and https are)"
            ))),
        }
    }

    /// The directory, within its bucket, container or site.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::S3 { path, .. }
            | Self::Google { path, .. }
            | Self::Azure { path, .. }
            | Self::Web { path, .. } => path,
        }
    }
}

/// User and password of a URL, if it has them.
fn login(url: &url::Url) -> Result<Option<(String, String)>, &'static str> {
    let decoded = |text| percent_decoded(text).ok_or("its user or password is not UTF-8");
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, password) => Ok(Some((decoded(user)?, decoded(password.unwrap_or_default())?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Path {
        Path::parse(path).unwrap()
    }

    #[test]
    fn uris_mean_a_bucket_and_a_path() {
        let [bucket, site] = ["b", "https://host:8080"].map(str::to_owned);
        let login = Some(("me".to_owned(), "p@w".to_owned()));
        let azure = |domain: &str| Address::Azure {
            container: "c".to_owned(),
            account: "acc".to_owned(),
            domain: domain.to_owned(),
            path: path("a/b"),
        };
        let s3 = |text| Address::S3 { bucket: bucket.clone(), path: path(text) };
        let cases = [
            ("s3://b/1/m-2/artifacts", s3("1/m-2/artifacts")),
            ("s3a://b//1/x y%20z?#/", s3("1/x y%20z?#")),
            ("s3://b", s3("")),
            ("gs://b/a", Address::Google { bucket: bucket.clone(), path: path("a") }),
            ("abfss://c@acc.dfs.core.windows.net/a/b", azure("dfs.core.windows.net")),
            ("wasbs://c@acc.blob.core.windows.net/a/b/", azure("blob.core.windows.net")),
            (
                "https://me:p%40w@host:8080/a%20b/c/?sig=1",
                Address::Web { site, login, path: path("a b/c") },
            ),
        ];
        for (uri, want) in cases {
            assert_eq!(Address::parse(uri), Ok(want), "{uri}");
        }
    }

    #[test]
    fn other_uris_are_refused_without_their_secrets() {
        for (uri, part) in [
            ("runs:/1/a", "not the URI of an object store"),
            ("s3:///a", "names no bucket"),
            ("s3://b/../a", "its path holds"),
            ("wasbs://c/a", "expected CONTAINER@ACCOUNT"),
            ("ftp://me:secret@host/a?secret", "nothing here fetches ftp: URIs"),
            ("http://:secret@/a", "not a valid URL"),
        ] {
            let message = Address::parse(uri).unwrap_err().to_string();
            assert!(message.contains(part), "{uri}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
