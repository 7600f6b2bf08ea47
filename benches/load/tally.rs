//! What came of the requests: counts, latencies, the first wrong answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::client::Failure;
use super::turns::Turn;

/// Latencies are kept in nanoseconds, up to an hour, to three digits.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
const LATENCY_DIGITS: u8 = 3;
/// Bytes of a wrong answer that are shown.
const SHOWN_BYTES_MAX: usize = 300;

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Status 200 and the expected body, of that version where the server says so.
    Right(Option<u64>),
    /// Status 200 and another body.
    Wrong(WrongAnswer),
    /// Any other status.
    Status(u16),
    Failed(Failure),
}

/// A 200 that says something else than was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongAnswer {
    /// Place of the request's body among the bodies, from 0.
    pub(crate) body: usize,
    /// The beginnings of the two texts.
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl WrongAnswer {
    pub(crate) fn new(body: usize, expected: &[u8], got: &[u8]) -> Self {
        let shown = |text: &[u8]| {
            String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]).into_owned()
        };
        Self { body, expected: shown(expected), got: shown(got) }
    }
}

/// One right answer to a request that was due in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    /// After the window began.
    due: Duration,
    latency: Duration,
    version: Option<u64>,
}

/// Counts of a thread, or of all of them.
pub(crate) struct Tally {
    window: Range<Instant>,
    /// From due to answered, of the right answers.
    pub(crate) right: Histogram<u64>,
    /// The same of refusals: 429, 503 and 504.
    pub(crate) refused: Histogram<u64>,
    /// From due to sent, of all requests.
    pub(crate) late: Histogram<u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    /// Right answers that arrived in the window, whenever they were due.
    pub(crate) right_arrived: u64,
    /// Answers of any kind that arrived in the window.
    pub(crate) arrived: u64,
    /// Wrong answers in the whole run, the warm-up included.
    pub(crate) wrong: u64,
    pub(crate) first_wrong: Option<WrongAnswer>,
    /// Right answers of the window by version.
    pub(crate) versions: BTreeMap<u64, u64>,
    /// Each right answer, if they are kept.
    samples: Option<Vec<Sample>>,
}

impl Tally {
    /// For requests due in `window`, with or without each of them.
    pub(crate) fn new(window: Range<Instant>, keeps_samples: bool) -> Self {
        let histogram = || {
            Histogram::new_with_max(LATENCY_NS_MAX, LATENCY_DIGITS)
                .expect("the bounds are constants that it accepts")
        };
        Self {
            window,
            right: histogram(),
            refused: histogram(),
            late: histogram(),
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            right_arrived: 0,
            arrived: 0,
            wrong: 0,
            first_wrong: None,
            versions: BTreeMap::new(),
            samples: keeps_samples.then(Vec::new),
        }
    }

    pub(crate) fn record(&mut self, turn: &Turn, outcome: Outcome, arrived: Instant) {
        let counts = self.window.contains(&turn.due);
        let arrived_in_time = self.window.contains(&arrived);
        if counts {
            note(&mut self.late, turn.taken - turn.due);
        }
        let latency = arrived - turn.due;
        let status = match outcome {
            Outcome::Right(version) => {
                if counts {
                    note(&mut self.right, latency);
                    if let Some(version) = version {
                        *self.versions.entry(version).or_default() += 1;
                    }
                    if let Some(samples) = &mut self.samples {
                        let due = turn.due - self.window.start;
                        samples.push(Sample { due, latency, version });
                    }
                }
                self.right_arrived += u64::from(arrived_in_time);
                200
            }
            Outcome::Wrong(answer) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert(answer);
                200
            }
            Outcome::Status(status) => {
                if counts && matches!(status, 429 | 503 | 504) {
                    note(&mut self.refused, latency);
                }
                status
            }
            Outcome::Failed(failure) => {
                if counts {
                    *self.failures.entry(failure.name()).or_default() += 1;
                }
                return;
            }
        };
        self.arrived += u64::from(arrived_in_time);
        if counts {
            *self.statuses.entry(status).or_default() += 1;
        }
    }

    /// Adds another thread's counts.
    pub(crate) fn merge(&mut self, other: Self) {
        let same = "all histograms have the same bounds";
        self.right.add(other.right).expect(same);
        self.refused.add(other.refused).expect(same);
        self.late.add(other.late).expect(same);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        for (version, count) in other.versions {
            *self.versions.entry(version).or_default() += count;
        }
        if let (Some(samples), Some(more)) = (&mut self.samples, other.samples) {
            samples.extend(more);
        }
        self.right_arrived += other.right_arrived;
        self.arrived += other.arrived;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }

    /// Writes what was kept of each right answer, in the order in which they were due.
    ///
    /// # Errors
    /// When the file cannot be written; the error names it.
    pub(crate) fn write_samples(&self, path: &Path) -> io::Result<()> {
        let mut samples = self.samples.clone().unwrap_or_default();
        samples.sort_unstable();
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(path)?);
            writeln!(file, "due_us,latency_us,version")?;
            for Sample { due, latency, version } in &samples {
                let version = version.map(|version| version.to_string()).unwrap_or_default();
                writeln!(file, "{},{},{version}", due.as_micros(), latency.as_micros())?;
            }
            file.flush()
        };
        write().map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    }
}

