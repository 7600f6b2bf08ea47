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
    server.notice_departures();
    server.gate.open();
    assert_eq!(last.reply().text(), ECHOED);
    assert_eq!(server.gate.arrivals(), 2);
}

#[test]
fn a_client_that_leaves_frees_its_place_in_a_full_queue() {
    let server = TestServer::start_held(&[("queue-requests-max", "2")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let mut first = queue_one(&server, 1);
    let leaving = queue_one(&server, 2);
    assert_eq!(server.client().post(ONE_ROW).status, 429);
    drop(leaving);
    server.notice_departures();
    let mut last = server.client();
    begin_post(&mut last);
    // One waits still, and one more: nobody was turned away.
    while server.pool.queued() != 2 {
        std::thread::yield_now();
    }
    server.gate.open();
    for client in [&mut running, &mut first, &mut last] {
        assert_eq!(client.reply().text(), ECHOED);
    }
}

#[test]
fn requests_of_all_models_together_are_bounded() {
    let server = TestServer::start_held(&[("requests-max", "2")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let mut waiting = queue_one(&server, 1);
    let rejected = server.client().post(ONE_ROW);
    rejected.assert_envelope(429, "RESOURCE_EXHAUSTED");
    assert_eq!(rejected.header("retry-after"), Some("1"));
    assert_eq!(server.client().request("GET", "/ping", &[], b"").status, 200);
    server.gate.open();
    assert_eq!(running.reply().text(), ECHOED);
    assert_eq!(waiting.reply().text(), ECHOED);
    assert_eq!(server.client().post(ONE_ROW).text(), ECHOED);
}

#[test]
fn clients_that_leave_free_their_places_among_all_requests() {
    let server = TestServer::start_held(&[("requests-max", "4")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let leaving: Vec<_> = (1..=3).map(|i| queue_one(&server, i)).collect();
    assert_eq!(server.client().post(ONE_ROW).status, 429);
    drop(leaving);
    server.notice_departures();
    let mut last = server.client();
    begin_post(&mut last);
    while server.pool.queued() != 1 {
        std::thread::yield_now();
    }
    server.gate.open();
    assert_eq!(running.reply().text(), ECHOED);
    assert_eq!(last.reply().text(), ECHOED);
}

#[test]
fn requests_that_would_wait_too_long_are_turned_away() {
    // The gated model claims a millisecond a row.
    let server = TestServer::start_held(&[("queue-wait-max", "2ms")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    // What runs counts as well as what waits.
    let mut waiting: Vec<_> = (1..=2).map(|i| queue_one(&server, i)).collect();
    let rejected = server.client().post(ONE_ROW);
    rejected.assert_envelope(429, "RESOURCE_EXHAUSTED");
    assert_eq!(rejected.header("retry-after"), Some("1"));
    server.gate.open();
    for client in &mut waiting {
        assert_eq!(client.reply().text(), ECHOED);
    }
}

#[test]
fn what_waits_while_a_batch_runs_is_the_next_batch() {
    let server = TestServer::start_held(&[("batch-rows-max", "8")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let mut waiting: Vec<_> = (1..=5).map(|i| queue_one(&server, i)).collect();
    server.gate.open();
    for client in &mut waiting {
        assert_eq!(client.reply().text(), ECHOED);
    }
    assert_eq!(server.gate.arrivals(), 2);
}

#[test]
fn a_row_that_the_model_dislikes_fails_alone() {
    let server = TestServer::start_held(&[("batch-rows-max", "8")]);
    let mut running = server.client();
    begin_post(&mut running);
    server.gate.wait_for_arrivals(1);
    let mut good = queue_one(&server, 1);
    let bad = r#"{"inputs": [[-1.0]]}"#;
    let mut panics = server.client();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    panics.send(format!("{head}Content-Length: {}\r\n\r\n{bad}", bad.len()).as_bytes());
    while server.pool.queued() < 2 {
        std::thread::yield_now();
    }
    server.gate.open();
    assert_eq!(good.reply().text(), ECHOED);
    panics.reply().assert_envelope(500, "INTERNAL_ERROR");
}

#[test]
fn the_express_lane_answers_the_same() {
    let server = TestServer::start(&[("lane", "express"), ("batch-rows-max", "8")]);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.post(ONE_ROW).text(), ECHOED);
    }
    let reply = client.post(r#"{"inputs": [[-1.0]]}"#);
    reply.assert_envelope(500, "INTERNAL_ERROR");
    assert_eq!(client.post(ONE_ROW).text(), ECHOED);
}

#[test]
fn an_answer_says_where_its_time_went() {
    let server = TestServer::start(&[]);
    let reply = server.client().post(ONE_ROW);
    let timing = reply.header("server-timing").unwrap();
    let stages: Vec<_> = timing
        .split(", ")
        .map(|stage| {
            let (name, millis) = stage.split_once(";dur=").unwrap();
            assert!(millis.parse::<f64>().unwrap() >= 0.0);
            name
        })
        .collect();
    assert_eq!(stages, ["decode", "queue", "assemble", "execute", "encode"]);
}
