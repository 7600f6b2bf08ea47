//! One connection: a request out, its answer in, kept open in between.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::answer::{BodyLength, Chunks, Head, Malformed};

/// Room for an answer from the start: more than most need, so that one read takes all of it.
const BUFFER_BYTES: usize = 16 * 1024;
/// The longest head and the longest answer that are read.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection came about.
    Connect,
    /// The connection ended before the answer was complete.
    Closed,
    /// What came is no HTTP/1.1 answer, or one beyond all bounds.
    Malformed,
    /// The answer was not complete in time.
    Timeout,
}

impl Failure {
    /// The word for it in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
        }
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A server's answer. It lies in the connection's buffer until the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) version: Option<u64>,
    pub(crate) body: &'a [u8],
}

/// A client with one connection, which it opens again when it has been lost.
pub(crate) struct Client {
    connection: Connection,
    timeout: Duration,
    /// Fires when a request may have timed out. It is not set for each request, which would cost
    /// more than it tells: when it fires, the time of the request then under way decides.
    watchdog: Pin<Box<Sleep>>,
}

impl Client {
    /// Made within an event loop.
    pub(crate) fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self {
            connection: Connection {
                address,
                stream: None,
                buffer: Vec::with_capacity(BUFFER_BYTES),
                chunks: Chunks::default(),
            },
            timeout,
            watchdog: Box::pin(sleep_until((Instant::now() + timeout).into())),
        }
    }

    /// Opens the connection ahead of the first request. If that fails the request will say so.
    pub(crate) async fn connect(&mut self) {
        let _ = tokio::time::timeout(self.timeout, self.connection.open()).await;
    }

    /// Sends a whole request, at `now`, and waits for its answer.
    pub(crate) async fn ask(
        &mut self,
        request: &[u8],
        now: Instant,
    ) -> Result<Answer<'_>, Failure> {
        let deadline = now + self.timeout;
        let outcome = tokio::select! {
            biased;
            outcome = self.connection.converse(request) => outcome,
            () = passed(self.watchdog.as_mut(), deadline) => Err(Failure::Timeout),
        };
        match outcome {
            Ok(head) => {
                if head.close {
                    self.connection.stream = None;
                }
                let Head { status, version, .. } = head;
                Ok(Answer { status, version, body: self.connection.body(&head) })
            }
            Err(failure) => {
                self.connection.stream = None;
                Err(failure)
            }
        }
    }
}

/// Returns at `deadline`. The timer may still be set for an earlier one.
async fn passed(mut timer: Pin<&mut Sleep>, deadline: Instant) {
    loop {
        timer.as_mut().await;
        if Instant::now() >= deadline {
            return;
        }
        timer.as_mut().reset(deadline.into());
    }
}

struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// The answer as it came.
    buffer: Vec<u8>,
    /// Its body, if it came in chunks.
    chunks: Chunks,
}

impl Connection {
    /// The open connection, or a new one.
    async fn open(&mut self) -> io::Result<&mut TcpStream> {
        // A server closes connections that idle; nothing else can have come unasked. This asks the
        // system only when the event loop has seen something.
        let would_block = |stream: &TcpStream| {
            let read = stream.try_read(&mut [0]);
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        match self.stream.take() {
            Some(stream) if would_block(&stream) => Ok(self.stream.insert(stream)),
            _ => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                Ok(self.stream.insert(stream))
            }
        }
    }

