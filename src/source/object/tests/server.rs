//! A small HTTP server that answers as it is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

/// What a server does with a request, given by its first line.
type Handler = dyn Fn(&str) -> Answer + Send + Sync;

/// Status with reason, more headers, body.
pub(super) struct Answer(pub(super) &'static str, pub(super) &'static str, pub(super) Vec<u8>);

impl Answer {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self("200 OK", "", body.into())
    }

    pub(super) fn status(status: &'static str, body: &str) -> Self {
        Self(status, "", body.as_bytes().to_vec())
    }
}

/// A small HTTP server on a thread of its own; ends when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(handler: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, handler): (_, Box<Handler>) = (requests.clone(), Box::new(handler));
        let serve = move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // A connection without a request is the sign to end.
                let Some(request) = request(&stream) else { return };
                // Who has the answer finds the request.
                seen.lock().unwrap().push(request.clone());
                answer(&stream, &request, &handler);
            }
        };
        let thread = Builder::new().name("fake-store".to_owned()).spawn(serve).unwrap();
        Self { address, requests, thread: Some(thread) }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        self.thread.take().map(JoinHandle::join);
    }
}

/// Reads the head of one request.
fn request(stream: &TcpStream) -> Option<String> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

fn answer(mut stream: &TcpStream, head: &str, handler: &Handler) {
    let Answer(status, headers, body) = handler(head.lines().next().unwrap());
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\
         last-modified: Sat, 21 Nov 2026 05:00:00 GMT\r\netag: \"1\"\r\n{headers}\r\n"
    )
    .into_bytes();
    bytes.extend(body);
    // A client that has left is no fault of the server's.
    let _ = stream.write_all(&bytes);
}
