//! Whether what a step did may be done.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use flowgate::lifecycle::{
    Action, Answer, AttemptId, Event, Health, Lifecycle, Pin, Policy, SwapPolicy, Verdict, step,
};
use flowgate::model::{ModelName, VersionId};
use flowgate::source::Aspired;

use crate::books::{self, Books, Entry, Kept, Kind, Phase};
use crate::view::states;

/// So many refusals a model remembers.
pub(crate) const REFUSALS_MAX: usize = 32;

pub(crate) struct Checker {
    pub(crate) books: Books,
    policy: Policy,
    /// Whether the event is a failure to be reported.
    has_failed: bool,
    /// Publishes and rollbacks, to see that a world is worth its time.
    pub(crate) published: u64,
    pub(crate) returned: u64,
}

/// What was true before the step.
#[derive(Default)]
pub(crate) struct Before {
    /// The model is put back by this event: it was on probation and worse, or an operator said so.
    pub(crate) goes_back: bool,
    pub(crate) pin: Option<Pin>,
    pub(crate) kept: Option<AttemptId>,
    pub(crate) predecessor: Option<VersionId>,
}

impl Before {
    fn new(state: &Lifecycle, name: &ModelName, event: &Event, now: Instant) -> Self {
        let Some(model) = state.model(name) else { return Self::default() };
        let serving = model.serving();
        let is_worse = matches!(event, Event::Health { attempt, health: Health::Worse(_), .. }
            if serving.is_some_and(|serving| serving.id == *attempt)
                && model.is_judged()
                && model.probation_until().is_some_and(|until| now < until));
        let is_asked = matches!(event, Event::Rollback { .. }) && serving.is_some();
        let is_underway = model.pin().is_some_and(|pin| {
            serving.is_some_and(|serving| serving.version.version != pin.to.version)
        });
        Self {
            goes_back: (is_worse || is_asked) && model.predecessor().is_some() && !is_underway,
            pin: model.pin().cloned(),
            kept: model.kept().map(|kept| kept.id),
            predecessor: model.predecessor().map(|version| version.version),
        }
    }
}

