//! What is known of every model: what should serve, what serves, what is on its way, and why.
//!
//! Read by anybody, changed by [`step`](super::step) only.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::{AttemptId, Policy, VersionState};
use crate::model::{ModelName, VersionId};
use crate::source::Aspired;
use crate::store::Quarantined;

/// Attempts of a model, with the one that is to be loaded.
pub(super) const IN_MEMORY_MAX: usize = 3;
/// Versions that served before the present one and can be gone back to.
const PREDECESSORS_MAX: usize = 8;
/// Versions of a model that something is held against.
const REFUSALS_MAX: usize = 32;
/// Events of interest that are kept for a model.
const NOTES_MAX: usize = 16;

/// All models and how far they are.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub(super) policy: Policy,
    pub(super) models: BTreeMap<ModelName, ModelState>,
    pub(super) attempts_made: u64,
    pub(super) is_stopping: bool,
    pub(super) wake_at: Option<Instant>,
}

/// One model.
#[derive(Clone, Debug, Default)]
pub struct ModelState {
    /// The registry's last usable answer.
    pub(super) aspired: Option<Aspired>,
    /// Whether the registry was asked at all, with whatever success.
    pub(super) is_answered: bool,
    /// Why the registry's last answer is of no use, if it is not.
    pub(super) trouble: Option<String>,
    pub(super) pin: Option<Pin>,
    /// Those that have not ended, the oldest first.
    pub(super) attempts: Vec<Attempt>,
    /// The published one of them.
    pub(super) serving: Option<AttemptId>,
    pub(super) has_served: bool,
    pub(super) probation_until: Option<Instant>,
    /// The last version that was published without having served before.
    pub(super) on_trial: Option<AttemptId>,
    /// Versions that served before, the latest last; the present one is not among them.
    pub(super) predecessors: Vec<Aspired>,
    pub(super) refusals: BTreeMap<VersionId, Refusal>,
    pub(super) history: VecDeque<Note>,
    /// The number of the last load; whose is the smallest is next.
    pub(super) last_attempt: u64,
    /// Whether the model gave up its version for one that is to be loaded, and so has a place among
    /// the loads.
    pub(super) is_making_room: bool,
}

/// One try to bring a version to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub version: Aspired,
    pub state: VersionState,
    /// Since when it is in that state.
    pub since: Instant,
    pub purpose: Purpose,
    /// Whether the loader was told that nobody wants it any more.
    pub is_cancelled: bool,
}

/// Why a version is to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The registry says so.
    Wish,
    /// It is gone back to.
    Return,
    /// What should serve cannot, and nothing else does.
    Fallback,
}

/// A model that was gone back with and does not follow its registry until that says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub to: Aspired,
    pub from: Aspired,
    /// The registry's answer that is not followed.
    pub against: Aspired,
    pub cause: PinCause,
}

/// Who went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinCause {
    Operator,
    /// The new version did worse than its predecessor, as the text says.
    Worse(String),
}

/// What is held against a version, as long as the registry says the same about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// What the registry said about the version at that time.
    pub stamp: String,
    /// 0 for one of before the process began.
    pub attempt: AttemptId,
    /// The state that it did not get beyond.
    pub at: VersionState,
    pub cause: String,
    pub since: Instant,
    /// Failures in a row.
    pub failures: u32,
    /// Not tried again before.
    pub retry_at: Instant,
    /// Whether the registry has moved to another version since.
    pub is_wished_anew: bool,
}

/// What ends a refusal, besides an operator and something new that the registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The time, at `retry_at`.
    Transient,
    /// The registry, when it moves to another version and back, though not before `retry_at`.
    Permanent,
    /// Nothing: the version served worse than its predecessor.
    Quarantined,
}

/// Something of interest that has happened to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub at: Instant,
    pub version: VersionId,
    pub happening: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The registry's answer changed to it.
    Aspired,
    /// It serves.
    Published(Purpose),
    /// It came to nothing at this state.
    Refused(VersionState, String),
    /// Its load was stopped.
    Cancelled,
    /// It was to be gone back to.
    Pinned(PinCause),
    /// It need not serve any more: the registry is followed again.
    Unpinned,
    /// Its probation is over.
    Confirmed,
    /// It stopped serving to make room for another.
    Withdrawn,
}

impl Lifecycle {
    /// Without any model.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            models: BTreeMap::new(),
            attempts_made: 0,
            is_stopping: false,
            wake_at: None,
        }
    }

    /// All models by name.
    pub fn models(&self) -> impl Iterator<Item = (&ModelName, &ModelState)> {
        self.models.iter()
    }

    /// One of them.
    #[must_use]
    pub fn model(&self, name: &ModelName) -> Option<&ModelState> {
        self.models.get(name)
    }

    /// When [`Event::Tick`](super::Event::Tick) is due, as of the last step.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }
}

impl ModelState {
    /// A model that has not been asked for, with what served before the process began.
    pub(super) fn new(
        remembered: Vec<Aspired>,
        quarantined: Vec<Quarantined>,
        now: Instant,
    ) -> Self {
        let mut model = Self::default();
        for version in remembered {
            model.remember(version);
        }
        // A doubtful version is better than none.
        let has_other = !model.predecessors.is_empty();
        for Quarantined { version, stamp, cause } in quarantined.into_iter().filter(|_| has_other) {
            let refusal = Refusal {
                kind: RefusalKind::Quarantined,
                stamp,
                attempt: AttemptId(0),
                at: VersionState::Available,
                cause,
                since: now,
                failures: 1,
                retry_at: now,
                is_wished_anew: false,
            };
            model.refuse(version, refusal);
        }
        model
    }

