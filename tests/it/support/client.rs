//! An HTTP client that sends what it is told, byte by byte.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// By lower-case name.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // Far beyond anything a test waits for: a hang must fail, not hang.
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.set_write_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { stream }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes; false if the connection fails, or takes none of them for a minute.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Whether the other side has given the connection up.
    pub(crate) fn was_reset(&self) -> bool {
        let error = self.stream.take_error().unwrap();
        let probe = || (&self.stream).write_all(b"x").err();
        let broken = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        error.or_else(probe).is_some_and(|error| broken.contains(&error.kind()))
    }

    /// Reads one answer whose length is announced (or has no body).
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// Reads the answer to a request of that method: one to HEAD has no body.
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(self.stream.read(&mut byte).unwrap(), 1, "closed within a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.stream.read_exact(&mut body).unwrap();
        Reply { status, headers, body }
    }

    /// Whether the server has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// One request and its answer.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test:1\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
        // In one piece: what is sent in several waits for the other side's delayed acknowledgement.
        self.send(&[head.as_bytes(), body].concat());
        self.reply_to(method)
    }

    /// `POST /invocations` of a JSON body.
    pub(crate) fn post(&mut self, body: &str) -> Reply {
        self.post_coded(&[], body.as_bytes())
    }

    /// The same with more headers.
    pub(crate) fn post_coded(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.request("POST", "/invocations", &all, body)
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Checks for an error of that status in MLflow's envelope.
    pub(crate) fn assert_envelope(&self, status: u16, error_code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let envelope: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let keys: Vec<_> = envelope.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["error_code", "message", "sqlstate", "error_class"]);
        assert_eq!(envelope["error_code"], error_code);
    }
}

/// Compresses with gzip.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    flowgate::wire::coding::Coding::Gzip.encode(body).unwrap()
}
