//! One model, step by step: what an event leads to.

mod follow;
mod promotions;
mod refusals;
mod returns;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::model::{ModelName, VersionId};
use crate::source::{Aspired, Origin};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy {
        swap: SwapPolicy::AvailabilityPreserving,
        loads_max: NonZeroUsize::MIN,
        backoff: Backoff { first: SECOND, max: SECOND * 300 },
        probation: SECOND * 60,
        keeps_predecessor: true,
        jitter_seed: 0,
    }
}

fn name() -> ModelName {
    ModelName::new("churn").unwrap()
}

fn version(number: u64) -> Aspired {
    let origin = Origin::Directory(PathBuf::from(number.to_string()));
    Aspired { version: VersionId(number), origin, stamp: String::new() }
}

/// One model. Actions are told in short: `load 1=3` is attempt 1 for version 3.
struct Bench {
    state: Lifecycle,
    now: Instant,
}

impl Bench {
    fn new(policy: Policy, remembered: &[u64]) -> Self {
        let mut bench = Self { state: Lifecycle::new(policy), now: Instant::now() };
        let remembered = remembered.iter().map(|number| version(*number)).collect();
        let start = Event::Start { model: name(), remembered, quarantined: Vec::new() };
        assert_eq!(bench.feed(start), "");
        bench
    }

    /// With version 1 served by attempt 1, and version 2 by attempt 2 on probation.
    fn promoted(policy: Policy) -> Self {
        let mut bench = Self::new(policy, &[]);
        assert_eq!(bench.aspire(1), "load 1=1");
        assert_eq!(bench.loaded(1), "publish 1, accepted 1");
        assert_eq!(bench.aspire(2), "load 2=2");
        bench
    }

    fn feed(&mut self, event: Event) -> String {
        let actions = step(&mut self.state, event, self.now);
        actions.iter().map(in_short).collect::<Vec<_>>().join(", ")
    }

    fn answer(&mut self, answer: Answer) -> String {
        self.feed(Event::Aspired { model: name(), answer })
    }

    fn aspire(&mut self, number: u64) -> String {
        self.answer(Answer::Version(version(number)))
    }

    fn loaded(&mut self, attempt: u64) -> String {
        self.feed(Event::Loaded { model: name(), attempt: AttemptId(attempt) })
    }

    fn fail(&mut self, attempt: u64, is_transient: bool) -> String {
        let (model, attempt, cause) = (name(), AttemptId(attempt), "it broke".to_owned());
        self.feed(Event::Failed { model, attempt, at: VersionState::Loading, cause, is_transient })
    }

    fn drained(&mut self, attempt: u64) -> String {
        self.feed(Event::Drained { model: name(), attempt: AttemptId(attempt) })
    }

    fn unloaded(&mut self, attempt: u64) -> String {
        self.feed(Event::Unloaded { model: name(), attempt: AttemptId(attempt) })
    }

    fn worse(&mut self, attempt: u64) -> String {
        let health = Health::Worse("slow".to_owned());
        self.feed(Event::Health { model: name(), attempt: AttemptId(attempt), health })
    }

    fn rollback(&mut self) -> String {
        self.feed(Event::Rollback { model: name() })
    }

    /// The next time that was asked for comes.
    fn wake(&mut self) -> String {
        self.now = self.state.wake_at().expect("something is due");
        self.feed(Event::Tick)
    }

    fn model(&self) -> &ModelState {
        self.state.model(&name()).unwrap()
    }
}

fn in_short(action: &Action) -> String {
    match action {
        Action::Load { attempt, version, .. } => format!("load {}={}", attempt.0, version.version),
        Action::Cancel { attempt } => format!("cancel {}", attempt.0),
        Action::Publish { attempt, .. } => format!("publish {}", attempt.0),
        Action::Withdraw { attempt, .. } => format!("withdraw {}", attempt.0),
        Action::Close { attempt } => format!("close {}", attempt.0),
        Action::Unload { attempt } => format!("unload {}", attempt.0),
        Action::Report { version, verdict, .. } => match verdict {
            Verdict::Accepted => format!("accepted {}", version.version),
            Verdict::Refused { .. } => format!("refused {}", version.version),
            Verdict::RolledBack { to, .. } => format!("back from {} to {to}", version.version),
        },
    }
}
