//! A client that asks the same again and again, on one connection.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
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
    /// Whether the server closes the connection behind it.
    pub(crate) closes: bool,
    pub(crate) body: Vec<u8>,
}

impl Asking {
    /// A connection for `POST /invocations` of a JSON body.
    pub(crate) fn connect(address: SocketAddr, body: &[u8]) -> Self {
        Self::try_connect(address, body).unwrap()
    }

    /// The same, where nobody may be there.
    pub(crate) fn try_connect(address: SocketAddr, body: &[u8]) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(Self { reader: BufReader::new(stream), path: "/invocations", body: body.to_vec() })
    }

    /// The same for another path.
    pub(crate) fn to(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// Sends its request and reads the answer, whose length is announced.
    pub(crate) fn ask(&mut self) -> Answer {
        self.try_ask(Duration::ZERO).unwrap()
    }

    /// The same, with that pause before the last byte, where the server may not be there any more.
    pub(crate) fn try_ask(&mut self, pause: Duration) -> io::Result<Answer> {
        let (path, length) = (self.path, self.body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), &self.body].concat();
        let stream = self.reader.get_mut();
        if pause.is_zero() {
            stream.write_all(&request)?;
        } else {
            let (most, last) = request.split_at(request.len() - 1);
            stream.write_all(most)?;
            thread::sleep(pause);
            stream.write_all(last)?;
        }
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        let mut next = |reader: &mut BufReader<TcpStream>| -> io::Result<String> {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed within a head"));
            }
            Ok(line.trim_end().to_ascii_lowercase())
        };
        let status = next(&mut self.reader)?.split(' ').nth(1).unwrap().parse().unwrap();
        let (mut version, mut closes, mut length) = (None, false, 0);
        loop {
            let line = next(&mut self.reader)?;
            match line.split_once(": ") {
                Some(("x-model-version", value)) => version = Some(value.parse().unwrap()),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(Answer { status, version, closes, body })
    }
}
