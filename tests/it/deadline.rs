//! Requests that take too long, on either side.

use crate::support::{ECHOED, ONE_ROW, TestServer};

const TIMEOUT_TEXT: &str = "Request processing time exceeded limit";

#[test]
fn a_run_that_takes_too_long_is_504_with_mlflows_text() {
    let server = TestServer::start_held(&[("timeout", "100ms")]);
    let mut client = server.client();
    let reply = client.post(ONE_ROW);
    assert_eq!((reply.status, reply.text()), (504, TIMEOUT_TEXT));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    server.gate.open();
    assert_eq!(client.post(ONE_ROW).text(), ECHOED);
}

#[test]
fn a_client_says_how_long_it_waits_but_not_beyond_the_servers_limit() {
    let server = TestServer::start_held(&[("timeout", "1h")]);
    let reply = server.client().post_coded(&[("x-request-timeout-ms", "50")], ONE_ROW.as_bytes());
    assert_eq!((reply.status, reply.text()), (504, TIMEOUT_TEXT));
    let server = TestServer::start_held(&[("timeout", "50ms")]);
    let long = [("X-Request-Timeout-Ms", "3600000")];
    assert_eq!(server.client().post_coded(&long, ONE_ROW.as_bytes()).status, 504);
}

#[test]
fn a_limit_that_makes_no_sense_is_400_and_names_the_header() {
    let server = TestServer::start(&[]);
    for value in ["0", "-1", "1.5", "soon", "", "1e3", "99999999999999999999999"] {
        let headers = [("x-request-timeout-ms", value)];
        let reply = server.client().post_coded(&headers, ONE_ROW.as_bytes());
        reply.assert_envelope(400, "BAD_REQUEST");
        assert!(reply.text().contains("x-request-timeout-ms"), "{}", reply.text());
    }
    let most = u64::MAX.to_string();
    let headers = [("x-request-timeout-ms", most.as_str())];
    assert_eq!(server.client().post_coded(&headers, ONE_ROW.as_bytes()).text(), ECHOED);
}

#[test]
fn a_request_that_expires_in_the_queue_is_never_run() {
    let server = TestServer::start_held(&[("timeout", "100ms")]);
    // The first occupies the one thread, the second waits behind it; both expire.
    assert_eq!(server.client().post(ONE_ROW).status, 504);
    assert_eq!(server.client().post(ONE_ROW).status, 504);
    server.gate.open();
    assert_eq!(server.client().post(ONE_ROW).text(), ECHOED);
    assert_eq!(server.gate.arrivals(), 2);
}

#[test]
fn a_body_that_never_ends_is_504() {
    let server = TestServer::start(&[("timeout", "100ms")]);
    let mut client = server.client();
    client.send(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text()), (504, TIMEOUT_TEXT));
}

#[test]
fn a_head_that_never_ends_is_408_and_closes_the_connection() {
    let server = TestServer::start(&[("head-timeout", "100ms")]);
    let mut client = server.client();
    client.send(b"POST /invocations HTTP/1.1\r\nHost:");
    assert_eq!(client.reply().status, 408);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_reads_no_answer_loses_its_connection() {
    let server = TestServer::start(&[("timeout", "1s")]);
    let mut client = server.client();
    // Answers pile up, unread, until the sockets are full; then the server takes no more requests.
    let pings = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    while client.try_send(&pings) {}
    assert!(client.was_reset());
}

#[test]
fn an_idle_connection_is_closed() {
    let server = TestServer::start(&[("keep-alive", "100ms")]);
    let mut client = server.client();
    assert_eq!(client.request("GET", "/ping", &[], b"").status, 200);
    assert!(client.is_closed());
}
