//! The world around the lifecycle: what registries say, how loads go, what operators do.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use flowgate::lifecycle::{
    Action, Answer, AttemptId, Backoff, Event, Health, Lifecycle, Policy, SwapPolicy, VersionState,
};
use flowgate::model::ModelName;
use flowgate::source::Aspired;

use crate::checker::Checker;
use crate::registry::Registry;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Events that may come a second time.
const REPEATABLE: usize = 8;

pub(crate) struct World {
    random: fastrand::Rng,
    now: Instant,
    policy: Policy,
    state: Lifecycle,
    checker: Checker,
    registries: BTreeMap<ModelName, Registry>,
    /// What will happen, in its order.
    agenda: BTreeMap<(Instant, u64), Event>,
    planned: u64,
    /// Versions whose gate does not let them pass, and those that serve badly, by what the registry
    /// says about them.
    broken: BTreeSet<String>,
    bad: BTreeSet<String>,
    /// Loads of a hundred that fail for no reason of their own.
    failing: u8,
    /// What has happened lately.
    past: Vec<Event>,
    pub(crate) steps: u64,
    is_traced: bool,
}

impl World {
    pub(crate) fn new(seed: u64, swap: SwapPolicy, is_traced: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let policy = Policy {
            swap,
            loads_max: NonZeroUsize::new(random.usize(1..3)).unwrap(),
            backoff: Backoff { first: SECOND, max: SECOND * 300 },
            probation: SECOND * [0, 5, 60, 60][random.usize(0..4)],
            keeps_predecessor: random.u8(0..4) > 0,
            jitter_seed: seed,
        };
        let names = ["a", "b", "c", "d"].into_iter().take(random.usize(1..5));
        let registries =
            names.map(|name| (ModelName::new(name).unwrap(), Registry::default())).collect();
        let failing = [0, 10, 50][random.usize(0..3)];
        let mut world = Self {
            random,
            now: Instant::now(),
            policy,
            state: Lifecycle::new(policy),
            checker: Checker::new(policy),
            registries,
            agenda: BTreeMap::new(),
            planned: 0,
            broken: BTreeSet::new(),
            bad: BTreeSet::new(),
            failing,
            past: Vec::new(),
            steps: 0,
            is_traced,
        };
        for model in world.models() {
            world.promote(&model);
            world.feed(Event::Start { model, remembered: Vec::new(), quarantined: Vec::new() });
        }
        world
    }

    /// Versions published and rollbacks so far.
    pub(crate) fn seen(&self) -> (u64, u64) {
        (self.checker.published, self.checker.returned)
    }

    fn models(&self) -> Vec<ModelName> {
        self.registries.keys().cloned().collect()
    }

    /// Some time passes, then something happens.
    pub(crate) fn turn(&mut self) {
        let longest = [10, 1000, 5000, 60_000][self.random.usize(0..4)];
        let time = MS * self.random.u32(0..longest);
        self.pass(time);
        let model = self.models().swap_remove(self.random.usize(0..self.registries.len()));
        match self.random.u8(0..100) {
            0..8 => self.promote(&model),
            8..16 => self.change(&model),
            16..70 => self.poll(&model),
            70..90 => self.look_after(&model),
            90..93 => self.feed(Event::Rollback { model }),
            93..95 => self.feed(Event::Poll { model }),
            95..98 => self.repeat(),
            98 => self.feed(Event::Tick),
            _ if self.random.u8(0..4) == 0 => self.restart(),
            _ => {}
        }
    }

    /// A new version is to serve.
    fn promote(&mut self, model: &ModelName) {
        self.registries.get_mut(model).unwrap().promote(model);
        self.judge(model);
    }

    /// Whether the chosen version is any good, as the registry has it now.
    fn judge(&mut self, model: &ModelName) {
        let stamp = self.registries[model].chosen().stamp.clone();
        match self.random.u8(0..8) {
            0..2 => self.broken.insert(stamp),
            2..4 => self.bad.insert(stamp),
            _ => false,
        };
    }