impl Checker {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { books: Books::default(), policy, has_failed: false, published: 0, returned: 0 }
    }

    /// Makes a step and judges it.
    pub(crate) fn step(
        &mut self,
        state: &mut Lifecycle,
        event: &Event,
        now: Instant,
    ) -> Vec<Action> {
        let name = event.model().cloned();
        let before = name.as_ref().map(|name| Before::new(state, name, event, now));
        let states = states(state);
        self.has_failed = false;
        let actions = step(state, event.clone(), now);
        self.enter(event, before.as_ref(), now);
        for action in &actions {
            self.act(state, action, now);
        }
        self.check_reports(&actions);
        let mut swapped = BTreeSet::new();
        for action in &actions {
            if let Action::Publish { model, .. } = action {
                assert!(swapped.insert(model), "two swaps of a model in a step");
            }
        }
        self.check_counts();
        self.check_kept(now);
        self.check_view(state, &states, now);
        if let (Some(name), Some(before)) = (name, before) {
            self.check_pin(state, &name, event, &before, &actions);
        }
        actions
    }

    /// Writes down what has happened.
    fn enter(&mut self, event: &Event, before: Option<&Before>, now: Instant) {
        match event {
            Event::Start { model, remembered, quarantined } => {
                let model = self.books.models.entry(model.clone()).or_default();
                model.served.extend(remembered.iter().map(|version| version.version));
                for version in quarantined {
                    let stamp = version.stamp.clone();
                    let verdict = books::Verdict { stamp, kind: Kind::Quarantined, is_over: false };
                    model.verdicts.insert(version.version, verdict);
                }
            }
            Event::Aspired { model, answer: Answer::Version(version) } => {
                self.books.answered(model, version);
            }
            Event::Poll { model } => {
                let model = self.books.model(model);
                model.causes += 1;
                model.forgive(model.answer.as_ref().map(|answer| answer.version));
            }
            Event::Loaded { attempt, .. } => self.advance(*attempt, Phase::Loading, Phase::Loaded),
            Event::Drained { attempt, .. } => self.advance(*attempt, Phase::Closed, Phase::Drained),
            Event::Unloaded { attempt, .. } => {
                let is_due = |entry: &Entry| entry.phase == Phase::Unloading;
                if self.books.attempts.get(attempt).is_some_and(is_due) {
                    self.books.attempts.remove(attempt);
                }
            }
            Event::Failed { attempt, is_transient, .. } => {
                let kind = if *is_transient { Kind::Transient } else { Kind::Permanent };
                self.fail(*attempt, kind, now);
            }
            Event::Rollback { model } if before.is_some_and(|before| before.goes_back) => {
                // An operator does not wait for the time of a retry.
                let model = self.books.model(model);
                model.causes += 1;
                model.forgive(before.and_then(|before| before.predecessor));
            }
            Event::Health { model, attempt, .. }
                if before.is_some_and(|before| before.goes_back) =>
            {
                let version = self.books.attempts[attempt].version.clone();
                let model = self.books.model(model);
                model.causes += 1;
                model.forgive(before.and_then(|before| before.predecessor));
                let verdict = books::Verdict {
                    stamp: version.stamp,
                    kind: Kind::Quarantined,
                    is_over: false,
                };
                model.verdicts.insert(version.version, verdict);
            }
            Event::Stop => self.books.is_stopped = true,
            _ => {}
        }
    }

    fn advance(&mut self, attempt: AttemptId, from: Phase, to: Phase) {
        if let Some(entry) = self.books.attempts.get_mut(&attempt)
            && entry.phase == from
        {
            entry.phase = to;
        }
    }

    fn fail(&mut self, attempt: AttemptId, kind: Kind, now: Instant) {
        let is_loading = |entry: &Entry| entry.phase == Phase::Loading;
        if !self.books.attempts.get(&attempt).is_some_and(is_loading) {
            return;
        }
        let entry = self.books.attempts.remove(&attempt).expect("it was found");
        if !entry.is_cancelled {
            self.has_failed = true;
            let Aspired { version, stamp, .. } = entry.version;
            let model = self.books.model(&entry.model);
            model.failures.insert((version, stamp.clone()), now);
            let verdict = books::Verdict { stamp, kind, is_over: false };
            model.verdicts.insert(version, verdict);
        }
    }

    /// Judges an action and writes it down.
    fn act(&mut self, state: &Lifecycle, action: &Action, now: Instant) {
        match action {
            Action::Load { model, attempt, version, replaces } => {
                assert_eq!(*replaces, self.books.models[model].published, "what it replaces");
                self.load(model, *attempt, version, now);
            }
            Action::Cancel { attempt } => {
                let entry = self.books.attempts.get_mut(attempt).expect("a load that is known");
                assert!(entry.phase == Phase::Loading && !entry.is_cancelled, "{entry:?}");
                entry.is_cancelled = true;
            }
            Action::Publish { model, attempt } => self.publish(state, model, *attempt, now),
            Action::Withdraw { model, attempt } => {
                assert_eq!(self.policy.swap, SwapPolicy::ResourcePreserving, "it has to serve");
                let busy = self.books.loading() + self.books.making_room();
                assert!(busy < self.policy.loads_max.get(), "it stops serving before its turn");
                let model = self.books.model(model);
                assert_eq!(model.published.take(), Some(*attempt), "what is withdrawn serves");
            }
            Action::Close { attempt } => {
                let entry = self.books.attempts.get_mut(attempt).expect("a version that is known");
                assert_eq!(entry.phase, Phase::Loaded, "what is closed could serve");
                entry.phase = Phase::Closed;
                let entry = entry.clone();
                let is_stopped = self.books.is_stopped;
                let model = self.books.model(&entry.model);
                assert_ne!(model.published, Some(*attempt), "what is closed is not published");
                if let Some(kept) = model.kept.take_if(|kept| kept.attempt == *attempt) {
                    assert!(now >= kept.until || is_stopped, "a predecessor is kept");
                }
            }
            Action::Unload { attempt } => {
                let entry = self.books.attempts.get_mut(attempt).expect("a version that is known");
                let is_unwanted = entry.phase == Phase::Loaded && entry.is_cancelled;
                assert!(entry.phase == Phase::Drained || is_unwanted, "{entry:?} is unloaded");
                entry.phase = Phase::Unloading;
            }
            Action::Report { .. } => {}
        }
    }

    fn load(&mut self, name: &ModelName, attempt: AttemptId, version: &Aspired, now: Instant) {
        let (books, policy) = (&mut self.books, &self.policy);
        assert!(!books.is_stopped, "a load after the stop");
        assert!(attempt.0 > books.attempts_made, "numbers of attempts are new");
        books.attempts_made = attempt.0;
        assert!(books.loading() < policy.loads_max.get(), "more loads than allowed");
        assert!(books.of(name).all(|entry| entry.phase != Phase::Loading), "two loads of a model");
        let in_memory = match policy.swap {
            SwapPolicy::AvailabilityPreserving => 2,
            SwapPolicy::ResourcePreserving => 0,
        };
        assert!(books.of(name).count() <= in_memory, "no room for {name}");
        let model = &books.models[name];
        assert_ne!(books.published(name).map(|one| one.version), Some(version.version));
        let verdicts = model.verdicts.len();
        assert!(!model.is_out(version) || verdicts >= REFUSALS_MAX, "{version:?} is out");
        if let Some(failed) = model.failures.get(&(version.version, version.stamp.clone())) {
            let wait = now.duration_since(*failed);
            assert!(wait >= policy.backoff.first / 2, "tried again after {wait:?}");
        }
        let entry = Entry {
            model: name.clone(),
            version: version.clone(),
            phase: Phase::Loading,
            is_cancelled: false,
        };
        books.attempts.insert(attempt, entry);
    }

    fn publish(&mut self, state: &Lifecycle, name: &ModelName, attempt: AttemptId, now: Instant) {
        let books = &mut self.books;
        assert!(!books.is_stopped, "a swap after the stop");
        let entry = books.attempts.get(&attempt).expect("a version that is known").clone();
        assert!(entry.phase == Phase::Loaded, "{entry:?} is not ready to serve");
        assert!(!entry.is_cancelled, "nobody wanted {entry:?}");
        let version = entry.version.version;
        let old = books.published(name).cloned();
        let model = books.model(name);
        let is_in_quarantine =
            model.verdict(&entry.version).is_some_and(|one| one.kind == Kind::Quarantined);
        assert!(!is_in_quarantine, "{version} is in quarantine");
        let pin = state.model(name).and_then(|model| model.pin());
        let is_wish = model.answer.as_ref().is_some_and(|answer| answer.version == version);
        let is_return = pin.is_some_and(|pin| pin.to.version == version);
        assert!(is_return || is_wish && pin.is_none() || old.is_none(), "nobody wants {version}");
        let old_id = model.published.replace(attempt);
        let answer = model.answer.clone().filter(|answer| answer.version == version);
        assert_ne!(old_id, Some(attempt), "it serves already");
        model.forgive(Some(version));
        // A predecessor that is worth it is kept from now on, and the one before it is not.
        let is_kept = !is_return
            && self.policy.keeps_predecessor
            && !self.policy.probation.is_zero()
            && self.policy.swap == SwapPolicy::AvailabilityPreserving
            && old.is_some_and(|old| {
                let verdict = model.verdict(&old);
                verdict.is_none_or(|verdict| verdict.kind != Kind::Quarantined)
            });
        let until = now + self.policy.probation;
        model.kept = old_id.filter(|_| is_kept).map(|attempt| Kept { attempt, until });
        model.has_served = true;
        model.served.insert(version);
        model.followed += u64::from(is_wish && pin.is_none());
        let [followed, causes] = [model.followed, model.causes];
        assert!(followed <= causes, "{followed} swaps after {causes} answers");
        let published = self.books.attempts.get_mut(&attempt).expect("it was found");
        published.version = answer.unwrap_or(entry.version);
        self.published += 1;
        self.returned += u64::from(is_return);
    }

    /// Who serves is told of, and who was refused, once each.
    fn check_reports(&self, actions: &[Action]) {
        let (mut serving, mut refused) = (0, 0);
        for action in actions {
            let Action::Report { version, verdict, .. } = action else { continue };
            match verdict {
                Verdict::Accepted => serving += 1,
                Verdict::RolledBack { to, .. } => {
                    assert_ne!(*to, version.version);
                    serving += 1;
                }
                Verdict::Refused { .. } => refused += 1,
            }
        }
        let publishes = actions.iter().filter(|one| matches!(one, Action::Publish { .. })).count();
        assert_eq!(serving, publishes, "each publish is reported");
        assert_eq!(refused, usize::from(self.has_failed), "each failure is reported");
    }

    fn check_counts(&self) {
        assert!(self.books.loading() <= self.policy.loads_max.get());
        for (name, model) in &self.books.models {
            let count = |phase| self.books.of(name).filter(|entry| entry.phase == phase).count();
            assert!(count(Phase::Loading) <= 1);
            assert!(count(Phase::Loaded) <= 2, "{name}: at most two can serve");
            assert!(self.books.of(name).count() <= 3, "{name}: at most three in memory");
            if self.policy.swap == SwapPolicy::AvailabilityPreserving {
                assert!(!model.has_served || model.published.is_some(), "{name} serves no more");
            } else {
                assert!(self.books.of(name).count() <= 1, "{name}: at most one in memory");
            }
        }
    }

    /// What can serve serves or is kept for it.
    fn check_kept(&self, now: Instant) {
        for (attempt, entry) in &self.books.attempts {
            let model = &self.books.models[&entry.model];
            if entry.phase == Phase::Loaded && model.published != Some(*attempt) {
                let kept = model.kept.filter(|kept| kept.attempt == *attempt);
                assert!(kept.is_some_and(|kept| now < kept.until), "{entry:?} was forgotten");
            }
        }
    }

    /// How long a world that is quiet may take to catch up.
    pub(crate) fn patience(&self) -> Duration {
        let models = self.books.models.len() as u32;
        self.policy.backoff.max * 2 + self.policy.probation * 2 + Duration::from_mins(3) * models
    }
}
