//! A client that asks the same again and again, on one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that stays open, and the one request that it sends. Whatever goes wrong with it
/// ends the test.
pub(crate) struct Asking {
    reader: BufReader<TcpStream>,
    path: &'static str,
    body: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The version that made it, if it says so.
    pub(crate) version: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Asking {
    /// A connection for `POST /invocations` of a JSON body.
    pub(crate) fn connect(address: SocketAddr, body: &[u8]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { reader: BufReader::new(stream), path: "/invocations", body: body.to_vec() }
    }

    /// The same for another path.
    pub(crate) fn to(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// Sends its request and reads the answer, whose length is announced.
    pub(crate) fn ask(&mut self) -> Answer {
        let (path, length) = (self.path, self.body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), &self.body].concat();
        self.reader.get_mut().write_all(&request).unwrap();
        let mut line = String::new();
        let mut next = |reader: &mut BufReader<TcpStream>| -> String {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "closed within a head");
            line.trim_end().to_ascii_lowercase()
        };
        let status = next(&mut self.reader).split(' ').nth(1).unwrap().parse().unwrap();
        let (mut version, mut length) = (None, 0);
        loop {
            let line = next(&mut self.reader);
            match line.split_once(": ") {
                Some(("x-model-version", value)) => version = Some(value.parse().unwrap()),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        Answer { status, version, body }
    }
}
