//! Asking a registry again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;

use crate::model::ModelName;
use crate::source::{Source, SourceError};

use super::ask::{Ask, Files, Remote};
use super::untold::Untold;
use super::{Answer, Event, Message, Readers, ToldOf};

/// A registry that fails is asked less often, but never less than once in so many intervals.
const SLOWER_MAX: u32 = 12;

/// Least time from an answer to the next question: a directory in which a thousand things change a
/// second is not read a thousand times.
const PAUSE_MIN: Duration = Duration::from_millis(25);

/// A directory that is written to for longer is said to be of no use, though it is looked at on.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// When a registry is asked.
#[derive(Clone)]
pub struct FollowOptions {
    /// Between two questions; up to a tenth more or less, by chance, so that many servers do not
    /// ask at once.
    pub interval: Duration,
    /// One question.
    pub time_max: Duration,
    /// Who looks at files.
    pub readers: Readers,
}

/// A model and its registry.
pub struct Followed {
    pub model: ModelName,
    pub source: Source,
    /// Says that now is a good time to ask.
    pub poll: Arc<Notify>,
    /// What the registry is to be told.
    pub verdicts: Option<Receiver<ToldOf>>,
}

/// Asks a model's registry until the manager is gone: regularly, when its files change, and when
/// its `poll` says so. Tells it what became of versions. Never blocks, and does not end by whatever
/// the registry does.
pub async fn follow(followed: Followed, options: FollowOptions, messages: Sender<Message>) {
    let Followed { model, source, poll, verdicts } = followed;
    let lines = Lines { poll, untold: Untold::new(verdicts), messages };
    match source {
        Source::Mlflow(source) => keep_asking(model, Remote(source), &options, lines).await,
        Source::Files(source) => {
            let files = Files::new(source, &options.readers);
            keep_asking(model, files, &options, lines).await;
        }
    }
}

/// What connects the one who asks with the others.
pub(super) struct Lines {
    pub(super) poll: Arc<Notify>,
    pub(super) untold: Untold,
    pub(super) messages: Sender<Message>,
}

pub(super) async fn keep_asking(
    model: ModelName,
    mut registry: impl Ask,
    options: &FollowOptions,
    lines: Lines,
) {
    let Lines { poll, mut untold, messages } = lines;
    let mut failures = 0_u32;
    let mut unsettled_since = None;
    loop {
        let asked = tokio::time::timeout(options.time_max, registry.ask()).await;
        let answered_at = Instant::now();
        let answer = match asked {
            Ok(Ok(Some(aspired))) => Answer::Version(aspired),
            Ok(Ok(None)) if registry.settles_in().is_some() => {
                let since = *unsettled_since.get_or_insert(answered_at);
                if answered_at - since < SETTLE_MAX {
                    Answer::Soon
                } else {
                    let text = "its directory has not been left alone for 30 seconds".to_owned();
                    failed(&model, &SourceError::Unreadable(text), failures)
                }
            }
            Ok(Ok(None)) => Answer::Nothing,
            Ok(Err(error)) => failed(&model, &error, failures),
            Err(_elapsed) => {
                let text = format!("no answer in {:?}", options.time_max);
                failed(&model, &SourceError::Unreadable(text), failures)
            }
        };
        if registry.settles_in().is_none() {
            unsettled_since = None;
        }
        let is_error = matches!(answer, Answer::Error(_));
        failures = if is_error { failures.saturating_add(1) } else { 0 };
        let event = Event::Aspired { model: model.clone(), answer };
        if messages.send(Message::Event(event)).await.is_err() {
            return;
        }
        let regular = wait(options.interval, failures, fastrand::f64());
        let wait = registry.settles_in().map_or(regular, |soon| soon.min(regular));
        loop {
            // What did not arrive before a question may after it.
            untold.tell(&model, &mut registry).await;
            tokio::select! {
                () = tokio::time::sleep_until(answered_at + wait) => break,
                () = registry.stirred() => break,
                () = poll.notified() => break,
                () = untold.arrived() => {}
            }
        }
        // Whatever changes meanwhile is there when it is looked at.
        tokio::time::sleep_until(answered_at + PAUSE_MIN).await;
    }
}

/// The manager says it aloud when it is news.
fn failed(model: &ModelName, error: &SourceError, failures: u32) -> Answer {
    tracing::debug!(%model, %error, failures, "the registry gave no answer");
    Answer::Error(error.to_string())
}

/// The time until the next question; `chance` is from 0 to 1.
fn wait(interval: Duration, failures: u32, chance: f64) -> Duration {
    let slower = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    (interval * slower.min(SLOWER_MAX)).mul_f64(0.9 + chance.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_registry_is_asked_less_often_within_a_bound() {
        let second = Duration::from_secs(1);
        for (failures, chance, want_ms) in [
            (0, 0.5, 1_000),
            (0, 0.0, 900),
            (0, 1.0, 1_100),
            (1, 0.5, 1_000),
            (2, 0.5, 2_000),
            (4, 0.5, 8_000),
            (5, 0.5, 12_000),
            (u32::MAX, 0.5, 12_000),
        ] {
            let waited = wait(second, failures, chance).as_secs_f64() * 1e3;
            assert!((waited - f64::from(want_ms)).abs() < 1.0, "{failures} failures: {waited} ms");
        }
    }
}
