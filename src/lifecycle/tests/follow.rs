//! Registries that hang, panic and never rest.

use std::fs;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::super::ask::{Ask, Said, contained};
use super::super::follow::{Lines, keep_asking};
use super::super::untold::Untold;
use super::super::{Answer, Event, FollowOptions, Followed, Message, Readers, ToldOf, follow};
use super::version;
use crate::model::{ModelName, VersionId};
use crate::source::{DirectoryOptions, DirectorySource, Source, SourceError, Told};
use crate::store::RemoteError;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const MILLISECOND: Duration = Duration::from_millis(1);

fn options(interval: Duration, time_max: Duration) -> FollowOptions {
    FollowOptions { interval, time_max, readers: Readers::new(10 * MILLISECOND) }
}

fn named(name: &str) -> ModelName {
    ModelName::new(name).unwrap()
}

/// The next answer about a model.
async fn heard(messages: &mut Receiver<Message>) -> Answer {
    match tokio::time::timeout(PATIENCE, messages.recv()).await {
        Ok(Some(Message::Event(Event::Aspired { answer, .. }))) => answer,
        _ => panic!("nothing was said of a registry"),
    }
}

fn version_of(answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Version(aspired) => Some(aspired.version.0),
        Answer::Nothing | Answer::Soon | Answer::Error(_) => None,
    }
}