    fn change(&mut self, model: &ModelName) {
        let registry = self.registries.get_mut(model).unwrap();
        if registry.change(&mut self.random) {
            self.judge(model);
        }
    }

    fn poll(&mut self, model: &ModelName) {
        let is_lost = self.random.u8(0..20) == 0;
        let answer = if is_lost {
            Answer::Error("down".to_owned())
        } else {
            self.registries[model].answer()
        };
        self.feed(Event::Aspired { model: model.clone(), answer });
    }

    /// The version that serves is compared with its predecessor, or some other one is by mistake.
    fn look_after(&mut self, model: &ModelName) {
        let seen = self.state.model(model).unwrap();
        let (serving, other) = (seen.serving(), self.random.choice(seen.attempts()));
        let is_mistake = self.random.u8(0..20) == 0;
        let Some(attempt) = (if is_mistake { other } else { serving }) else { return };
        let health = if self.bad.contains(&attempt.version.stamp) {
            Health::Worse("half of all requests failed".to_owned())
        } else if self.random.bool() {
            Health::Fine
        } else {
            Health::TooEarly
        };
        self.feed(Event::Health { model: model.clone(), attempt: attempt.id, health });
    }

    /// Something that has happened is told again.
    fn repeat(&mut self) {
        if let Some(event) = self.random.choice(self.past.clone()) {
            self.feed(event);
        }
    }

    /// The process ends and begins anew. It knows what served, and what is in quarantine.
    fn restart(&mut self) {
        let starts: Vec<_> = self
            .state
            .models()
            .map(|(name, model)| {
                let serving = model.serving().map(|serving| &serving.version);
                let remembered = model.predecessor().into_iter().chain(serving).cloned().collect();
                let quarantined = model.quarantined();
                Event::Start { model: name.clone(), remembered, quarantined }
            })
            .collect();
        self.agenda.clear();
        self.past.clear();
        self.state = Lifecycle::new(self.policy);
        let (published, returned) = self.seen();
        self.checker = Checker::new(self.policy);
        (self.checker.published, self.checker.returned) = (published, returned);
        for start in starts {
            self.feed(start);
        }
    }

