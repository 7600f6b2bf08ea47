//! A server that answers what a real one was recorded to answer, or what a test makes up.

#![allow(dead_code, reason = "each test binary uses the part that it needs")]

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flowgate::source::{Client, ClientOptions, RetryPolicy};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use url::Url;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// By lower-case name.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Announced in place of the body's own length.
    pub(crate) length: Option<usize>,
    pub(crate) pace: Pace,
}

/// How fast an answer is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    AtOnce,
    /// The body byte by byte, after such a pause each.
    Pause(Duration),
    /// Not even a head.
    Never,
}

/// How often a slow answer looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Answers are given in turn; the last one stays.
type Route = (String, Url, VecDeque<Answer>);

/// Dropping it ends its thread.
pub(crate) struct Fake {
    scheme: &'static str,
    address: SocketAddr,
    routes: Arc<Mutex<Vec<Route>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), length: None, pace: Pace::AtOnce }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    pub(crate) fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::serve("http", Ok)
    }

    /// One that speaks TLS.
    pub(crate) fn start_tls(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::serve("https", move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config));
            Ok(StreamOwned::new(connection.map_err(io::Error::other)?, stream))
        })
    }

    fn serve<S: Read + Write>(
        scheme: &'static str,
        dress: impl Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let routes: Arc<Mutex<Vec<Route>>> = Arc::default();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (known, log, ended) = (Arc::clone(&routes), Arc::clone(&requests), Arc::clone(&stop));
        let answer_all = move || {
            // A slow answer holds nobody else up.
            thread::scope(|scope| {
                for stream in listener.incoming().map_while(Result::ok) {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let (dress, known, log, ended) = (&dress, &known, &log, &ended);
                    scope.spawn(move || {
                        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                        // A client that leaves early has what it wanted, or does not trust us.
                        let _ = dress(stream)
                            .and_then(|mut stream| answer(&mut stream, known, log, ended));
                    });
                }
            });
        };
        let thread = thread::Builder::new().name("fake".to_owned()).spawn(answer_all).unwrap();
        Self { scheme, address, routes, requests, stop, thread: Some(thread) }
    }

    /// A server that gives these recorded answers, each to the request that it was an answer to.
    pub(crate) fn recorded(notes: &[&str]) -> Self {
        let fake = Self::start();
        for note in notes {
            fake.replay(note);
        }
        fake
    }

    /// From now on gives this recorded answer.
    pub(crate) fn replay(&self, note: &str) {
        let (method, path, answer) = recording(note);
        self.set(&method, &path, answer);
    }

    /// From now on answers so to requests whose path is this and whose query holds this query.
    pub(crate) fn set(&self, method: &str, target: &str, answer: Answer) {
        self.set_in_turn(method, target, [answer]);
    }

    /// The same with one answer after the other.
    pub(crate) fn set_in_turn(
        &self,
        method: &str,
        target: &str,
        answers: impl IntoIterator<Item = Answer>,
    ) {
        let target = parsed(target);
        let mut routes = lock(&self.routes);
        routes.retain(|(known, at, _)| known != method || *at != target);
        routes.push((method.to_owned(), target, answers.into_iter().collect()));
    }

    pub(crate) fn uri(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.options()).unwrap()
    }

    pub(crate) fn options(&self) -> ClientOptions {
        options(&self.uri())
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.requests))
    }

    /// The same, as `METHOD PATH?QUERY` with the prefix of MLflow's API cut off.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        let short = |request: Request| {
            format!("{} {}", request.method, request.target.replace("/api/2.0/mlflow/", ""))
        };
        self.asked().into_iter().map(short).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Options without secrets that ask once and wait ten seconds at most.
pub(crate) fn options(uri: &str) -> ClientOptions {
    ClientOptions {
        tracking_uri: Url::parse(uri).unwrap(),
        registry_uri: Url::parse(uri).unwrap(),
        credentials: None,
        ca_bundle: None,
        client_certificate: None,
        insecure_tls: false,
        workspace: None,
        timeout: Duration::from_secs(10),
        retry: RetryPolicy::NEVER,
    }
}

/// The method, the path and the answer of a recorded exchange, by its note; those of MLflow's own
/// client by its call and the path.
pub(crate) fn recording(note: &str) -> (String, String, Answer) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry/recorded.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let text_of = |line: &Value, names: [&str; 2]| {
        names.iter().find_map(|name| line[name].as_str()).unwrap_or_default().to_owned()
    };
    let line: Value = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| match line["note"].as_str() {
            Some(own) => own == note,
            None => {
                note == format!("{} {}", text_of(line, ["call", ""]), text_of(line, ["url", ""]))
            }
        })
        .unwrap_or_else(|| panic!("nothing is recorded as `{note}`"));
    let kind = line["response_headers"]["content-type"].as_str();
    let status = line["status"].as_u64().unwrap() as u16;
    let body = text_of(&line, ["response_body", "response"]);
    let answer = Answer::new(status, kind.unwrap_or("application/json"), body);
    (text_of(&line, ["method", "method"]), text_of(&line, ["path", "url"]), answer)
}

fn answer(
    stream: &mut (impl Read + Write),
    routes: &Mutex<Vec<Route>>,
    requests: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let Some(request) = read(stream)? else { return Ok(()) };
    let target = parsed(&request.target);
    let pairs: Vec<_> = target.query_pairs().collect();
    let found = lock(routes)
        .iter_mut()
        .filter(|(method, at, _)| *method == request.method && at.path() == target.path())
        .filter(|(_, at, _)| at.query_pairs().all(|pair| pairs.contains(&pair)))
        .max_by_key(|(_, at, _)| at.query_pairs().count())
        .and_then(|(_, _, answers)| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
    lock(requests).push(request);
    let answer = found.unwrap_or_else(|| Answer::new(404, "text/html", "Not Found"));
    if let Pace::Never = answer.pace {
        pause(Duration::MAX, stop);
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let length = answer.length.unwrap_or(answer.body.len());
    let _ = write!(head, "Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if let Pace::Pause(between) = answer.pace {
        for byte in answer.body {
            stream.flush()?;
            pause(between, stop);
            stream.write_all(&[byte])?;
        }
    } else {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

/// Waits so long, or until the fake ends.
fn pause(time: Duration, stop: &AtomicBool) {
    let start = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

fn read(stream: &mut impl Read) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Request { method, target, headers, body }))
}

fn parsed(target: &str) -> Url {
    Url::parse("http://fake").unwrap().join(target).unwrap()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