    /// Sends a request and reads its answer into the buffer.
    async fn converse(&mut self, request: &[u8]) -> Result<Head, Failure> {
        let stream = self.open().await.map_err(|_| Failure::Connect)?;
        stream.write_all(request).await.map_err(|_| Failure::Closed)?;
        self.buffer.clear();
        let head = loop {
            self.read_more(HEAD_BYTES_MAX).await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        match head.body {
            BodyLength::Known(length) => {
                let end = head.bytes.saturating_add(length);
                if end > ANSWER_BYTES_MAX {
                    return Err(Failure::Malformed);
                }
                // One byte too many: see `read`.
                self.buffer.reserve((end + 1).saturating_sub(self.buffer.len()));
                while self.buffer.len() < end {
                    self.read_more(end).await?;
                }
                if self.buffer.len() > end {
                    return Err(Failure::Malformed);
                }
            }
            BodyLength::Chunked => {
                self.chunks = Chunks::default();
                while !self.chunks.take(&self.buffer[head.bytes..])? {
                    self.read_more(ANSWER_BYTES_MAX).await?;
                }
            }
            BodyLength::UntilClose => {
                while self.read().await? > 0 {
                    if self.buffer.len() > ANSWER_BYTES_MAX {
                        return Err(Failure::Malformed);
                    }
                }
                return Ok(Head { close: true, ..head });
            }
        }
        Ok(head)
    }

    /// Reads some more of an answer that is longer than what is there, and no longer than `max`.
    async fn read_more(&mut self, max: usize) -> Result<(), Failure> {
        if self.buffer.len() >= max {
            return Err(Failure::Malformed);
        }
        if self.read().await? == 0 { Err(Failure::Closed) } else { Ok(()) }
    }

    /// Reads what there is; 0 at the end.
    async fn read(&mut self) -> Result<usize, Failure> {
        let stream = self.stream.as_mut().ok_or(Failure::Closed)?;
        // A read that leaves room tells the event loop, without asking the system again, that
        // nothing more is there.
        self.buffer.reserve(1);
        stream.read_buf(&mut self.buffer).await.map_err(|_| Failure::Closed)
    }

    fn body(&self, head: &Head) -> &[u8] {
        match head.body {
            BodyLength::Chunked => &self.chunks.body,
            BodyLength::Known(_) | BodyLength::UntilClose => &self.buffer[head.bytes..],
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// Short enough to cut every answer below in two.
    const PIECE_BYTES: usize = 10;

    /// A server that answers each connection's requests with these texts, in pieces, and then
    /// closes it.
    async fn server(scripts: Vec<Vec<&'static str>>) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            for answers in scripts {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut request = [0; 1024];
                    assert!(stream.read(&mut request).await.unwrap() > 0);
                    for piece in answer.as_bytes().chunks(PIECE_BYTES) {
                        stream.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
        (address, task)
    }

    async fn ask(client: &mut Client) -> Result<(u16, String), Failure> {
        let answer = client.ask(b"POST / HTTP/1.1\r\n\r\n", Instant::now()).await?;
        Ok((answer.status, String::from_utf8(answer.body.to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn answers_of_every_length_are_read_from_one_connection() {
        let (address, served) = server(vec![vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
            "HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[2\r\n1\r\n]\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n[3]",
        ]])
        .await;
        let mut client = Client::new(address, LONG);
        client.connect().await;
        for (status, body) in [(200, "[1]"), (429, ""), (200, "[2]"), (200, "[3]")] {
            assert_eq!(ask(&mut client).await, Ok((status, body.to_owned())));
        }
        // It accepts one connection only.
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_connection_is_opened_again() {
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1";
        let (address, _served) = server(vec![vec![closing], vec![closing]]).await;
        let mut client = Client::new(address, LONG);
        for _ in 0..2 {
            assert_eq!(ask(&mut client).await, Ok((200, "1".to_owned())));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_or_none_is_a_failure_of_its_kind() {
        for (text, failure) in [
            ("", Failure::Closed),
            ("HTTP/1.1 200", Failure::Closed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[", Failure::Closed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[]", Failure::Malformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[]", Failure::Malformed),
            ("SSH-2.0-x\r\n", Failure::Malformed),
        ] {
            let (address, _served) = server(vec![vec![text]]).await;
            let mut client = Client::new(address, LONG);
            assert_eq!(ask(&mut client).await, Err(failure), "{text}");
        }
    }

    #[tokio::test]
    async fn without_a_server_the_failure_is_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut client = Client::new(address, LONG);
        client.connect().await;
        assert_eq!(ask(&mut client).await, Err(Failure::Connect));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_a_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = Client::new(listener.local_addr().unwrap(), Duration::ZERO);
        assert_eq!(ask(&mut client).await, Err(Failure::Timeout));
    }
}
