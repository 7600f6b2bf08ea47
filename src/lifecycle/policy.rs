//! What a model should do next, were there no limits: pure questions to one model's state.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::AttemptId;
use super::state::{Attempt, ModelState, Purpose, Refusal, RefusalKind};
use crate::model::VersionId;
use crate::source::Aspired;

/// What is given up while a version replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapPolicy {
    /// Memory: the new version is loaded beside the old one, which serves until it is replaced.
    AvailabilityPreserving,
    /// Availability: the old version is drained and unloaded before the new one is loaded, and
    /// there is none in between. When the new one is refused, the old one is loaded again; when
    /// that is refused too, there is none. For machines that cannot hold two.
    ResourcePreserving,
}

/// How versions come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub swap: SwapPolicy,
    /// Loads at once, over all models.
    pub loads_max: NonZeroUsize,
    pub backoff: Backoff,
    /// For how long a version is compared with its predecessor; zero for not at all.
    pub probation: Duration,
    /// Whether the predecessor stays in memory for that long. Without it, going back takes a load.
    /// Nothing is kept under [`SwapPolicy::ResourcePreserving`].
    pub keeps_predecessor: bool,
    /// Spreads the retries of several servers; two of them should differ in it.
    pub jitter_seed: u64,
}

/// How long to wait before the same is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure. Doubles with each further one.
    pub first: Duration,
    /// Never longer than this.
    pub max: Duration,
}

/// Whether a model serves, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    Serving,
    /// A version is on its way, or the registry has not answered yet.
    Coming,
    /// Nothing is on its way. Ends when the registry says something new, or when it is time for
    /// another try.
    Stuck(String),
}

impl Backoff {
    /// The time after so many failures in a row: between a half of it and the whole, by `jitter`,
    /// which is in 0..=1.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.max);
        whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

impl Policy {
    /// How long to wait after a failed attempt.
    pub(super) fn wait(&self, failures: u32, attempt: AttemptId) -> Duration {
        let seed = self.jitter_seed ^ attempt.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.backoff.wait(failures, fastrand::Rng::with_seed(seed).f64())
    }

    /// Whether a version that was replaced stays in memory while the new one is on probation.
    pub(super) fn keeps(&self) -> bool {
        self.keeps_predecessor && self.swap == SwapPolicy::AvailabilityPreserving
    }
}

impl Refusal {
    /// Whether this keeps the version out at that time.
    fn holds(&self, version: &Aspired, now: Instant) -> bool {
        self.stamp == version.stamp && self.opens_at().is_none_or(|at| now < at)
    }

    /// When it stops to keep the version out, if by time alone.
    #[must_use]
    pub fn opens_at(&self) -> Option<Instant> {
        match self.kind {
            RefusalKind::Transient => Some(self.retry_at),
            RefusalKind::Permanent => self.is_wished_anew.then_some(self.retry_at),
            RefusalKind::Quarantined => None,
        }
    }
}

impl ModelState {
    /// Whether nothing is held against a version at that time.
    fn is_open(&self, version: &Aspired, now: Instant) -> bool {
        self.refusals.get(&version.version).is_none_or(|refusal| !refusal.holds(version, now))
    }

    /// The version that should be published in place of the present one, and why; `None` while all
    /// is well, or nothing may be tried now.
    pub(super) fn desired(&self, now: Instant) -> Option<(&Aspired, Purpose)> {
        let serving = self.serving().map(|attempt| attempt.version.version);
        let wish = self.wish();
        if let Some((version, _)) = wish
            && Some(version.version) == serving
        {
            return None;
        }
        wish.filter(|(version, _)| self.is_open(version, now)).or_else(|| {
            // An old version is better than none, once it is known that the right one cannot be.
            (serving.is_none() && self.is_answered)
                .then(|| self.fallbacks().find(|version| self.is_open(version, now)))
                .flatten()
                .map(|version| (version, Purpose::Fallback))
        })
    }

    /// Whether the model serves, or will.
    #[must_use]
    pub fn outlook(&self, now: Instant) -> Outlook {
        if self.serving.is_some() {
            return Outlook::Serving;
        }
        if !self.is_answered || self.loading().is_some() || self.desired(now).is_some() {
            return Outlook::Coming;
        }
        let refused = self.wish().and_then(|(version, _)| self.refusals.get(&version.version));
        let cause = refused.map(|refusal| refusal.cause.clone()).or(self.trouble.clone());
        Outlook::Stuck(cause.unwrap_or_else(|| "nothing can be tried now".to_owned()))
    }

    /// Whether what serves is not what should: an earlier version, in place of one that could not
    /// be asked for or could not be loaded. One that serves for a version in quarantine is right.
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        let is_right = |serving: &Attempt| {
            self.aspired.as_ref().is_some_and(|aspired| {
                aspired.version == serving.version.version || self.is_quarantined(aspired)
            })
        };
        self.serving().is_some_and(|one| one.purpose == Purpose::Fallback && !is_right(one))
    }

    /// Whether a version has served, as far as is known.
    #[must_use]
    pub fn has_served(&self, version: VersionId) -> bool {
        self.predecessors.iter().any(|one| one.version == version)
    }

    /// Whether the published version is on trial: one that has not served before is.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.serving.is_some() && self.serving == self.on_trial
    }

    /// What should serve if it can: what an operator or a failed probation went back to, else what
    /// the registry says.
    fn wish(&self) -> Option<(&Aspired, Purpose)> {
        match &self.pin {
            Some(pin) => Some((&pin.to, Purpose::Return)),
            None => self.aspired.as_ref().map(|version| (version, Purpose::Wish)),
        }
    }

    /// What may serve if the wish cannot and nothing else does, the best first.
    fn fallbacks(&self) -> impl Iterator<Item = &Aspired> {
        self.predecessors.iter().rev().chain(&self.aspired)
    }

    /// When something that may not be tried now may be, if by time alone.
    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        let fallbacks = self.serving.is_none().then(|| self.fallbacks()).into_iter().flatten();
        self.wish()
            .map(|(version, _)| version)
            .into_iter()
            .chain(fallbacks)
            .filter_map(|version| self.refusals.get(&version.version)?.opens_at())
            .filter(|at| *at > now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let backoff = Backoff { first: SECOND, max: SECOND * 300 };
        let waits: Vec<_> = (1..12).map(|failures| backoff.wait(failures, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.wait(1, 0.0), SECOND / 2);
    }

    proptest! {
        #[test]
        fn the_wait_is_never_zero_and_never_too_long(failures: u32, jitter: f64) {
            let backoff = Backoff { first: SECOND, max: SECOND * 300 };
            let wait = backoff.wait(failures, if jitter.is_nan() { 0.5 } else { jitter });
            prop_assert!(wait >= SECOND / 2 && wait <= backoff.max);
        }
    }

    #[test]
    fn retries_of_two_servers_are_spread() {
        let policy = |jitter_seed| Policy {
            swap: SwapPolicy::AvailabilityPreserving,
            loads_max: NonZeroUsize::MIN,
            backoff: Backoff { first: SECOND, max: SECOND * 300 },
            probation: SECOND * 60,
            keeps_predecessor: true,
            jitter_seed,
        };
        assert_ne!(policy(1).wait(3, AttemptId(1)), policy(2).wait(3, AttemptId(1)));
        assert_ne!(policy(1).wait(3, AttemptId(1)), policy(1).wait(3, AttemptId(2)));
        assert_eq!(policy(1).wait(3, AttemptId(1)), policy(1).wait(3, AttemptId(1)));
    }
}
