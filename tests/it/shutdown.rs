//! Stopping.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::{MODEL, Serving};
use crate::support::{Client, ECHOED, ONE_ROW, TestServer};

#[test]
fn who_asks_while_the_process_leaves_is_answered_and_sent_elsewhere() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    let reply = client.post(ONE_ROW);
    assert_eq!((reply.status, reply.header("connection")), (200, None));
    server.leaving.begin();
    let mut others = [server.client(), server.client()];

    let reply = client.post(ONE_ROW);
    assert_eq!((reply.text(), reply.header("connection")), (ECHOED, Some("close")));
    assert!(client.is_closed());
    // New connections are taken as before: not everybody has heard yet.
    let reply = others[0].post("not JSON");
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
    for path in ["/ping", "/health"] {
        let reply = server.client().request("GET", path, &[], b"");
        reply.assert_envelope(503, "TEMPORARILY_UNAVAILABLE");
        assert_eq!(reply.header("connection"), Some("close"));
    }
    let [_, idle] = &mut others;
    assert_eq!(idle.post(ONE_ROW).status, 200);
}

/// A row of the model's example, at the address, with a connection of its own.
fn ask(serving: &Serving) -> u16 {
    let body = fs::read(Path::new(MODEL).join("1/serving_input_example.json")).unwrap();
    let json = [("Content-Type", "application/json")];
    Client::connect(serving.address).request("POST", "/invocations", &json, &body).status
}

#[test]
fn probes_hear_of_the_end_first_and_the_port_closes_after_the_lame_duck() {
    let mut serving = Serving::start(&[MODEL, "--lame-duck", "2s"]);
    let mut probe = Client::connect(serving.admin());
    assert_eq!(probe.request("GET", "/ready", &[], b"").status, 200);
    let start = Instant::now();
    serving.signal("-TERM");
    while probe.request("GET", "/ready", &[], b"").status == 200 {
        assert!(start.elapsed() < Duration::from_secs(1), "still ready");
    }
    assert_eq!(probe.request("GET", "/live", &[], b"").status, 200);
    assert_eq!(ask(&serving), 200);
    assert_eq!(serving.wait(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(TcpStream::connect(serving.address).is_err());
}

#[test]
fn a_signal_while_the_first_version_loads_ends_the_process_in_order() {
    for millis in [0, 30, 60, 120, 240] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flowgate"))
            .args(["serve", MODEL, "--port", "0", "--admin-port", "off", "--cache-dir", "off"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("loading") {
            assert!(log.read_line(&mut line).unwrap() > 0, "{line}");
        }
        thread::sleep(Duration::from_millis(millis));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "after {millis} ms");
    }
}

#[test]
fn a_second_signal_ends_the_lame_duck() {
    let mut serving = Serving::start(&[MODEL, "--lame-duck", "1h"]);
    serving.signal("-TERM");
    assert_eq!(ask(&serving), 200);
    serving.signal("-INT");
    assert_eq!(serving.wait(), Some(0));
}

#[test]
fn a_client_that_never_finishes_holds_up_the_end_no_longer_than_allowed() {
    let (mut serving, log) = Serving::start_logged(&[MODEL, "--shutdown-timeout", "1s"]);
    let mut slow = TcpStream::connect(serving.address).unwrap();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    write!(slow, "{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n").unwrap();
    // The server has begun with it.
    slow.read_exact(&mut [0; 25]).unwrap();
    slow.write_all(b"{").unwrap();
    let start = Instant::now();
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let said = fs::read_to_string(log.path()).unwrap();
    assert!(said.contains("requests are cut off") && said.contains("requests=1"), "{said}");
}

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
