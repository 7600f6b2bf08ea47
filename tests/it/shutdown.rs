//! Stopping.

use crate::support::{ECHOED, ONE_ROW, TestServer};

#[test]
fn requests_in_flight_finish_and_every_thread_is_joined() {
    let mut server = TestServer::start_held(&[]);
    let mut client = server.client();
    let length = ONE_ROW.len();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    client.send(format!("{head}Content-Length: {length}\r\n\r\n{ONE_ROW}").as_bytes());
    server.gate.wait_for_arrivals(1);
    server.begin_stop();
    server.gate.open();
    assert_eq!(client.reply().text(), ECHOED);
    assert!(client.is_closed());
    assert_eq!(server.finish_stop(), 0);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let mut server = TestServer::start(&[("shutdown-timeout", "1h"), ("keep-alive", "1h")]);
    let mut client = server.client();
    assert_eq!(client.request("GET", "/ping", &[], b"").status, 200);
    server.begin_stop();
    assert_eq!(server.finish_stop(), 0);
    assert!(client.is_closed());
}
