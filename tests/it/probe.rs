//! Asking a running server how it is, by the binary itself.

use crate::cli::{MODEL, Serving, run};

#[test]
fn a_probe_says_whether_the_server_is_ready() {
    let mut serving = Serving::start(&[MODEL]);
    let port = serving.admin().port().to_string();
    for (question, said) in [("ready", r#"{"status":"ready"}"#), ("live", r#"{"status":"live"}"#)] {
        let (code, stdout, stderr) = run(&["probe", question, "--admin-port", &port]);
        assert_eq!((code, stdout.trim_end()), (Some(0), said), "{stderr}");
        assert_eq!(stderr, "");
    }
    let data_port = serving.address.port().to_string();
    let (code, ..) = run(&["probe", "--admin-port", "off", "--port", &data_port]);
    assert_eq!(code, Some(0));
    // What is no probe's address answers 404.
    let (code, stdout, stderr) = run(&["probe", "--admin-port", &data_port]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("flowgate: not ready: 404 "), "{stderr}");
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0));
    let (code, _, stderr) = run(&["probe", "--admin-port", &port]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("not ready: http://127.0.0.1") && stderr.contains("refused"));
    assert_eq!(run(&["probe", "--admin-port", "0"]).0, Some(2));
}

#[test]
fn a_probe_waits_no_longer_than_a_few_seconds() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let (code, _, stderr) = run(&["probe", "live", "--admin-port", &port]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("not live") && stderr.contains("no answer within 2s"), "{stderr}");
}