    /// Versions that did worse than the one before them, the latest last.
    #[must_use]
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let mut refusals: Vec<_> = self
            .refusals
            .iter()
            .filter(|(_, refusal)| refusal.kind == RefusalKind::Quarantined)
            .collect();
        refusals.sort_by_key(|(_, refusal)| refusal.since);
        refusals
            .into_iter()
            .map(|(version, refusal)| Quarantined {
                version: *version,
                stamp: refusal.stamp.clone(),
                cause: refusal.cause.clone(),
            })
            .collect()
    }

    /// The registry's last usable answer.
    #[must_use]
    pub fn aspired(&self) -> Option<&Aspired> {
        self.aspired.as_ref()
    }

    /// Why the registry's last answer is of no use, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The attempts that have not ended, the oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The published one.
    #[must_use]
    pub fn serving(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| Some(attempt.id) == self.serving)
    }

    /// The one that was replaced and stays in memory while the new one is on probation.
    #[must_use]
    pub fn kept(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| {
            attempt.state == VersionState::Available && Some(attempt.id) != self.serving
        })
    }

    /// The one that the loader has.
    #[must_use]
    pub fn loading(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state.is_loading())
    }

    /// Until when the published version is compared with its predecessor.
    #[must_use]
    pub fn probation_until(&self) -> Option<Instant> {
        self.probation_until
    }

    /// Whether and why the model does not follow its registry.
    #[must_use]
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// The version that a rollback would go to: the latest that served before and was not refused
    /// since.
    #[must_use]
    pub fn predecessor(&self) -> Option<&Aspired> {
        self.predecessors.iter().rev().find(|version| {
            self.refusals
                .get(&version.version)
                .is_none_or(|refusal| refusal.kind == RefusalKind::Transient)
        })
    }

    /// What is held against versions.
    #[must_use]
    pub fn refusals(&self) -> &BTreeMap<VersionId, Refusal> {
        &self.refusals
    }

    /// The latest events of interest, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Note> {
        self.history.iter()
    }

    pub(super) fn attempt_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.id == id)
    }

    /// Takes out the attempt that the loader has, if it is this one.
    pub(super) fn end_load(&mut self, id: AttemptId) -> Option<Attempt> {
        let at = self.attempts.iter().position(|one| one.id == id && one.state.is_loading())?;
        Some(self.attempts.remove(at))
    }

    /// A version that served and may be gone back to, unless something is held against it then.
    pub(super) fn remember(&mut self, version: Aspired) {
        self.predecessors.retain(|one| one.version != version.version);
        if self.predecessors.len() == PREDECESSORS_MAX {
            self.predecessors.remove(0);
        }
        self.predecessors.push(version);
    }

    pub(super) fn is_quarantined(&self, version: &Aspired) -> bool {
        self.refusals.get(&version.version).is_some_and(|refusal| {
            refusal.kind == RefusalKind::Quarantined && refusal.stamp == version.stamp
        })
    }

    /// Beyond `REFUSALS_MAX` the oldest is forgotten, one of a quarantine last.
    pub(super) fn refuse(&mut self, version: VersionId, refusal: Refusal) {
        self.refusals.remove(&version);
        if self.refusals.len() == REFUSALS_MAX {
            let oldest = self
                .refusals
                .iter()
                .min_by_key(|(_, one)| (one.kind == RefusalKind::Quarantined, one.since))
                .map(|(version, _)| *version);
            oldest.map(|version| self.refusals.remove(&version));
        }
        self.refusals.insert(version, refusal);
    }

    /// Repeated refusals of a version take one place.
    pub(super) fn note(&mut self, at: Instant, version: VersionId, happening: Happening) {
        let is_refusal = |happening: &Happening| matches!(happening, Happening::Refused(..));
        let repeats = self.history.back().is_some_and(|last| {
            last.version == version && is_refusal(&last.happening) && is_refusal(&happening)
        });
        if repeats || self.history.len() == NOTES_MAX {
            let _ = if repeats { self.history.pop_back() } else { self.history.pop_front() };
        }
        self.history.push_back(Note { at, version, happening });
    }

    /// The invariants that one state shows.
    pub(super) fn is_sound(&self) -> bool {
        let count = |is: fn(VersionState) -> bool| {
            self.attempts.iter().filter(|attempt| is(attempt.state)).count()
        };
        self.serving.is_none_or(|id| {
            let serving = self.attempts.iter().find(|attempt| attempt.id == id);
            serving.is_some_and(|attempt| attempt.state == VersionState::Available)
        }) && count(VersionState::is_loading) <= 1
            && count(|state| state == VersionState::Available) <= 2
            && self.attempts.len() <= IN_MEMORY_MAX
    }
}

impl Attempt {
    pub(super) fn advance(&mut self, state: VersionState, now: Instant) {
        debug_assert!(self.state < state, "states move forward");
        self.state = state;
        self.since = now;
    }
}