fn note(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A tally of the second from 1 s on, and a turn due so many ms after the beginning.
    fn tally() -> (Tally, impl Fn(u32) -> Turn) {
        let start = Instant::now();
        let tally = Tally::new(start + 1_000 * MS..start + 2_000 * MS, true);
        let turn = move |due_ms: u32| {
            let due = start + due_ms * MS;
            Turn { number: 0, due, taken: due + 3 * MS }
        };
        (tally, turn)
    }

    #[test]
    fn latencies_are_of_requests_due_in_the_window_and_rates_of_answers_that_arrive_in_it() {
        let (mut tally, turn) = tally();
        for (due, latency) in [(100, 5), (990, 20), (1_000, 10), (1_995, 500), (2_000, 1)] {
            let turn = turn(due);
            tally.record(&turn, Outcome::Right(None), turn.due + latency * MS);
        }
        assert_eq!((tally.right.len(), tally.statuses[&200]), (2, 2));
        assert_eq!(tally.right.max() / 1_000_000, 500);
        assert_eq!((tally.right_arrived, tally.arrived), (2, 2));
        assert_eq!((tally.late.len(), tally.late.min() / 1_000_000), (2, 2));
    }

    #[test]
    fn each_outcome_is_counted_as_what_it_is() {
        let (mut tally, turn) = tally();
        let turn = turn(1_500);
        let wrong = || Outcome::Wrong(WrongAnswer::new(7, b"[1]", b"[2]"));
        let outcomes = [
            Outcome::Right(None),
            wrong(),
            Outcome::Status(429),
            Outcome::Status(503),
            Outcome::Status(400),
            Outcome::Failed(Failure::Timeout),
            Outcome::Failed(Failure::Timeout),
        ];
        for outcome in outcomes {
            tally.record(&turn, outcome, turn.due + MS);
        }
        assert_eq!(tally.right.len(), 1);
        assert_eq!(tally.refused.len(), 2);
        assert_eq!(tally.late.len(), 7);
        assert_eq!(tally.statuses, [(200, 2), (400, 1), (429, 1), (503, 1)].into());
        assert_eq!(tally.failures, [("timeout", 2)].into());
        assert_eq!((tally.right_arrived, tally.arrived), (1, 5));
        assert_eq!(tally.first_wrong.as_ref().map(|wrong| wrong.body), Some(7));
    }

    #[test]
    fn a_wrong_answer_counts_in_the_warm_up_too() {
        let (mut tally, turn) = tally();
        let turn = turn(0);
        let wrong = Outcome::Wrong(WrongAnswer::new(0, b"a", &[b'x'; 9_999]));
        tally.record(&turn, wrong, turn.due + MS);
        assert_eq!((tally.wrong, tally.arrived, tally.late.len()), (1, 0, 0));
        assert_eq!(tally.first_wrong.unwrap().got.len(), SHOWN_BYTES_MAX);
    }

    #[test]
    fn merged_tallies_have_everything_once() {
        let (mut all, turn) = tally();
        let turn = turn(1_500);
        for thread in 0..3 {
            let mut tally = Tally::new(all.window.clone(), true);
            let wrong = Outcome::Wrong(WrongAnswer::new(thread, b"", b""));
            for outcome in
                [Outcome::Right(Some(thread as u64)), wrong, Outcome::Failed(Failure::Closed)]
            {
                tally.record(&turn, outcome, turn.due + MS);
            }
            all.merge(tally);
        }
        assert_eq!((all.right.len(), all.wrong, all.arrived), (3, 3, 6));
        assert_eq!((all.statuses[&200], all.failures["closed"]), (6, 3));
        assert_eq!(all.first_wrong.as_ref().unwrap().body, 0);
        assert_eq!(all.versions, [(0, 1), (1, 1), (2, 1)].into());
    }

    #[test]
    fn every_right_answer_of_the_window_can_be_written_in_the_order_of_the_requests() {
        let (mut tally, turn) = tally();
        for (due, version) in [(1_500, Some(2)), (900, Some(1)), (1_200, Some(1)), (1_700, None)] {
            let turn = turn(due);
            tally.record(&turn, Outcome::Right(version), turn.due + 7 * MS);
        }
        let turn = turn(1_300);
        tally.record(&turn, Outcome::Status(429), turn.due + MS);
        let file = tempfile::NamedTempFile::new().unwrap();
        tally.write_samples(file.path()).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines = "due_us,latency_us,version\n200000,7000,1\n500000,7000,2\n700000,7000,\n";
        assert_eq!(text, lines);
    }
}
