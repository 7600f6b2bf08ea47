//! The HTTP surface, answer by answer.

use crate::support::{ECHOED, ONE_ROW, TestServer};

const NOT_FOUND: &str = r#"{"detail":"Not Found"}"#;
const NOT_ALLOWED: &str = r#"{"detail":"Method Not Allowed"}"#;

#[test]
fn health_routes_answer_a_newline_as_json() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for path in ["/ping", "/health", "/ping?x=1", "/%70ing"] {
        let reply = client.request("GET", path, &[], b"");
        assert_eq!((reply.status, reply.text()), (200, "\n"), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{path}");
        assert_eq!(reply.header("server"), Some("flowgate"), "{path}");
    }
}

#[test]
fn version_is_that_of_the_mlflow_we_answer_as() {
    let reply = TestServer::start(&[]).client().request("GET", "/version", &[], b"");
    assert_eq!((reply.status, reply.text()), (200, "3.18.0"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn pages_about_the_server_are_where_fastapi_has_them() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for path in ["/docs", "/redoc"] {
        let reply = client.request("GET", path, &[], b"");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(reply.text().contains("POST /invocations"), "{path}");
    }
    let reply = client.request("GET", "/openapi.json", &[], b"");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(document["paths"]["/invocations"]["post"].is_object());
}

#[test]
fn head_on_health_routes_is_the_get_without_its_body() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for (path, length) in [("/ping", "1"), ("/health", "1")] {
        let reply = client.request("HEAD", path, &[], b"");
        assert_eq!((reply.status, reply.header("content-length")), (200, Some(length)), "{path}");
    }
}

#[test]
fn wrong_methods_are_405_and_name_the_right_one() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for (method, path, allow) in [
        ("POST", "/ping", "GET"),
        ("DELETE", "/version", "GET"),
        ("HEAD", "/version", "GET"),
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
        ("OPTIONS", "/invocations", "POST"),
        ("GET", "/invocations/echo", "POST"),
    ] {
        let reply = client.request(method, path, &[], b"");
        let body = if method == "HEAD" { "" } else { NOT_ALLOWED };
        assert_eq!((reply.status, reply.text()), (405, body), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let head = client.request("HEAD", "/invocations", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (405, Some("31")));
}

#[test]
fn unknown_paths_and_models_are_404() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for path in ["/", "/nope", "//ping", "/PING", "/invocations/x", "/v2/health/ready"] {
        for method in ["GET", "POST"] {
            let reply = client.request(method, path, &[], b"");
            assert_eq!((reply.status, reply.text()), (404, NOT_FOUND), "{method} {path}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
    }
}

#[test]
fn a_slash_at_the_end_redirects_to_the_absolute_address_without() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for (method, path, location) in [
        ("GET", "/ping/", "http://test:1/ping"),
        ("POST", "/invocations/", "http://test:1/invocations"),
        ("POST", "/invocations/echo/?a=b", "http://test:1/invocations/echo?a=b"),
    ] {
        let reply = client.request(method, path, &[], b"");
        assert_eq!((reply.status, reply.text()), (307, ""), "{path}");
        assert_eq!(reply.header("location"), Some(location), "{path}");
        assert_eq!(reply.header("content-type"), None, "{path}");
    }
}

#[test]
fn a_model_answers_under_its_name_and_the_default_under_none() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    let json = [("Content-Type", "application/json")];
    for path in ["/invocations", "/invocations/echo"] {
        let reply = client.request("POST", path, &json, ONE_ROW.as_bytes());
        assert_eq!((reply.status, reply.text()), (200, ECHOED), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn content_types_that_the_protocol_does_not_know_are_415_in_plain_text() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for headers in [&[][..], &[("Content-Type", "application/xml")]] {
        let reply = client.request("POST", "/invocations", headers, ONE_ROW.as_bytes());
        assert_eq!(reply.status, 415);
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let charset = [("Content-Type", "application/json; charset=utf8")];
    let reply = client.request("POST", "/invocations", &charset, ONE_ROW.as_bytes());
    assert_eq!((reply.status, reply.text()), (415, "The scoring server only supports UTF-8"));
}

#[test]
fn a_model_that_panics_fails_its_request_and_nothing_else() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    let reply = client.post(r#"{"inputs": [[-1.0]]}"#);
    reply.assert_envelope(500, "INTERNAL_ERROR");
    assert!(!reply.text().contains("does not like"), "{}", reply.text());
    assert_eq!(client.post(ONE_ROW).text(), ECHOED);
}
