//! More requests than the server takes.

use crate::support::{Client, ECHOED, ONE_ROW, TestServer};

fn begin_post(client: &mut Client) {
    let length = ONE_ROW.len();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    client.send(format!("{head}Content-Length: {length}\r\n\r\n{ONE_ROW}").as_bytes());
}

/// Starts a request and waits until it is in the queue.
fn queue_one(server: &TestServer, queued: usize) -> Client {
    let mut client = server.client();
    begin_post(&mut client);
    while server.pool.queued() < queued {
        std::thread::yield_now();
    }
    client
}

#[test]
fn a_full_queue_rejects_with_429_and_serves_what_it_admitted() {
    let server = TestServer::start_held(&[("queue-requests-max", "2")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let mut waiting = [queue_one(&server, 1), queue_one(&server, 2)];

    let rejected = server.client().post(ONE_ROW);
    rejected.assert_envelope(429, "RESOURCE_EXHAUSTED");
    assert_eq!(rejected.header("retry-after"), Some("1"));

    server.gate.open();
    assert_eq!(running.reply().text(), ECHOED);
    for client in &mut waiting {
        assert_eq!(client.reply().text(), ECHOED);
    }
}

#[test]
fn health_answers_while_every_inference_thread_is_busy() {
    let server = TestServer::start_held(&[]);
    let mut busy = server.client();
    begin_post(&mut busy);
    server.gate.wait_for_arrivals(1);
    assert_eq!(server.client().request("GET", "/ping", &[], b"").status, 200);
}

#[test]
fn a_request_whose_client_left_is_never_run() {
    let server = TestServer::start_held(&[]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let left = queue_one(&server, 1);
    let mut last = queue_one(&server, 2);
    drop(left);
    // The worker is one thread: once it has answered this, it has seen the other connection end.
    for _ in 0..10 {
        assert_eq!(server.client().request("GET", "/ping", &[], b"").status, 200);
    }
    server.gate.open();
    assert_eq!(last.reply().text(), ECHOED);
    assert_eq!(server.gate.arrivals(), 2);
}
