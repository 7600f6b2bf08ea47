//! Request and answer bodies: limits, compression, damage.

use flowgate::wire::coding::Coding;

use crate::support::{ECHOED, ONE_ROW, TestServer, gzip};

#[test]
fn a_body_that_announces_too_much_is_refused_before_it_is_sent() {
    let server = TestServer::start(&[("body-bytes-max", "1KiB")]);
    let mut client = server.client();
    client.send(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    let reply = client.reply();
    reply.assert_envelope(413, "BAD_REQUEST");
    assert!(reply.text().contains("1024 bytes"), "{}", reply.text());
}

#[test]
fn a_chunked_body_is_refused_when_it_grows_too_large() {
    let server = TestServer::start(&[("body-bytes-max", "1KiB")]);
    let mut client = server.client();
    client.send(b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"200\r\n", &[b' '; 0x200][..], b"\r\n"].concat();
    // The end of the body is never sent: the answer does not wait for it.
    for _ in 0..3 {
        client.send(&chunk);
    }
    client.reply().assert_envelope(413, "BAD_REQUEST");
}

#[test]
fn bodies_up_to_the_limit_are_read_whole_however_they_are_cut() {
    let server = TestServer::start(&[("body-bytes-max", "1KiB")]);
    let body = format!("{ONE_ROW:1024}");
    assert_eq!(server.client().post(&body).text(), ECHOED);

    let mut client = server.client();
    client.send(
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    );
    for piece in body.as_bytes().chunks(100) {
        client.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.reply().text(), ECHOED);
}

#[test]
fn memory_of_all_requests_together_is_bounded_and_free_when_their_clients_leave() {
    let limits = [("body-bytes-max", "256KiB"), ("requests-bytes-max", "4MiB")];
    let server = TestServer::start_held(&limits);
    let mut running = server.client();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let post = |body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    running.send(post(ONE_ROW).as_bytes());
    server.gate.wait_for_arrivals(1);

    let body = format!("{ONE_ROW}{}", " ".repeat((256 << 10) - ONE_ROW.len()));
    let wait = |i| {
        let mut client = server.client();
        client.send(post(&body).as_bytes());
        while server.pool.queued() <= i {
            std::thread::yield_now();
        }
        client
    };
    let waiting: Vec<_> = (0..15).map(wait).collect();
    let refused = server.client().post(&body);
    refused.assert_envelope(429, "RESOURCE_EXHAUSTED");
    assert_eq!(refused.header("retry-after"), Some("1"));

    drop(waiting);
    server.notice_departures();
    // Nobody waits for what they held.
    let mut last = server.client();
    last.send(post(&body).as_bytes());
    while server.pool.queued() != 1 {
        std::thread::yield_now();
    }
    server.gate.open();
    assert_eq!(running.reply().text(), ECHOED);
    assert_eq!(last.reply().text(), ECHOED);
}

#[test]
fn a_request_that_could_never_be_decoded_is_413() {
    let limits = [("body-bytes-max", "256KiB"), ("requests-bytes-max", "256KiB")];
    let server = TestServer::start(&limits);
    let body = format!("{ONE_ROW}{}", " ".repeat((256 << 10) - ONE_ROW.len()));
    server.client().post(&body).assert_envelope(413, "BAD_REQUEST");
    assert_eq!(server.client().post(ONE_ROW).text(), ECHOED);
}

#[test]
fn a_chunked_body_without_end_does_not_keep_the_connection() {
    let server = TestServer::start(&[("head-timeout", "100ms"), ("keep-alive", "100ms")]);
    for path in ["/nope", "/ping"] {
        let mut client = server.client();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(head.as_bytes());
        client.send(b"1\r\na\r\n");
        assert!(client.reply().status >= 404, "{path}");
        assert!(client.is_closed(), "{path}");
    }
}

#[test]
fn unusual_bodies_wait_for_an_inference_thread() {
    let server = TestServer::start_held(&[]);
    let mut running = server.client();
    let head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let post = |body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    running.send(post(ONE_ROW).as_bytes());
    server.gate.wait_for_arrivals(1);
    let mut unusual = server.client();
    unusual.send(post(r#"{"dataframe_split": {"data": [1, [2]]}}"#).as_bytes());
    while server.pool.queued() < 1 {
        std::thread::yield_now();
    }
    server.gate.open();
    assert_eq!(running.reply().status, 200);
    assert_eq!(unusual.reply().status, 400);
}

#[test]
fn large_bodies_are_decoded_on_an_inference_thread_with_the_same_answer() {
    let server = TestServer::start(&[]);
    let body = format!("{ONE_ROW}{}", " ".repeat(200_000));
    assert_eq!(server.client().post(&body).text(), ECHOED);
}

#[test]
fn compressed_bodies_are_read() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for coding in Coding::ALL {
        let packed = coding.encode(ONE_ROW.as_bytes()).unwrap();
        let reply = client.post_coded(&[("Content-Encoding", coding.name())], &packed);
        assert_eq!((reply.status, reply.text()), (200, ECHOED), "{coding:?}");
    }
}

#[test]
fn a_decompression_bomb_is_413() {
    let server = TestServer::start(&[("body-bytes-max", "1MiB")]);
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 1 << 20);
    let reply = server.client().post_coded(&[("Content-Encoding", "gzip")], &bomb);
    reply.assert_envelope(413, "BAD_REQUEST");
}

#[test]
fn damaged_compression_is_400_and_unknown_compression_415() {
    let server = TestServer::start(&[]);
    let mut client = server.client();
    for coding in Coding::ALL {
        let headers = [("Content-Encoding", coding.name())];
        client.post_coded(&headers, ONE_ROW.as_bytes()).assert_envelope(400, "BAD_REQUEST");
    }
    let reply = client.post_coded(&[("Content-Encoding", "compress")], ONE_ROW.as_bytes());
    assert_eq!(reply.status, 415);
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn answers_are_compressed_for_those_who_ask_and_only_if_large() {
    let server = TestServer::start(&[("compress-bytes-min", "1KiB")]);
    let mut client = server.client();
    let rows = vec!["[1.5]"; 1000].join(", ");
    let many = format!("{{\"inputs\": [{rows}]}}");
    let plain = client.post(&many);
    assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
    for coding in Coding::ALL {
        let headers = [("Accept-Encoding", coding.name())];
        let packed = client.post_coded(&headers, many.as_bytes());
        assert_eq!(packed.header("content-encoding"), Some(coding.name()));
        assert_eq!(coding.decode(&packed.body, 1 << 20).unwrap(), plain.body, "{coding:?}");
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
        let small = client.post_coded(&headers, ONE_ROW.as_bytes());
        assert_eq!((small.header("content-encoding"), small.text()), (None, ECHOED));
    }
    let refused = [("Accept-Encoding", "identity;q=0, *;q=0")];
    assert_eq!(client.post_coded(&refused, ONE_ROW.as_bytes()).text(), ECHOED);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 256,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn no_bytes_are_the_servers_fault(
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        json in ".{0,200}",
        kind in 0_usize..3,
        coding in 0_usize..5,
    ) {
        thread_local! {
            static SERVER: TestServer = TestServer::start(&[]);
        }
        let types = ["application/json", "text/csv", "application/vnd.apache.parquet"];
        let codings = ["identity", "gzip", "deflate", "br", "zstd"];
        let headers = [("Content-Type", types[kind]), ("Content-Encoding", codings[coding])];
        SERVER.with(|server| {
            let mut client = server.client();
            for body in [body.as_slice(), json.as_bytes()] {
                let reply = client.request("POST", "/invocations", &headers, body);
                assert!(reply.status < 500, "{} {}", reply.status, reply.text());
            }
        });
    }
}
