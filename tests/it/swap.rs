//! Models that are replaced while requests run.

use crate::support::{ECHOED, ONE_ROW, TestServer};

#[test]
fn a_request_finishes_on_the_model_it_found_and_the_next_finds_the_new_one() {
    let server = TestServer::start_held(&[("inference-threads", "2")]);
    let json = [("Content-Type", "application/json")];
    let mut early = server.client();
    let length = ONE_ROW.len();
    let head = "POST /invocations/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    early.send(format!("{head}Content-Length: {length}\r\n\r\n{ONE_ROW}").as_bytes());
    server.gate.wait_for_arrivals(1);

    let gate = server.replace_model("other");
    gate.open();
    let mut late = server.client();
    for path in ["/invocations", "/invocations/other"] {
        let reply = late.request("POST", path, &json, ONE_ROW.as_bytes());
        assert_eq!((reply.status, reply.text()), (200, ECHOED), "{path}");
    }
    assert_eq!(late.request("POST", "/invocations/echo", &json, b"{}").status, 404);
    assert_eq!((gate.arrivals(), server.gate.arrivals()), (2, 1));

    server.gate.open();
    assert_eq!(early.reply().text(), ECHOED);
}