    /// Everything that is due until then happens.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let wake_at = self.state.wake_at();
            let Some(next) = planned.into_iter().chain(wake_at).min().filter(|at| *at <= until)
            else {
                break;
            };
            self.now = next;
            let event = match self.agenda.first_entry() {
                Some(first) if planned == Some(next) => first.remove(),
                _ => Event::Tick,
            };
            self.feed(event);
        }
        self.now = until;
    }

    fn feed(&mut self, event: Event) {
        self.steps += 1;
        if self.is_traced {
            eprintln!("{:?} {event:?}", self.now);
        }
        for action in self.checker.step(&mut self.state, &event, self.now) {
            if self.is_traced {
                eprintln!("    {action:?}");
            }
            self.act(action);
        }
        if self.past.len() == REPEATABLE {
            self.past.remove(0);
        }
        // The beginning and the end of a process are never repeated.
        if !matches!(event, Event::Start { .. } | Event::Stop) {
            self.past.push(event);
        }
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), event);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Load { model, attempt, version, .. } => self.load(&model, attempt, &version),
            Action::Cancel { attempt } => self.cancel(attempt),
            Action::Close { attempt } => {
                let time = MS * [0, 10, 10_000][self.random.usize(0..3)];
                let model = self.model_of(attempt);
                self.plan(time, Event::Drained { model, attempt });
            }
            Action::Unload { attempt } => {
                let time = MS * self.random.u32(0..200);
                let model = self.model_of(attempt);
                self.plan(time, Event::Unloaded { model, attempt });
            }
            Action::Publish { .. } | Action::Withdraw { .. } | Action::Report { .. } => {}
        }
    }

    fn model_of(&self, attempt: AttemptId) -> ModelName {
        self.checker.books.attempts[&attempt].model.clone()
    }

    fn load(&mut self, model: &ModelName, attempt: AttemptId, version: &Aspired) {
        let stages = [
            VersionState::Fetching,
            VersionState::Verifying,
            VersionState::Loading,
            VersionState::WarmingUp,
        ];
        let slowest = [5, 300, 10_000][self.random.usize(0..3)];
        let fails = self.broken.contains(&version.stamp);
        let is_transient = self.random.u8(0..100) < self.failing;
        let end = if fails || is_transient { self.random.usize(0..4) } else { 4 };
        let mut time = Duration::ZERO;
        for state in stages.into_iter().take(end.saturating_add(1)) {
            time += MS * self.random.u32(0..slowest);
            self.plan(time, Event::Progress { model: model.clone(), attempt, state });
        }
        time += MS * self.random.u32(0..slowest);
        let model = model.clone();
        let cause = "something is wrong".to_owned();
        let event = match stages.get(end) {
            Some(at) => Event::Failed { model, attempt, at: *at, cause, is_transient },
            None => Event::Loaded { model, attempt },
        };
        self.plan(time, event);
    }

    /// The loader hears of it at once, or too late.
    fn cancel(&mut self, attempt: AttemptId) {
        if self.random.u8(0..3) == 0 {
            return;
        }
        let is_about = |event: &Event| match event {
            Event::Progress { attempt: one, .. }
            | Event::Loaded { attempt: one, .. }
            | Event::Failed { attempt: one, .. } => *one == attempt,
            _ => false,
        };
        self.agenda.retain(|_, event| !is_about(event));
        let (model, at) = (self.model_of(attempt), VersionState::Fetching);
        let cause = "it was cancelled".to_owned();
        let time = MS * self.random.u32(0..50);
        self.plan(time, Event::Failed { model, attempt, at, cause, is_transient: false });
    }

    /// No more changes and no more bad luck: the registries answer, and loads succeed unless the
    /// registry still wants what is broken.
    pub(crate) fn calm_down(&mut self) {
        self.failing = 0;
        for model in self.models() {
            let registry = self.registries.get_mut(&model).unwrap();
            (registry.is_down, registry.is_empty) = (false, false);
            if self.random.bool() {
                self.promote(&model);
                let stamp = &self.registries[&model].chosen().stamp;
                self.broken.remove(stamp);
            }
        }
        self.rest();
        self.checker.check_caught_up(&self.state);
    }

    /// The process ends while much goes on.
    pub(crate) fn stop(&mut self) {
        self.feed(Event::Stop);
        for _ in 0..50 {
            self.turn_after_stop();
        }
        self.rest();
    }

    fn turn_after_stop(&mut self) {
        let time = MS * self.random.u32(0..1000);
        self.pass(time);
        let model = self.models().swap_remove(self.random.usize(0..self.registries.len()));
        match self.random.u8(0..5) {
            0 => self.promote(&model),
            1 => self.feed(Event::Rollback { model }),
            2 => self.feed(Event::Poll { model }),
            3 => self.look_after(&model),
            _ => self.poll(&model),
        }
    }

    /// The process begins anew, and no registry answers.
    pub(crate) fn restart_alone(&mut self) {
        self.failing = 0;
        self.broken.clear();
        let served: Vec<_> = self
            .models()
            .into_iter()
            .filter(|model| self.state.model(model).unwrap().serving().is_some())
            .collect();
        self.restart();
        for registry in self.registries.values_mut() {
            registry.is_down = true;
        }
        self.rest();
        for model in served {
            assert!(self.state.model(&model).unwrap().serving().is_some(), "{model} was served");
        }
    }

    /// Time passes, with polls and nothing else, until all is done.
    fn rest(&mut self) {
        let until = self.now + self.checker.patience();
        while self.now < until {
            for model in self.models() {
                self.poll(&model);
            }
            self.pass(SECOND * 10);
        }
        assert!(self.agenda.is_empty(), "something goes on: {:?}", self.agenda);
        self.checker.check_rest(&self.state);
    }
}
