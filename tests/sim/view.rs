//! Whether the state shows what the checker knows, after a step and when all is quiet.

use std::time::Instant;

use flowgate::lifecycle::{Action, Answer, AttemptId, Event, Lifecycle, PinCause, VersionState};
use flowgate::model::ModelName;

use crate::checker::{Before, Checker, REFUSALS_MAX};

impl Checker {
    /// The state shows what the books say.
    pub(crate) fn check_view(
        &self,
        state: &Lifecycle,
        before: &[(AttemptId, VersionState)],
        now: Instant,
    ) {
        assert!(state.wake_at().is_none_or(|at| at > now), "it wants to wake in the past");
        let after = states(state);
        let ids: Vec<_> = after.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, self.books.attempts.keys().copied().collect::<Vec<_>>(), "attempts");
        for (id, was) in before {
            let is = after.iter().find(|(other, _)| other == id).map(|(_, is)| *is);
            assert!(is.is_none_or(|is| is >= *was), "{id:?} went from {was:?} to {is:?}");
        }
        for (name, model) in state.models() {
            let own = &self.books.models[name];
            assert_eq!(model.serving().map(|one| one.id), own.published, "{name}");
            assert_eq!(model.aspired(), own.answer.as_ref(), "{name}");
            assert!(model.pin().is_none_or(|pin| !own.is_out(&pin.to)), "{name} waits in vain");
            if let Some(pin) = model.pin().filter(|pin| self.books.published(name) == Some(&pin.to))
            {
                assert_ne!(model.predecessor(), Some(&pin.from), "{name} goes back and forth");
            }
            let probation = own.kept.map(|kept| kept.until);
            let retry = model.aspired().filter(|_| model.pin().is_none()).and_then(|aspired| {
                model.refusals().get(&aspired.version)?.opens_at().filter(|at| *at > now)
            });
            for due in probation.into_iter().chain(retry) {
                assert!(state.wake_at().is_some_and(|at| at <= due), "{name} is not looked after");
            }
            assert!(model.refusals().len() <= REFUSALS_MAX && model.history().count() <= 16);
            assert!(model.history().is_sorted_by_key(|note| note.at));
            for (version, verdict) in &own.verdicts {
                let is_known = model.refusals().get(version).is_some_and(|refusal| {
                    refusal.stamp == verdict.stamp && refusal.is_wished_anew == verdict.is_over
                });
                assert!(is_known || own.verdicts.len() > REFUSALS_MAX, "{name}/{version}");
            }
        }
    }

    /// A model leaves its registry when it is told to, and comes back when that says something new.
    pub(crate) fn check_pin(
        &self,
        state: &Lifecycle,
        name: &ModelName,
        event: &Event,
        before: &Before,
        actions: &[Action],
    ) {
        let pin = state.model(name).and_then(|model| model.pin());
        if before.goes_back {
            let pin = pin.expect("the model goes back");
            assert_eq!(Some(pin.to.version), before.predecessor);
            assert!(self.books.models[name].served.contains(&pin.to.version));
            let is_worse = matches!(event, Event::Health { .. });
            assert_eq!(matches!(pin.cause, PinCause::Worse(_)), is_worse);
            let publishes = |action: &Action| match action {
                Action::Publish { attempt, .. } => Some(*attempt) == before.kept,
                _ => false,
            };
            let is_ready = before.kept.is_some() && !self.books.is_stopped;
            assert_eq!(actions.iter().any(publishes), is_ready, "what is kept serves at once");
            return;
        }
        match (&before.pin, pin) {
            (None, pin) => assert_eq!(pin, None, "nobody asked for it"),
            (Some(was), None) => match event {
                Event::Poll { .. } => {}
                Event::Aspired { answer: Answer::Version(new), .. } => {
                    assert_ne!(was.against, *new, "the registry says the same");
                }
                Event::Failed { .. } => {
                    assert!(self.books.models[name].is_out(&was.to), "it can be gone back to");
                }
                _ => panic!("{was:?} was forgotten"),
            },
            (Some(was), Some(is)) => {
                assert_eq!(was, is, "a pin stays as it is");
                if let Event::Aspired { answer: Answer::Version(new), .. } = event {
                    assert_eq!(was.against, *new, "the registry says something new");
                }
            }
        }
    }

    /// The world is quiet: nothing goes on but what serves.
    pub(crate) fn check_rest(&self, state: &Lifecycle) {
        for (attempt, entry) in &self.books.attempts {
            let is_published = self.books.models[&entry.model].published == Some(*attempt);
            assert!(is_published, "{entry:?} never ended");
        }
        for (name, model) in state.models() {
            assert!(model.serving().is_none_or(|one| one.state == VersionState::Available));
            assert!(model.kept().is_none() && model.loading().is_none(), "{name} is at rest");
        }
    }

    /// The world is quiet and friendly: what the registry wants serves, if nothing is against it.
    pub(crate) fn check_caught_up(&self, state: &Lifecycle) {
        for (name, model) in &self.books.models {
            let pin = state.model(name).and_then(|model| model.pin());
            let wanted = pin.map(|pin| &pin.to).or(model.answer.as_ref());
            let Some(wanted) = wanted else { continue };
            let serves = self.books.published(name).map(|one| one.version);
            let is_out = model.is_out(wanted);
            assert!(is_out || serves == Some(wanted.version), "{name} should serve {wanted:?}");
        }
    }
}

/// Every attempt and its state, by number.
pub(crate) fn states(state: &Lifecycle) -> Vec<(AttemptId, VersionState)> {
    let attempts = state.models().flat_map(|(_, model)| model.attempts());
    let mut states: Vec<_> = attempts.map(|attempt| (attempt.id, attempt.state)).collect();
    states.sort();
    states
}
