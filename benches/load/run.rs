//! A run: threads with their event loops and connections, from start to the merged counts.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Barrier, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::{Builder, Runtime};

use super::arrivals::{Arrivals, Share};
use super::cli::Options;
use super::client::{Answer, Client, Failure};
use super::compare::{Tolerance, agrees};
use super::expected::Expected;
use super::process::Usage;
use super::tally::{Outcome, Tally, WrongAnswer};
use super::turns::{Times, Turns};

/// After a connection was refused the next attempt waits, so as not to hammer.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

/// What a run found.
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    /// When the window began, by the clock on the wall.
    pub(crate) began: SystemTime,
    /// Requests due in the window that no connection was free for until the end.
    pub(crate) unsent: u64,
    /// Our own use of the machine, at both ends of the window; `None` without `/proc`.
    pub(crate) own: Option<[Usage; 2]>,
    /// The server's, if its process is known.
    pub(crate) server: Option<[Usage; 2]>,
}

/// What is asked and what should be answered: the same for all threads.
struct Questions {
    address: SocketAddr,
    timeout: Duration,
    tolerance: Tolerance,
    requests: Vec<Vec<u8>>,
    expected: Expected,
}

/// Runs the load to its end.
///
/// # Errors
/// When the server's name does not resolve, its process is not there, or the system fails us. A
/// server that does not answer is a result, not an error.
pub(crate) fn run(options: &Options) -> io::Result<Measured> {
    let questions = Arc::new(Questions::new(options)?);
    // Fails now rather than at the window's start.
    options.server_pid.map(Usage::of_tree).transpose()?;
    let threads = options.threads.min(options.connections);
    let runtimes = (0..threads.get())
        .map(|_| Builder::new_current_thread().enable_all().build())
        .collect::<io::Result<Vec<_>>>()?;
    let connected = Barrier::new(runtimes.len() + 1);
    let times = OnceLock::new();
    let times = || {
        connected.wait();
        times.get_or_init(|| times_from(Instant::now(), options)).clone()
    };

    thread::scope(|scope| {
        let mut handles = Vec::with_capacity(runtimes.len());
        for (thread, runtime) in (0..).zip(runtimes) {
            let (questions, times) = (Arc::clone(&questions), &times);
            let share = Share { thread, threads };
            let work = move || work(&runtime, &questions, options, share, times);
            let builder = thread::Builder::new().name(format!("load-{thread}"));
            handles.push(builder.spawn_scoped(scope, work)?);
        }
        let times = times();
        let begin = usage_at(times.window.start, options)?;
        let began = SystemTime::now() - times.window.start.elapsed();
        let end = usage_at(times.window.end, options)?;

        let mut tally = Tally::new(times.window, options.samples.is_some());
        let mut unsent = 0;
        for handle in handles {
            let (more, left) =
                handle.join().map_err(|_| io::Error::other("a thread of ours panicked"))??;
            tally.merge(more);
            unsent += left;
        }
        let pair = |begin: Option<Usage>, end: Option<Usage>| Some([begin?, end?]);
        let (own, server) = (pair(begin.0, end.0), pair(begin.1, end.1));
        Ok(Measured { tally, began, unsent, own, server })
    })
}

fn times_from(start: Instant, options: &Options) -> Times {
    let begin = start + options.warmup;
    Times { start, window: begin..begin + options.duration }
}

/// Our own use of the machine and the server's, at `moment`.
fn usage_at(moment: Instant, options: &Options) -> io::Result<(Option<Usage>, Option<Usage>)> {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
    let own = Usage::of(std::process::id()).ok();
    Ok((own, options.server_pid.map(Usage::of_tree).transpose()?))
}

/// One thread: opens its connections, waits for the others, and lets each take its turns.
fn work(
    runtime: &Runtime,
    questions: &Arc<Questions>,
    options: &Options,
    share: Share,
    times: impl Fn() -> Times,
) -> io::Result<(Tally, u64)> {
    let own = connections_of(options.connections, share);
    let clients = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..own {
            let mut client = Client::new(questions.address, questions.timeout);
            client.connect().await;
            clients.push(client);
        }
        clients
    });
    let times = times();
    let keeps_samples = options.samples.is_some();
    let tally = Arc::new(Mutex::new(Tally::new(times.window.clone(), keeps_samples)));
    let arrivals = options.rate.and_then(|rate| Arrivals::new(rate, share));
    let turns = Arc::new(Turns::new(times, share, arrivals));
    runtime.block_on(async {
        let drive = |client| {
            let (turns, tally) = (Arc::clone(&turns), Arc::clone(&tally));
            tokio::spawn(drive(client, Arc::clone(questions), turns, tally))
        };
        let driven: Vec<_> = clients.into_iter().map(drive).collect();
        turns.call().await?;
        for task in driven {
            task.await.map_err(io::Error::other)?;
        }
        Ok::<_, io::Error>(())
    })?;
    let empty = Tally::new(turns.window(), false);
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((std::mem::replace(&mut tally, empty), turns.unsent()))
}

/// The thread's share of the connections: as even as it goes.
fn connections_of(connections: NonZeroU64, share: Share) -> u64 {
    let threads = share.threads.get();
    connections.get() / threads + u64::from(share.thread < connections.get() % threads)
}

