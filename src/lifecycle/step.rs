//! The lifecycle as one total function.
//!
//! A step first takes in what has happened, here, and then brings each model closer to what it
//! should be, in [`settle`](super::settle). So it does not matter which event made something
//! possible, and a hint that was lost is made up for by the next event.

use std::time::Instant;

use super::settle::{Turn, start_loads};
use super::state::{
    Attempt, Happening, Lifecycle, ModelState, Pin, PinCause, Purpose, Refusal, RefusalKind,
};
use super::{Action, Answer, AttemptId, Event, Health, SwapPolicy, Verdict, VersionState};
use crate::source::Aspired;

/// Takes in what has happened and says what is to be done about it, in that order. `now` never goes
/// back from one step to the next.
#[must_use]
pub fn step(state: &mut Lifecycle, event: Event, now: Instant) -> Vec<Action> {
    let mut actions = Vec::new();
    take_in(state, event, now, &mut actions);
    let Lifecycle { policy, models, is_stopping, .. } = state;
    for (name, model) in models {
        Turn { policy, name, model, now, actions: &mut actions }.settle(*is_stopping);
    }
    if !state.is_stopping {
        start_loads(state, now, &mut actions);
    }
    let due = |model: &ModelState| [model.probation_until, model.retry_at(now)];
    state.wake_at = state.models.values().flat_map(due).flatten().min();
    debug_assert!(state.models.values().all(ModelState::is_sound), "{state:?}");
    actions
}

fn take_in(state: &mut Lifecycle, event: Event, now: Instant, actions: &mut Vec<Action>) {
    let Some(name) = event.model().cloned() else {
        state.is_stopping |= event == Event::Stop;
        return;
    };
    if let Event::Start { model, remembered, quarantined } = event {
        let new = || ModelState::new(remembered, quarantined, now);
        state.models.entry(model).or_insert_with(new);
        return;
    }
    let Some(model) = state.models.get_mut(&name) else { return };
    let mut turn = Turn { policy: &state.policy, name: &name, model, now, actions };
    match event {
        Event::Aspired { answer, .. } => turn.answered(answer),
        Event::Progress { attempt, state, .. } => turn.progress(attempt, state),
        Event::Loaded { attempt, .. } => turn.loaded(attempt),
        Event::Failed { attempt, at, cause, is_transient, .. } => {
            let kind = if is_transient { RefusalKind::Transient } else { RefusalKind::Permanent };
            turn.failed(attempt, at, cause, kind);
        }
        Event::Drained { attempt, .. } => turn.unload(attempt, VersionState::Draining),
        Event::Unloaded { attempt, .. } => {
            let gone = |one: &Attempt| one.id == attempt && one.state == VersionState::Unloading;
            turn.model.attempts.retain(|one| !gone(one));
        }
        Event::Health { attempt, health: Health::Worse(cause), .. } => turn.worse(attempt, cause),
        Event::Rollback { .. } => turn.go_back(PinCause::Operator),
        Event::Poll { .. } => turn.follow_registry(),
        Event::Health { .. } | Event::Start { .. } | Event::Tick | Event::Stop => {}
    }
}

