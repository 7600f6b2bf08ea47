//! Asking a running server how it is, for those who have no other client: the health check of an
//! image without a shell. One connection, no runtime, no log.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config::{Config, Question};
use crate::server::AdminOptions;

use super::{Failure, say};

/// A server that takes longer is not well, and whoever asks waits no longer than a few seconds.
const TIME_MAX: Duration = Duration::from_secs(2);
/// More than any answer to a probe has.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Asks, prints the answer, and succeeds if it is yes.
pub(super) fn probe(config: &Config, question: Question) -> Result<ExitCode, Failure> {
    let Place { host, port, path } = Place::of(config, question)?;
    let name = question.name();
    let unanswered =
        |error: String| Failure::Failed(format!("not {name}: http://{host}:{port}{path}: {error}"));
    let bytes = ask(&host, port, &path).map_err(|error| unanswered(error.to_string()))?;
    match parse(&bytes) {
        None => Err(unanswered("what answers there is no HTTP server".to_owned())),
        Some((200, body)) => {
            say(body);
            Ok(ExitCode::SUCCESS)
        }
        Some((status, body)) => Err(Failure::Failed(format!("not {name}: {status} {body}"))),
    }
}

/// Where a question is asked.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    path: String,
}

impl Place {
    /// The admin port, or without one the data port, which is open while all is well.
    fn of(config: &Config, question: Question) -> Result<Self, Failure> {
        let (host, port, path) = match &config.admin {
            Some(AdminOptions { host, port }) => (host, *port, format!("/{}", question.name())),
            None => (&config.server.host, config.server.port, "/ping".to_owned()),
        };
        if port == 0 {
            return Err(Failure::Usage(
                "the port is 0, so any free one; name that of the server with --admin-port, or \
                 --port where it has no admin port"
                    .to_owned(),
            ));
        }
        // Who listens everywhere listens here.
        let host = match host.as_str() {
            "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            host => host,
        };
        Ok(Self { host: host.to_owned(), port, path })
    }
}

/// What the server sends, of the first address that takes the connection.
fn ask(host: &str, port: u16, path: &str) -> io::Result<Vec<u8>> {
    let until = Instant::now() + TIME_MAX;
    let mut failed = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => return converse(stream, path, until),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn converse(mut stream: TcpStream, path: &str, until: Instant) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(left(until)?))?;
    // `close`, so that the answer ends where the stream does.
    let head = "HTTP/1.1\r\nHost: flowgate\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("GET {path} {head}").as_bytes())?;
    let mut answer = stream.take(ANSWER_BYTES_MAX);
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        answer.get_ref().set_read_timeout(Some(left(until)?))?;
        match answer.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What Unix calls a timeout of a socket.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(late()),
            Err(error) => return Err(error),
        }
    }
}

/// Time until then, which is never zero.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn late() -> io::Error {
    let text = format!("no answer within {}", humantime::format_duration(TIME_MAX));
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Status and body of a whole answer.
fn parse(answer: &[u8]) -> Option<(u16, &str)> {
    let (head, body) = str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    Some((status.parse().ok()?, body.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Sources, parse_command};

    fn place(arguments: &str) -> Option<(String, u16, String)> {
        let line = format!("flowgate probe {arguments}");
        let invocation = parse_command(line.split_whitespace()).unwrap();
        let sources = Sources::merge(&invocation.flags, Vec::new(), &Environment::default(), None);
        let config = Config::check(&sources).unwrap();
        let place = Place::of(&config, invocation.question.unwrap()).ok()?;
        Some((place.host, place.port, place.path))
    }

    #[test]
    fn the_admin_port_is_asked_or_else_the_data_port() {
        let at = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        for (arguments, expected) in [
            ("", at("127.0.0.1", 8082, "/ready")),
            ("live --host 0.0.0.0", at("127.0.0.1", 8082, "/live")),
            ("--host ::", at("::1", 8082, "/ready")),
            ("--admin-host 10.0.0.7 --admin-port 9", at("10.0.0.7", 9, "/ready")),
            ("--admin-port off --port 7", at("127.0.0.1", 7, "/ping")),
            ("--admin-port 0", None),
            ("--admin-port off --port 0", None),
        ] {
            assert_eq!(place(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes\n", Some((200, "yes"))),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some((503, ""))),
            ("HTTP/1.1 200 OK\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("HTTP/1.1 \r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