/// A registry that does as it is told, and counts its questions.
#[derive(Default)]
struct Scripted {
    asked: u64,
    hangs: bool,
    panics_at: Option<u64>,
    stirs: bool,
    /// So many verdicts do not arrive.
    fails_to_hear: usize,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// A verdict as it was told: version, status, and whether it arrived.
type Heard = (u64, &'static str, bool);

impl Ask for Scripted {
    async fn ask(&mut self) -> Said {
        self.asked += 1;
        let (asked, panics) = (self.asked, self.panics_at == Some(self.asked));
        if self.hangs {
            pending::<()>().await;
        }
        let answer = contained(async move {
            tokio::task::yield_now().await;
            assert!(!panics, "for the test");
            version(asked)
        });
        answer.await.map(Some).map_err(|_| SourceError::Unreadable("it panicked".to_owned()))
    }

    async fn stirred(&mut self) {
        if !self.stirs {
            pending::<()>().await;
        }
    }

    async fn tell(&mut self, version: VersionId, told: &Told) -> Result<(), RemoteError> {
        let again = self.fails_to_hear > 0;
        self.fails_to_hear -= usize::from(again);
        self.heard.lock().unwrap().push((version.0, told.status(), !again));
        if again { Err(RemoteError::Unreachable("for the test".to_owned())) } else { Ok(()) }
    }

    fn settles_in(&self) -> Option<Duration> {
        None
    }
}

/// Starts to follow; the answers are to be heard.
fn start(registry: Scripted, options: FollowOptions) -> (Receiver<Message>, Arc<Notify>) {
    start_telling(registry, options, None)
}

fn start_telling(
    registry: Scripted,
    options: FollowOptions,
    verdicts: Option<Receiver<ToldOf>>,
) -> (Receiver<Message>, Arc<Notify>) {
    let (sender, messages) = channel(1);
    let poll = Arc::new(Notify::new());
    let untold = Untold::new(verdicts);
    let lines = Lines { poll: Arc::clone(&poll), untold, messages: sender };
    tokio::spawn(async move {
        keep_asking(named("churn"), registry, &options, lines).await;
    });
    (messages, poll)
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_told_at_once_and_again_after_the_next_question_if_it_did_not_arrive() {
    let heard_of = Arc::new(Mutex::new(Vec::new()));
    let registry =
        Scripted { fails_to_hear: 1, heard: Arc::clone(&heard_of), ..Scripted::default() };
    let (verdicts, arriving) = channel(4);
    let second = Duration::from_secs(1);
    let (mut messages, _poll) =
        start_telling(registry, options(10 * second, 10 * second), Some(arriving));
    let begin = Instant::now();
    heard(&mut messages).await;
    let refused = || Told::Refused { reason: "no graph".to_owned() };
    verdicts.send((VersionId(2), refused())).await.unwrap();
    tokio::time::sleep(second).await;
    assert_eq!(*heard_of.lock().unwrap(), [(2, "refused", false)]);
    // Of a version only the last verdict counts, and others wait behind it.
    verdicts.send((VersionId(3), Told::Serving)).await.unwrap();
    drop(verdicts);
    heard(&mut messages).await;
    tokio::time::sleep(second).await;
    assert!(begin.elapsed() < 13 * second, "the end of verdicts is no reason to ask");
    let told = heard_of.lock().unwrap().clone();
    assert_eq!(told[1..], [(2, "refused", true), (3, "serving", true)]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_rests_is_asked_forty_times_a_second_at_most() {
    let registry = Scripted { stirs: true, ..Scripted::default() };
    let (mut messages, _poll) = start(registry, options(PATIENCE, PATIENCE));
    let begin = Instant::now();
    let mut last = None;
    while begin.elapsed() < Duration::from_secs(10) {
        last = version_of(&heard(&mut messages).await);
    }
    assert!((380..=402).contains(&last.unwrap()), "{last:?} questions in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_takes_too_long_is_an_error_at_once() {
    let registry = Scripted { hangs: true, ..Scripted::default() };
    let second = Duration::from_secs(1);
    let (mut messages, _poll) = start(registry, options(5 * second, 10 * second));
    let begin = Instant::now();
    assert!(matches!(heard(&mut messages).await, Answer::Error(_)));
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_and_the_next_question_is_asked() {
    let registry = Scripted { panics_at: Some(2), ..Scripted::default() };
    let (mut messages, poll) = start(registry, options(PATIENCE, PATIENCE));
    let mut answers = Vec::new();
    for _ in 0..3 {
        poll.notify_one();
        answers.push(heard(&mut messages).await);
    }
    let versions: Vec<_> = answers.iter().map(version_of).collect();
    assert_eq!(versions, [Some(1), None, Some(3)]);
}

/// A folder with one version.
fn folder(root: &Path, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/wine-quality/1");
    let to = root.join(name).join("1");
    fs::create_dir_all(&to).unwrap();
    for file in ["MLmodel", "model.onnx"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn directory(root: &Path, name: &str) -> Source {
    let path = root.join(name).to_str().unwrap().to_owned();
    DirectorySource::new(DirectoryOptions { path, selector: None, settle: Duration::ZERO }).into()
}

/// Follows a folder for as long as its answers are heard.
fn spawn(root: &Path, name: &'static str, options: &FollowOptions) -> Receiver<Message> {
    let (sender, messages): (Sender<Message>, _) = channel(1);
    let (source, options) = (directory(root, name), options.clone());
    let followed = Followed { model: named(name), source, poll: Arc::default(), verdicts: None };
    tokio::task::spawn_local(follow(followed, options, sender));
    messages
}

/// Runs a future on a runtime like that of the sources.
fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future);
}

/// A file that hangs whoever opens it, in the kernel: a pipe that nobody writes to.
fn hang(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn a_file_that_hangs_holds_up_its_model_only_and_that_not_for_ever() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "hung");
    folder(root.path(), "well");
    let pipe = root.path().join("hung/registry.yaml");
    hang(&pipe);
    let options = options(10 * MILLISECOND, 20 * MILLISECOND);
    block_on(async {
        let mut hung = spawn(root.path(), "hung", &options);
        for _ in 0..2 {
            assert!(matches!(heard(&mut hung).await, Answer::Error(_)));
        }
        // It has the only thread of their registry, and yet:
        let mut well = spawn(root.path(), "well", &options);
        while version_of(&heard(&mut well).await) != Some(1) {}
        assert!(matches!(heard(&mut hung).await, Answer::Error(_)));

        // What the question brings in the end is old: what is there from now on counts.
        fs::write(root.path().join("next"), "stages: {Production: 1}").unwrap();
        fs::rename(&pipe, root.path().join("pipe")).unwrap();
        fs::rename(root.path().join("next"), &pipe).unwrap();
        fs::write(root.path().join("pipe"), "stages: {Production: 7}").unwrap();
        while version_of(&heard(&mut hung).await) != Some(1) {}
    });
    assert_eq!(options.readers.close(std::time::Instant::now() + PATIENCE), 0);
}

#[test]
fn a_question_that_hangs_is_not_asked_again_and_does_not_keep_the_process_from_ending() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "hung");
    hang(&root.path().join("hung/registry.yaml"));
    let options = options(10 * MILLISECOND, 20 * MILLISECOND);
    block_on(async {
        let mut hung = spawn(root.path(), "hung", &options);
        for _ in 0..3 {
            assert!(matches!(heard(&mut hung).await, Answer::Error(_)));
        }
    });
    assert_eq!(options.readers.close(std::time::Instant::now()), 1, "one thread for one question");
    // For the thread of this test.
    fs::write(root.path().join("hung/registry.yaml"), "").unwrap();
}

#[test]
fn the_last_of_many_changes_is_looked_at() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "wine");
    let options = options(PATIENCE, PATIENCE);
    block_on(async {
        let mut wine = spawn(root.path(), "wine", &options);
        assert_eq!(version_of(&heard(&mut wine).await), Some(1));
        folder(root.path(), "wine/other");
        for change in 0..200 {
            fs::write(root.path().join("wine/registry.yaml"), format!("# {change}")).unwrap();
        }
        fs::rename(root.path().join("wine/other/1"), root.path().join("wine/9")).unwrap();
        while version_of(&heard(&mut wine).await) != Some(9) {}
    });
}