/// What has happened to the model.
impl Turn<'_> {
    fn answered(&mut self, answer: Answer) {
        let model = &mut *self.model;
        let (new, trouble) = match answer {
            Answer::Version(new) => (Some(new), None),
            Answer::Soon => (None, None),
            Answer::Nothing => (None, Some("the registry selects no version of it".to_owned())),
            Answer::Error(cause) => (None, Some(cause)),
        };
        model.is_answered |= new.is_some() || trouble.is_some();
        model.trouble = trouble;
        let Some(new) = new else { return };
        if let Some(pin) = model.pin.take_if(|pin| pin.against != new) {
            model.note(self.now, pin.to.version, Happening::Unpinned);
        }
        if model.aspired.as_ref() == Some(&new) {
            return;
        }
        if let Some(old) = &model.aspired
            && old.version != new.version
            && let Some(refusal) = model.refusals.get_mut(&old.version)
        {
            refusal.is_wished_anew = true;
        }
        if model.refusals.get(&new.version).is_some_and(|refusal| refusal.stamp != new.stamp) {
            model.refusals.remove(&new.version);
        }
        // What is known of a version has one stamp, or what is held against it under one would not
        // hold under the other. Only a load goes on, and fails, under the stamp that it began with.
        let loaded = model.attempts.iter_mut().filter(|attempt| !attempt.state.is_loading());
        let known = loaded.map(|attempt| &mut attempt.version).chain(&mut model.predecessors);
        known.filter(|known| known.version == new.version).for_each(|known| *known = new.clone());
        model.note(self.now, new.version, Happening::Aspired);
        model.aspired = Some(new);
    }

    fn progress(&mut self, id: AttemptId, state: VersionState) {
        if let Some(attempt) = self.model.attempt_mut(id)
            && state.is_loading()
            && attempt.state < state
        {
            attempt.advance(state, self.now);
        }
    }

    fn loaded(&mut self, id: AttemptId) {
        let Some(attempt) = self.model.loading().filter(|attempt| attempt.id == id) else { return };
        if attempt.is_cancelled {
            self.unload(id, attempt.state);
        } else {
            let purpose = attempt.purpose;
            self.publish(id, purpose);
        }
    }

    fn failed(&mut self, id: AttemptId, at: VersionState, cause: String, kind: RefusalKind) {
        let Some(attempt) = self.model.end_load(id) else { return };
        let version = attempt.version.clone();
        if attempt.is_cancelled {
            self.model.note(self.now, version.version, Happening::Cancelled);
            return;
        }
        if kind != RefusalKind::Transient
            && self.model.pin.as_ref().is_some_and(|pin| pin.to.version == version.version)
        {
            self.model.pin = None;
        }
        let mut refusal = self.refusal(&attempt, at, cause.clone(), kind);
        // Where every try interrupts what serves, tries are rare.
        if self.policy.swap == SwapPolicy::ResourcePreserving
            && self.model.has_served
            && attempt.purpose == Purpose::Wish
        {
            refusal.retry_at = self.now + self.policy.backoff.max;
        }
        let retry_at = (kind == RefusalKind::Transient).then_some(refusal.retry_at);
        self.model.refuse(version.version, refusal);
        self.model.note(self.now, version.version, Happening::Refused(at, cause.clone()));
        self.report(version, Verdict::Refused { at, cause, retry_at });
    }

    fn worse(&mut self, id: AttemptId, cause: String) {
        let is_on_probation = self.model.probation_until.is_some_and(|until| self.now < until);
        if !is_on_probation || !self.model.is_judged() || self.model.predecessor().is_none() {
            return;
        }
        let Some(serving) = self.model.serving().filter(|serving| serving.id == id) else { return };
        let serving = serving.clone();
        let kind = RefusalKind::Quarantined;
        let refusal = self.refusal(&serving, VersionState::Available, cause.clone(), kind);
        self.model.refuse(serving.version.version, refusal);
        self.go_back(PinCause::Worse(cause));
    }

    /// Pins the model to the version before the present one. While it is on the way to such a
    /// version already, it stays on that way.
    fn go_back(&mut self, cause: PinCause) {
        let model = &mut *self.model;
        let (Some(serving), Some(to)) = (model.serving(), model.predecessor()) else { return };
        let (from, to) = (serving.version.clone(), to.clone());
        if model.pin.as_ref().is_some_and(|pin| pin.to.version != from.version) {
            return;
        }
        // Where the registry has moved on already, what it names is not what did worse.
        let is_aspired = |one: &&Aspired| one.version == from.version;
        let against = match &cause {
            PinCause::Operator => model.aspired.as_ref(),
            PinCause::Worse(_) => model.aspired.as_ref().filter(is_aspired),
        };
        let against = against.unwrap_or(&from).clone();
        model.refusals.remove(&to.version);
        model.probation_until = None;
        model.note(self.now, to.version, Happening::Pinned(cause.clone()));
        model.pin = Some(Pin { to, from, against, cause });
    }

    fn follow_registry(&mut self) {
        let model = &mut *self.model;
        if let Some(pin) = model.pin.take() {
            model.note(self.now, pin.to.version, Happening::Unpinned);
        }
        if let Some(aspired) = &model.aspired {
            model.refusals.remove(&aspired.version);
        }
    }

    fn refusal(
        &self,
        attempt: &Attempt,
        at: VersionState,
        cause: String,
        kind: RefusalKind,
    ) -> Refusal {
        let version = &attempt.version;
        let before = self.model.refusals.get(&version.version);
        let before = before.filter(|refusal| refusal.stamp == version.stamp);
        let failures = before.map_or(0, |refusal| refusal.failures).saturating_add(1);
        Refusal {
            kind,
            stamp: version.stamp.clone(),
            attempt: attempt.id,
            at,
            cause,
            since: self.now,
            failures,
            retry_at: self.now + self.policy.wait(failures, attempt.id),
            is_wished_anew: false,
        }
    }
}
