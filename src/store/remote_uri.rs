//! URIs of artifacts, fit for logs and files.

/// The URI without what may be secret in it: a password or token before the host, a query (signed
/// URLs carry their signature there), a fragment. `wasbs://container@account...` stays whole: what
/// stands before the host of such a URI is a place.
#[must_use]
pub fn without_secrets(uri: &str) -> String {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let uri = &uri[..end];
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let Some((before, host)) = authority.rsplit_once('@') else { return uri.to_owned() };
    let is_container = scheme.starts_with("wasb") || scheme.starts_with("abfs");
    if is_container && !before.contains(':') {
        uri.to_owned()
    } else {
        format!("{scheme}://{host}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_signatures_go_and_places_stay() {
        let cases = [
            ("s3://bucket/a/b", "s3://bucket/a/b"),
            ("https://user:pw@host:5000/a", "https://host:5000/a"),
            ("https://to@ken@host", "https://host"),
            ("https://h/a?X-Amz-Signature=1#b", "https://h/a"),
            (
                "wasbs://c@acc.blob.core.windows.net/a?sig=1",
                "wasbs://c@acc.blob.core.windows.net/a",
            ),
            ("abfss://c:key@acc.dfs.core.windows.net/a", "abfss://acc.dfs.core.windows.net/a"),
            ("mlflow-artifacts:/1/x@y", "mlflow-artifacts:/1/x@y"),
        ];
        for (uri, want) in cases {
            assert_eq!(without_secrets(uri), want);
        }
    }
}
