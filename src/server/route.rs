//! What a method and a path mean: a pure function, after Starlette's router.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Meaning of a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /ping`, `GET /health`.
    Health,
    /// `GET /version`.
    Version,
    /// `GET /docs`, `GET /redoc`: where FastAPI has pages about the server.
    Docs,
    /// `GET /openapi.json`.
    OpenApi,
    /// `POST /invocations`, `POST /invocations/{name}`; `None` is the default model.
    Invocations(Option<String>),
    /// The path is known, the method is not the one.
    MethodNotAllowed {
        allow: &'static str,
    },
    /// The path is known but for slashes at its end.
    Redirect {
        path: String,
    },
    /// `POST /invocations/{name}`, and there is no model of that name.
    UnknownModel,
    NotFound,
}

/// What a path stands for, whatever the method.
enum Endpoint {
    Health,
    Version,
    Docs,
    OpenApi,
    Invocations(Option<String>),
}

/// Resolves a request line. `path` is as it came, percent-encoded, without the query.
pub(super) fn resolve(method: &str, path: &str, is_model: impl Fn(&str) -> bool) -> Route {
    let decoded = percent_decode(path);
    match (endpoint(&decoded, &is_model), method) {
        (Some(Endpoint::Health), "GET" | "HEAD") => Route::Health,
        (Some(Endpoint::Version), "GET") => Route::Version,
        (Some(Endpoint::Docs), "GET" | "HEAD") => Route::Docs,
        (Some(Endpoint::OpenApi), "GET" | "HEAD") => Route::OpenApi,
        (Some(Endpoint::Invocations(name)), "POST") => Route::Invocations(name),
        (Some(Endpoint::Health | Endpoint::Version), _) => Route::MethodNotAllowed { allow: "GET" },
        (Some(Endpoint::Docs | Endpoint::OpenApi), _) => {
            Route::MethodNotAllowed { allow: "GET, HEAD" }
        }
        (Some(Endpoint::Invocations(_)), _) => Route::MethodNotAllowed { allow: "POST" },
        (None, _) => {
            let trimmed = decoded.trim_end_matches('/');
            match endpoint(trimmed, &is_model) {
                Some(_) => Route::Redirect { path: percent_encode(trimmed) },
                None if method == "POST" && decoded.starts_with("/invocations/") => {
                    Route::UnknownModel
                }
                None => Route::NotFound,
            }
        }
    }
}

fn endpoint(path: &str, is_model: impl Fn(&str) -> bool) -> Option<Endpoint> {
    match path {
        "/ping" | "/health" => Some(Endpoint::Health),
        "/version" => Some(Endpoint::Version),
        "/docs" | "/redoc" => Some(Endpoint::Docs),
        "/openapi.json" => Some(Endpoint::OpenApi),
        "/invocations" => Some(Endpoint::Invocations(None)),
        _ => {
            let name = path.strip_prefix("/invocations/").filter(|name| is_model(name))?;
            Some(Endpoint::Invocations(Some(name.to_owned())))
        }
    }
}

/// Python's `urllib.parse.unquote`: damaged escapes stay, bytes that are not UTF-8 become U+FFFD.
pub(super) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(escaped.map_or(first, |(high, low)| high << 4 | low));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Escapes what Starlette's redirects escape: all but unreserved and delimiting characters.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~:/%#?=@[]!$&'()*+,;".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> Route {
        resolve(method, path, |name| name == "wine" || name == "größe 2")
    }

    #[test]
    fn health_routes_answer_get_and_head() {
        for path in ["/ping", "/health", "/%70ing"] {
            assert_eq!(of("GET", path), Route::Health, "{path}");
            assert_eq!(of("HEAD", path), Route::Health, "{path}");
            assert_eq!(of("POST", path), Route::MethodNotAllowed { allow: "GET" }, "{path}");
        }
        assert_eq!(of("GET", "/version"), Route::Version);
    }

    #[test]
    fn invocations_answer_post_only() {
        assert_eq!(of("POST", "/invocations"), Route::Invocations(None));
        assert_eq!(of("POST", "/invocations/wine"), Route::Invocations(Some("wine".to_owned())));
        let named = Route::Invocations(Some("größe 2".to_owned()));
        assert_eq!(of("POST", "/invocations/gr%C3%B6%C3%9Fe%202"), named);
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let refused = Route::MethodNotAllowed { allow: "POST" };
            assert_eq!(of(method, "/invocations"), refused, "{method}");
        }
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in ["/", "", "*", "//ping", "/PING", "/ping%"] {
            assert_eq!(of("GET", path), Route::NotFound, "{path}");
            assert_eq!(of("POST", path), Route::NotFound, "{path}");
        }
        assert_eq!(of("GET", "/invocations/x"), Route::NotFound);
        assert_eq!(of("POST", "/invocations/x"), Route::UnknownModel);
    }

    #[test]
    fn slashes_at_the_end_redirect() {
        let to = |path: &str| Route::Redirect { path: path.to_owned() };
        assert_eq!(of("GET", "/ping/"), to("/ping"));
        assert_eq!(of("GET", "/ping//"), to("/ping"));
        assert_eq!(of("GET", "/invocations/"), to("/invocations"));
        assert_eq!(of("POST", "/invocations%2F"), to("/invocations"));
        assert_eq!(of("POST", "/invocations/wine/"), to("/invocations/wine"));
        let encoded = "/invocations/gr%C3%B6%C3%9Fe%202";
        assert_eq!(of("POST", &format!("{encoded}/")), to(encoded));
        assert_eq!(of("POST", "/nope/"), Route::NotFound);
    }
}
