//! The threads of a run: one reads, several score, the caller's writes.
//!
//! The reader hands each block to the scoring threads and, in the order of the rows, the place
//! where its result will be to the writer. Both queues are bounded, so only so many blocks exist
//! at a time, and the writer sees them in order without sorting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use flume::{Receiver, RecvTimeoutError, Sender, bounded};

use super::block::{Block, Source};
use super::error::PredictError;

/// Blocks that wait for each scoring thread, or for the writer: enough to keep both busy.
const LOOK_AHEAD: usize = 2;

/// How often a wait looks whether somebody asked to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// Time for the runs of a graph that are under way when the rest is given up.
const SETTLE: Duration = Duration::from_secs(5);

type Reply<T> = Result<T, PredictError>;

/// A run under way, which makes a `T` of every block.
pub(super) struct Pipeline<T> {
    results: Receiver<Receiver<Reply<T>>>,
    /// Ends the threads early; theirs alone, since the one who asks may go on to use his.
    abandoned: Arc<AtomicBool>,
    reader: JoinHandle<()>,
    scorers: Vec<JoinHandle<()>>,
}

struct Work<T> {
    block: Block,
    reply: Sender<Reply<T>>,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Starts the threads `read` and `infer-0`, `infer-1`, ..., which `score` blocks.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(
        source: Box<dyn Source>,
        threads: usize,
        score: impl Fn(&Block) -> Reply<T> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (queue, inbox) = bounded::<Work<T>>(threads);
        let (order, results) = bounded(threads * LOOK_AHEAD);
        let abandoned = Arc::new(AtomicBool::new(false));
        let score = Arc::new(score);
        let scorers = (0..threads)
            .map(|i| {
                let (inbox, score) = (inbox.clone(), Arc::clone(&score));
                let abandoned = Arc::clone(&abandoned);
                Builder::new()
                    .name(format!("infer-{i}"))
                    .spawn(move || score_all(&inbox, &*score, &abandoned))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::clone(&abandoned);
        let reader = Builder::new()
            .name("read".to_owned())
            .spawn(move || read(source, &queue, &order, &stop))?;
        Ok(Self { results, abandoned, reader, scorers })
    }

    /// Hands every scored block to `write`, in order, until the last, the first error, or `stop`.
    ///
    /// # Errors
    /// The first one, of reading, scoring or writing.
    pub(super) fn drive(
        self,
        stop: &AtomicBool,
        mut write: impl FnMut(T) -> Result<(), PredictError>,
    ) -> Result<(), PredictError> {
        let result = loop {
            let scored = match wait(&self.results, stop) {
                Ok(result) => wait(&result, stop),
                Err(Ended::Finished) => break Ok(()),
                Err(ended) => Err(ended),
            };
            let written = match scored {
                Ok(scored) => scored.and_then(&mut write),
                Err(Ended::Stopped) => Err(PredictError::Stopped),
                // Who was to reply is gone without a word: it panicked.
                Err(Ended::Finished) => Err(PredictError::Panicked),
            };
            if written.is_err() {
                break written;
            }
        };
        if result.is_err() {
            self.abandon();
            return result;
        }
        // The queues have ended, so the threads have or are about to.
        let mut threads = self.scorers.into_iter().chain([self.reader]);
        threads.try_for_each(|thread| thread.join().map_err(|_| PredictError::Panicked))
    }

    /// Lets the threads end. The reader may wait for input for ever and is not waited for; the
    /// graph's runs are, since a process must not end in the middle of one.
    fn abandon(self) {
        self.abandoned.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + SETTLE;
        while let Ok(result) = self.results.try_recv() {
            let _ = result.recv_deadline(deadline);
        }
    }
}

/// Why a wait ended without a value.
enum Ended {
    /// Nobody is left who could send one.
    Finished,
    Stopped,
}

fn wait<T>(from: &Receiver<T>, stop: &AtomicBool) -> Result<T, Ended> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Ended::Stopped);
        }
        match from.recv_timeout(STOP_CHECK) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Ended::Finished),
        }
    }
}

/// Body of the reading thread.
fn read<T>(
    mut source: Box<dyn Source>,
    queue: &Sender<Work<T>>,
    order: &Sender<Receiver<Reply<T>>>,
    abandoned: &AtomicBool,
) {
    while !abandoned.load(Ordering::Relaxed) {
        let block = match source.next_block() {
            Ok(None) => return,
            Ok(Some(block)) => Ok(block),
            Err(error) => Err(error),
        };
        let (reply, result) = bounded(1);
        // Where the other side is gone, somebody else has an error to tell.
        if order.send(result).is_err() {
            return;
        }
        match block {
            Ok(block) => {
                if queue.send(Work { block, reply }).is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        }
    }
}

/// Body of a scoring thread.
fn score_all<T>(
    inbox: &Receiver<Work<T>>,
    score: impl Fn(&Block) -> Reply<T>,
    abandoned: &AtomicBool,
) {
    while let Ok(Work { block, reply }) = inbox.recv() {
        if abandoned.load(Ordering::Relaxed) {
            continue;
        }
        let _ = reply.send(score(&block));
    }
}
