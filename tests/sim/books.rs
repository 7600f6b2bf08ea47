//! What the checker knows by itself: from events and actions alone, never from the state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use flowgate::lifecycle::AttemptId;
use flowgate::model::{ModelName, VersionId};
use flowgate::source::Aspired;

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Loading,
    Loaded,
    Closed,
    Drained,
    Unloading,
}

/// An attempt that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) model: ModelName,
    pub(crate) version: Aspired,
    pub(crate) phase: Phase,
    pub(crate) is_cancelled: bool,
}

/// What is held against a version.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) stamp: String,
    pub(crate) kind: Kind,
    /// Whether the registry has moved away since.
    pub(crate) is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Transient,
    Permanent,
    Quarantined,
}

/// The version that a probation is kept for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) attempt: AttemptId,
    pub(crate) until: Instant,
}

/// One model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) answer: Option<Aspired>,
    pub(crate) published: Option<AttemptId>,
    pub(crate) has_served: bool,
    pub(crate) kept: Option<Kept>,
    /// Versions that have served, or did before the process began.
    pub(crate) served: BTreeSet<VersionId>,
    pub(crate) verdicts: BTreeMap<VersionId, Verdict>,
    /// When a version failed last, as the registry had it then.
    pub(crate) failures: BTreeMap<(VersionId, String), Instant>,
    /// Causes and effects: the registry's answers and operators' polls, publishes that follow it.
    pub(crate) causes: u64,
    pub(crate) followed: u64,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) models: BTreeMap<ModelName, Model>,
    pub(crate) attempts: BTreeMap<AttemptId, Entry>,
    pub(crate) attempts_made: u64,
    pub(crate) is_stopped: bool,
}

impl Books {
    pub(crate) fn of<'a>(&'a self, model: &'a ModelName) -> impl Iterator<Item = &'a Entry> {
        self.attempts.values().filter(move |entry| entry.model == *model)
    }

    pub(crate) fn loading(&self) -> usize {
        self.attempts.values().filter(|entry| entry.phase == Phase::Loading).count()
    }

    /// Models that stopped serving for a version that is still to be loaded.
    pub(crate) fn making_room(&self) -> usize {
        let is_out = |name: &ModelName, model: &Model| {
            model.has_served
                && model.published.is_none()
                && self.of(name).any(|entry| entry.phase >= Phase::Closed)
        };
        self.models.iter().filter(|(name, model)| is_out(name, model)).count()
    }

    pub(crate) fn model(&mut self, name: &ModelName) -> &mut Model {
        self.models.get_mut(name).expect("actions are about models that were started")
    }

    /// The registry has answered with a version.
    pub(crate) fn answered(&mut self, name: &ModelName, version: &Aspired) {
        let model = self.model(name);
        model.causes += 1;
        model.answered(version);
        let own = |entry: &&mut Entry| entry.model == *name && entry.phase != Phase::Loading;
        let loaded = self.attempts.values_mut().filter(own).map(|entry| &mut entry.version);
        loaded.filter(|one| one.version == version.version).for_each(|one| *one = version.clone());
    }

    pub(crate) fn published(&self, name: &ModelName) -> Option<&Aspired> {
        let id = self.models[name].published?;
        Some(&self.attempts[&id].version)
    }
}

impl Model {
    /// What is held against a version as the registry has it now.
    pub(crate) fn verdict(&self, version: &Aspired) -> Option<&Verdict> {
        self.verdicts.get(&version.version).filter(|verdict| verdict.stamp == version.stamp)
    }

    /// Whether a version may not be loaded or published, however long one waits.
    pub(crate) fn is_out(&self, version: &Aspired) -> bool {
        self.verdict(version).is_some_and(|verdict| match verdict.kind {
            Kind::Transient => false,
            Kind::Permanent => !verdict.is_over,
            Kind::Quarantined => true,
        })
    }

    /// Whatever was held against a version is forgotten.
    pub(crate) fn forgive(&mut self, version: Option<VersionId>) {
        self.verdicts.retain(|refused, _| Some(*refused) != version);
        self.failures.retain(|(failed, _), _| Some(*failed) != version);
    }

    fn answered(&mut self, new: &Aspired) {
        if let Some(old) = &self.answer
            && old.version != new.version
            && let Some(verdict) = self.verdicts.get_mut(&old.version)
        {
            verdict.is_over = true;
        }
        if self.verdicts.get(&new.version).is_some_and(|verdict| verdict.stamp != new.stamp) {
            self.forgive(Some(new.version));
        }
        self.answer = Some(new.clone());
    }
}