/// One connection: takes turns until there are no more.
async fn drive(
    mut client: Client,
    questions: Arc<Questions>,
    turns: Arc<Turns>,
    tally: Arc<Mutex<Tally>>,
) {
    while let Some(turn) = turns.next().await {
        let body = (turn.number % questions.requests.len() as u64) as usize;
        let answer = client.ask(&questions.requests[body], turn.taken).await;
        let arrived = Instant::now();
        let outcome = questions.judge(body, answer);
        let refused = matches!(outcome, Outcome::Failed(Failure::Connect));
        // The event loop's one thread holds the lock only here: it is always free.
        tally.lock().unwrap_or_else(PoisonError::into_inner).record(&turn, outcome, arrived);
        if refused {
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }
}

impl Questions {
    fn new(options: &Options) -> io::Result<Self> {
        let content_type = ("Content-Type".to_owned(), options.content_type.clone());
        let headers: Vec<_> = [content_type].into_iter().chain(options.headers.clone()).collect();
        let request = |body: &Vec<u8>| options.target.request(&headers, body);
        Ok(Self {
            address: options.target.resolve()?,
            timeout: options.timeout,
            tolerance: options.tolerance,
            requests: options.bodies.iter().map(request).collect(),
            expected: Expected::new(options.expected.clone(), options.bodies.len()),
        })
    }

    fn judge(&self, body: usize, answer: Result<Answer<'_>, Failure>) -> Outcome {
        match answer {
            Ok(Answer { status: 200, version, body: got }) => {
                let answers = self.expected.of(version);
                let expected = answers[body].get_or_init(|| got.to_vec());
                if agrees(expected, got, self.tolerance) {
                    Outcome::Right(version)
                } else {
                    Outcome::Wrong(WrongAnswer::new(body, expected, got))
                }
            }
            Ok(Answer { status, .. }) => Outcome::Status(status),
            Err(failure) => Outcome::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::cli;

    /// A server that answers requests with these, in turn, on one connection for ever: a status,
    /// the version after a `@`, and a body.
    fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            for answer in answers.iter().cycle() {
                if !matches!(stream.read(&mut request), Ok(1..)) {
                    return;
                }
                let (status, body) = answer.split_once(' ').unwrap();
                let (status, version) = status.split_once('@').unwrap_or((status, "none"));
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nX-Model-Version: {version}\r\n\
                     Content-Length: {length}\r\n\r\n"
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        };
        thread::Builder::new().name("server".to_owned()).spawn(serve).unwrap();
        address
    }

    fn measured(address: SocketAddr, more: &[&str]) -> Measured {
        let body = concat!(env!("CARGO_MANIFEST_DIR"), "/rustfmt.toml");
        let url = format!("http://{address}/");
        let base = ["load", "--url", &url, "--connections", "1", "--duration", "200ms"];
        let rest = ["--warmup", "20ms", "--body", body];
        let words = base.iter().chain(&rest).chain(more);
        run(&cli::parse(words.map(Into::into)).unwrap()).unwrap()
    }

    #[test]
    fn a_closed_loop_counts_every_answer_as_what_it_is() {
        let measured = measured(server(&["200 [1]", "200 [1.0000001]", "200 [2]", "429 "]), &[]);
        let tally = measured.tally;
        assert!(tally.right_arrived > 0 && tally.wrong > 0 && tally.statuses[&429] > 0);
        let wrong = tally.first_wrong.unwrap();
        assert_eq!((wrong.body, &*wrong.expected, &*wrong.got), (0, "[1]", "[2]"));
        assert_eq!((measured.unsent, tally.failures.len()), (0, 0));
        assert_eq!(tally.refused.len(), tally.statuses[&429]);
    }

    #[test]
    fn each_version_may_answer_something_else() {
        let answers = &["200@1 [1]", "200@2 [2]", "200@1 [1.0000001]", "200@2 [1]"];
        let tally = measured(server(answers), &[]).tally;
        let wrong = tally.first_wrong.unwrap();
        assert_eq!((&*wrong.expected, &*wrong.got), ("[2]", "[1]"));
        assert!(tally.versions[&1] > tally.versions[&2] && tally.wrong > 0);
    }

    #[test]
    fn an_open_loop_sends_what_is_due_or_says_that_it_did_not() {
        let Measured { tally, unsent, .. } = measured(server(&["200 [1]"]), &["--rate", "100"]);
        assert_eq!(tally.right.len() + unsent, 20);
        assert_eq!(tally.late.len(), tally.right.len());
    }

    #[test]
    fn a_server_that_is_not_there_is_a_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let tally = measured(address, &[]).tally;
        assert!(tally.failures["connect"] > 0 && tally.statuses.is_empty());
    }

    #[test]
    fn connections_are_shared_out_evenly() {
        let count = |connections, threads| -> Vec<_> {
            let (connections, threads) =
                (NonZeroU64::new(connections).unwrap(), NonZeroU64::new(threads).unwrap());
            (0..threads.get())
                .map(|thread| connections_of(connections, Share { thread, threads }))
                .collect()
        };
        assert_eq!(count(5, 2), [3, 2]);
        assert_eq!(count(6, 3), [2, 2, 2]);
        assert_eq!(count(1, 1), [1]);
    }
}
