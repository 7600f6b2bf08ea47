//! A raw HTTP/1.1 client over one `TcpStream` a request. It sends exactly the headers it is given
//! (an absent `Content-Type` stays absent, which no ordinary client allows), closes its writing
//! side never, and reads what comes back.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for the server to take or to send anything.
const IO_TIMEOUT: Duration = Duration::from_mins(1);

/// An answer, its framing undone.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request and reads its answer. `Host`, `Connection: close` and, where there is a
/// body or the method expects one, `Content-Length` are the only headers added.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<Response> {
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let raw = exchange(address, &[head.as_bytes(), body])?;
    parse(&raw, method == "HEAD").ok_or_else(|| {
        let start = String::from_utf8_lossy(&raw[..raw.len().min(200)]).into_owned();
        io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {start:?}"))
    })
}

/// Writes raw bytes and returns whatever the server sends until it closes the connection.
/// A server that stops reading early (it refuses a body by its length) is no error.
pub(crate) fn exchange(address: SocketAddr, parts: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let written = parts.iter().try_for_each(|part| stream.write_all(part));
    let mut raw = Vec::new();
    match stream.read_to_end(&mut raw) {
        // A reset after the answer is how an early refusal ends while we still write.
        Err(_) if !raw.is_empty() => Ok(raw),
        Err(error) => Err(error),
        Ok(_) if raw.is_empty() => written.map(|()| raw),
        Ok(_) => Ok(raw),
    }
}

fn parse(raw: &[u8], head_only: bool) -> Option<Response> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status, headers, body: Vec::new() };
    if status == 100 {
        return parse(&raw[end + 4..], head_only);
    }
    if head_only {
        return Some(response);
    }
    let rest = &raw[end + 4..];
    response.body = if response.header("transfer-encoding") == Some("chunked") {
        unchunk(rest)?
    } else if let Some(length) = response.header("content-length") {
        let length: usize = length.parse().ok()?;
        // Fewer bytes than announced is a broken answer, and so is one more.
        (rest.len() == length).then(|| rest.to_vec())?
    } else {
        rest.to_vec()
    };
    Some(response)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|window| window == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..line_end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line_end + 2;
        body.extend_from_slice(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
    }
}
