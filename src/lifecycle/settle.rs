//! What is to be done now: each model is brought closer to what it should be.
//!
//! A load that nobody wants is stopped, what is in memory already is published, what need not be
//! kept is closed, and loads begin while there are places.

use std::time::Instant;

use super::state::{Attempt, Happening, IN_MEMORY_MAX, Lifecycle, ModelState, PinCause, Purpose};
use super::{Action, AttemptId, Policy, SwapPolicy, Verdict, VersionState};
use crate::model::ModelName;
use crate::source::Aspired;

/// One model while it is changed.
pub(super) struct Turn<'a> {
    pub(super) policy: &'a Policy,
    pub(super) name: &'a ModelName,
    pub(super) model: &'a mut ModelState,
    pub(super) now: Instant,
    pub(super) actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    /// Everything but loads, which the models share.
    pub(super) fn settle(&mut self, is_stopping: bool) {
        if let Some(until) = self.model.probation_until
            && (is_stopping || until <= self.now)
        {
            self.model.probation_until = None;
            let serving = self.model.serving().filter(|_| until <= self.now);
            if let Some(version) = serving.map(|serving| serving.version.version) {
                self.model.note(self.now, version, Happening::Confirmed);
            }
        }
        let desired = self.model.desired(self.now).filter(|_| !is_stopping);
        let desired = desired.map(|(version, purpose)| (version.version, purpose));
        if let Some(loading) = self.model.loading().filter(|loading| !loading.is_cancelled) {
            let id = loading.id;
            // A fallback is loaded to its end: to have one serve soon comes first.
            let is_only_hope = loading.purpose == Purpose::Fallback
                && self.model.serving.is_none()
                && !is_stopping;
            let wanted = desired.filter(|(version, _)| *version == loading.version.version);
            if let Some(attempt) = self.model.attempt_mut(id) {
                if let Some((_, purpose)) = wanted {
                    attempt.purpose = purpose;
                } else if !is_only_hope {
                    attempt.is_cancelled = true;
                    self.actions.push(Action::Cancel { attempt: id });
                }
            }
        }
        let kept = self.model.kept().map(|kept| (kept.id, kept.version.version));
        if let (Some((id, version)), Some((wanted, purpose))) = (kept, desired)
            && version == wanted
        {
            self.publish(id, purpose);
        } else if let (Some((id, _)), None) = (kept, self.model.probation_until) {
            self.close(id);
        }
    }

    /// The version serves from now on; the one before it is kept for the time of probation.
    pub(super) fn publish(&mut self, id: AttemptId, purpose: Purpose) {
        let (model, now) = (&mut *self.model, self.now);
        let aspired = model.aspired.clone();
        let Some(attempt) = model.attempt_mut(id) else { return };
        // What the registry has said about it since its load began.
        if let Some(aspired) = aspired.filter(|one| one.version == attempt.version.version) {
            attempt.version = aspired;
        }
        if attempt.state != VersionState::Available {
            attempt.advance(VersionState::Available, now);
        }
        attempt.purpose = purpose;
        let version = attempt.version.clone();
        let others: Vec<_> = model
            .attempts
            .iter()
            .filter(|one| one.state == VersionState::Available && one.id != id)
            .map(|one| (one.id, one.version.clone()))
            .collect();
        let old = model.serving.replace(id);
        self.actions.push(Action::Publish { model: self.name.clone(), attempt: id });

        // One that has served before is gone back to by people who know why.
        model.on_trial = (!model.has_served(version.version)).then_some(id);
        model.refusals.remove(&version.version);
        model.predecessors.retain(|one| one.version != version.version);
        let on_probation =
            purpose == Purpose::Wish && model.has_served && !self.policy.probation.is_zero();
        model.probation_until = on_probation.then(|| now + self.policy.probation);
        model.has_served = true;
        model.note(now, version.version, Happening::Published(purpose));
        for (other, other_version) in others {
            let is_old = old == Some(other);
            let mut is_kept = is_old && on_probation && self.policy.keeps();
            if is_old && purpose != Purpose::Return {
                // What it goes back to is better than a version that was worse than its own.
                is_kept &= !self.model.is_quarantined(&other_version);
                self.model.remember(other_version);
            }
            if !is_kept {
                self.close(other);
            }
        }
        self.report_published(version, purpose);
    }

    fn report_published(&mut self, version: Aspired, purpose: Purpose) {
        let back = self.model.pin.as_ref().filter(|_| purpose == Purpose::Return);
        if let Some(pin) = back {
            let cause = match &pin.cause {
                PinCause::Operator => "an operator asked for it".to_owned(),
                PinCause::Worse(cause) => cause.clone(),
            };
            let (from, to) = (pin.from.clone(), version.version);
            self.report(from, Verdict::RolledBack { to, cause });
        } else {
            self.report(version, Verdict::Accepted);
        }
    }

    /// The model stops serving, for another version to have room.
    fn withdraw(&mut self, id: AttemptId, purpose: Purpose) {
        let Some(attempt) = self.model.attempt_mut(id) else { return };
        let version = attempt.version.clone();
        self.model.serving = None;
        self.model.probation_until = None;
        self.actions.push(Action::Withdraw { model: self.name.clone(), attempt: id });
        self.model.note(self.now, version.version, Happening::Withdrawn);
        if purpose != Purpose::Return {
            self.model.remember(version);
        }
        self.close(id);
    }

    fn close(&mut self, id: AttemptId) {
        if let Some(attempt) = self.model.attempt_mut(id) {
            attempt.advance(VersionState::Draining, self.now);
            self.actions.push(Action::Close { attempt: id });
        }
    }

    /// Frees an attempt that is in that state.
    pub(super) fn unload(&mut self, id: AttemptId, from: VersionState) {
        if let Some(attempt) = self.model.attempt_mut(id).filter(|one| one.state == from) {
            attempt.advance(VersionState::Unloading, self.now);
            self.actions.push(Action::Unload { attempt: id });
        }
    }

    pub(super) fn report(&mut self, version: Aspired, verdict: Verdict) {
        self.actions.push(Action::Report { model: self.name.clone(), version, verdict });
    }

    /// Begins a load, if one is wanted and the model's own versions leave room for it. Returns
    /// whether the model has a place among the loads now.
    fn load(&mut self, attempts_made: &mut u64) -> bool {
        let Some((version, purpose)) = self.model.desired(self.now) else { return false };
        let version = version.clone();
        let is_preserving = self.policy.swap == SwapPolicy::AvailabilityPreserving;
        if is_preserving && self.model.attempts.len() >= IN_MEMORY_MAX {
            return false;
        }
        if let Some(serving) = self.model.serving.filter(|_| !is_preserving) {
            self.withdraw(serving, purpose);
        }
        self.model.is_making_room = !is_preserving && !self.model.attempts.is_empty();
        if self.model.is_making_room {
            return true;
        }
        *attempts_made += 1;
        let id = AttemptId(*attempts_made);
        self.model.last_attempt = *attempts_made;
        self.model.attempts.push(Attempt {
            id,
            version: version.clone(),
            state: VersionState::New,
            since: self.now,
            purpose,
            is_cancelled: false,
        });
        self.actions.push(Action::Load {
            model: self.name.clone(),
            attempt: id,
            version,
            replaces: self.model.serving,
        });
        true
    }
}

/// Gives free places to the models that want one; first to the one whose last load is longest ago.
pub(super) fn start_loads(state: &mut Lifecycle, now: Instant, actions: &mut Vec<Action>) {
    let mut order: Vec<_> = state
        .models
        .iter()
        .map(|(name, model)| {
            // It has nothing to serve until what is in memory is gone.
            let is_out = model.serving.is_none() && !model.attempts.is_empty();
            let has_place = model.is_making_room || model.loading().is_some() || is_out;
            (!has_place, model.last_attempt, name.clone())
        })
        .collect();
    order.sort();
    let mut free = state.policy.loads_max.get();
    for (_, _, name) in order {
        let Some(model) = state.models.get_mut(&name) else { continue };
        if model.loading().is_some() {
            free = free.saturating_sub(1);
        } else if free > 0 {
            let mut turn = Turn { policy: &state.policy, name: &name, model, now, actions };
            free -= usize::from(turn.load(&mut state.attempts_made));
        }
    }
}
