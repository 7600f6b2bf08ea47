//! One question to a server.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

/// A request, and words for what it is about.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
    /// Reads as the object of a sentence: `model churn`.
    pub(super) what: String,
    /// The server, for people.
    pub(super) server: String,
    /// What has to be sent with an address that was signed for us; `None` for any other.
    pub(super) signed: Option<HeaderMap>,
}

impl Ask {
    pub(super) fn new(method: Method, server: &Url, path: &str, what: impl Into<String>) -> Self {
        let mut url = server.clone();
        extend(&mut url, path);
        let (what, server) = (what.into(), super::options::shown(server));
        Self { method, url, body: None, what, server, signed: None }
    }

    /// An address that somebody signed for us. Its query is a secret, its path only words.
    pub(super) fn signed(url: Url, headers: HeaderMap, what: String) -> Self {
        let server = url.origin().ascii_serialization();
        Self { method: Method::GET, url, body: None, what, server, signed: Some(headers) }
    }

    pub(super) fn get(server: &Url, path: &str, what: impl Into<String>) -> Self {
        Self::new(Method::GET, server, path, what)
    }

    /// With names after the path, each encoded; `.` and `..` are left out.
    pub(super) fn under(mut self, path: &str) -> Self {
        extend(&mut self.url, path);
        self
    }

    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(key, value);
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

fn extend(url: &mut Url, path: &str) {
    url.path_segments_mut()
        .expect("the servers' URLs are http or https, which have paths")
        .pop_if_empty()
        .extend(path.split('/').filter(|name| !name.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_kept_and_names_are_encoded() {
        for (server, want) in [
            ("http://h:5000", "http://h:5000/api/x/wine%20quality/%25%C3%BC%3F?name=a%26b"),
            ("http://h:5000/", "http://h:5000/api/x/wine%20quality/%25%C3%BC%3F?name=a%26b"),
            ("https://h/ml/", "https://h/ml/api/x/wine%20quality/%25%C3%BC%3F?name=a%26b"),
        ] {
            let ask = Ask::get(&Url::parse(server).unwrap(), "/api/x", "it")
                .under("wine quality/%ü?")
                .query("name", "a&b");
            assert_eq!(ask.url.as_str(), want);
        }
    }

    #[test]
    fn no_name_leads_out_of_the_path() {
        let server = Url::parse("http://h/prefix").unwrap();
        let ask = Ask::get(&server, "api", "it").under("../..//./%2e%2e/x");
        assert_eq!(ask.url.as_str(), "http://h/prefix/api/%252e%252e/x");
    }
}
