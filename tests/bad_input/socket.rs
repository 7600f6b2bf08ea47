//! Bytes on the socket that are no HTTP, or HTTP that lies. Any answer is fine, and none is: the
//! server has only to stay well.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::Target;
use crate::support::http;

/// Longest wait for an answer that need not come.
const PATIENCE: Duration = Duration::from_millis(500);
/// Connections of random bytes.
const CASES: u32 = 200;

/// Throws bytes at the socket, hangs up the sending side, and reads what comes for a while.
fn throw(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
    // The server may have hung up already; that is its right.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

#[test]
fn garbage_on_the_socket_does_not_end_the_server() {
    let target = RefCell::new(Target::start());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let head = prop_oneof![
        Just(Vec::new()),
        Just(b"POST /invocations HTTP/1.1\r\nHost: x\r\n".to_vec()),
        Just(b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ];
    let bytes = (head, prop::collection::vec(any::<u8>(), 0..400));
    let verdict = TestRunner::new(config).run(&bytes, |(mut bytes, tail)| {
        bytes.extend(tail);
        throw(target.borrow().server.address(), &bytes);
        target.borrow_mut().is_well().map_err(TestCaseError::fail)
    });
    verdict.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn requests_that_lie_do_not_end_the_server() {
    const POST: &str =
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let long = "a".repeat(1 << 20);
    let requests = [
        format!("{POST}Content-Length: -1\r\n\r\n{{}}"),
        format!("{POST}Content-Length: 99999999999999999999999\r\n\r\n{{}}"),
        format!("{POST}Content-Length: 10\r\nContent-Length: 11\r\n\r\n{{}}"),
        format!("{POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{POST}Content-Length: 1000\r\n\r\n{{}}"),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{{}}\r\n"),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n"),
        format!("{POST}X: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "POST /invocations/%ff%00%2f..%2f HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
        "\r\n\r\n\r\n".to_owned(),
        String::new(),
    ];
    let mut target = Target::start();
    for request in requests {
        throw(target.server.address(), request.as_bytes());
        let shown: String = request.chars().take(120).collect();
        target.is_well().unwrap_or_else(|what| panic!("{what} after {shown:?}"));
    }
}

#[test]
fn a_body_that_announces_too_much_is_refused_before_it_is_sent() {
    let target = Target::start();
    let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n{";
    let raw = http::exchange(target.server.address(), &[head.as_bytes()]).expect("it answers");
    let text = String::from_utf8_lossy(&raw);
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("error_code") && !text.contains("stack_trace"), "{text}");
}
