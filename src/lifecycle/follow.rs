//! Asking a registry again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use crate::model::ModelName;
use crate::source::{Hint, Source, SourceError};

use super::{Answer, Event, Message};

/// A registry that fails is asked less often, but never less than once in so many intervals.
const SLOWER_MAX: u32 = 12;

/// When a registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowOptions {
    /// Between two questions; up to a tenth more or less, by chance, so that many servers do not
    /// ask at once.
    pub interval: Duration,
    /// One question.
    pub time_max: Duration,
}

/// Asks a model's registry until the manager is gone: regularly, when its files change, and when
/// `poll` says so.
pub async fn follow(
    model: ModelName,
    mut source: Source,
    options: FollowOptions,
    poll: Arc<Notify>,
    messages: Sender<Message>,
) {
    let places = source.places();
    let mut hint = (!places.is_empty()).then(|| Hint::watch(places));
    let mut failures = 0_u32;
    loop {
        let asked = tokio::time::timeout(options.time_max, source.aspired()).await;
        let answer = match asked {
            Ok(Ok(Some(aspired))) => Answer::Version(aspired),
            Ok(Ok(None)) if source.settles_in().is_some() => Answer::Soon,
            Ok(Ok(None)) => Answer::Nothing,
            Ok(Err(error)) => failed(&model, &error, failures),
            Err(_elapsed) => {
                let text = format!("no answer in {:?}", options.time_max);
                failed(&model, &SourceError::Unreadable(text), failures)
            }
        };
        let is_error = matches!(answer, Answer::Error(_));
        failures = if is_error { failures.saturating_add(1) } else { 0 };
        let event = Event::Aspired { model: model.clone(), answer };
        if messages.send(Message::Event(event)).await.is_err() {
            return;
        }
        let regular = wait(options.interval, failures, fastrand::f64());
        let wait = source.settles_in().map_or(regular, |soon| soon.min(regular));
        let changed = async {
            match &mut hint {
                Some(hint) => hint.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed => {}
            () = poll.notified() => {}
        }
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
