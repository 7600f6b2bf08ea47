//! What the published versions did lately: what a version that replaces one of them is compared
//! with.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::model::ModelName;
use crate::telemetry::Observed;

use super::AttemptId;
use super::probation::is_measured;

/// How often the published versions are looked at.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_secs(30);

/// Looks that are kept, of 13 kB each: what a version did in the last minute is known.
const SAMPLES_MAX: usize = 3;

/// Looks at published versions, and what their successors are compared with.
#[derive(Default)]
pub(super) struct Lately {
    samples: HashMap<AttemptId, VecDeque<Observed>>,
    /// What published versions had done before they were published.
    zeros: HashMap<AttemptId, Observed>,
    baselines: HashMap<ModelName, Observed>,
}

impl Lately {
    /// A version is published, which has done this before: what counts begins now.
    pub(super) fn published(&mut self, attempt: AttemptId, observed: Observed) {
        self.zeros.insert(attempt, observed);
    }

    /// What a published version has done since it was published.
    pub(super) fn since_published(&self, attempt: AttemptId, observed: &Observed) -> Observed {
        self.zeros.get(&attempt).map_or_else(|| observed.clone(), |zero| observed.since(zero))
    }

    /// Takes a look at a published version.
    pub(super) fn sample(&mut self, attempt: AttemptId, observed: Observed) {
        let samples = self.samples.entry(attempt).or_default();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(observed);
    }

    /// A version was replaced: what it did in its last minute is what the next is compared with.
    /// Where that is too little to tell, everything that it did is.
    pub(super) fn replaced(&mut self, model: ModelName, attempt: AttemptId, observed: Observed) {
        self.zeros.remove(&attempt);
        let samples = self.samples.remove(&attempt).unwrap_or_default();
        let lately = samples.front().map(|first| observed.since(first));
        let lately = lately.filter(is_measured);
        self.baselines.insert(model, lately.unwrap_or(observed));
    }

    /// A version that will not be published again, or not soon.
    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.zeros.remove(&attempt);
        self.samples.remove(&attempt);
    }

    /// What the model's present version is compared with.
    pub(super) fn baseline(&self, model: &ModelName) -> Option<&Observed> {
        self.baselines.get(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Health, compare};

    const MS: Duration = Duration::from_millis(1);

    fn name() -> ModelName {
        ModelName::new("churn").unwrap()
    }

    /// So many answers more, each this long.
    fn more(observed: &Observed, answers: u64, latency: Duration) -> Observed {
        let mut next = observed.clone();
        next.answered += answers;
        (0..answers).for_each(|_| next.latencies[0].add(latency));
        next
    }

    #[test]
    fn a_version_is_compared_with_the_last_minute_of_the_one_before() {
        let mut lately = Lately::default();
        let attempt = AttemptId(1);
        let mut observed = Observed::default();
        // Idle for long, then so busy that everything takes ten times as long.
        observed = more(&observed, 100_000, MS);
        lately.sample(attempt, observed.clone());
        for _ in 0..SAMPLES_MAX {
            observed = more(&observed, 100, MS * 10);
            lately.sample(attempt, observed.clone());
        }
        lately.replaced(name(), attempt, observed.clone());
        let baseline = lately.baseline(&name()).unwrap();
        assert_eq!(baseline.latencies[0].count(), 200);
        let successor = more(&Observed::default(), 200, MS * 12);
        assert_eq!(compare(&successor, baseline, true), Health::Fine);
        assert!(
            matches!(compare(&successor, &observed, true), Health::Worse(_)),
            "else it would be"
        );
    }

    #[test]
    fn where_the_last_minute_tells_too_little_all_that_it_did_counts() {
        let mut lately = Lately::default();
        let observed = more(&Observed::default(), 1000, MS);
        lately.sample(AttemptId(1), observed.clone());
        lately.replaced(name(), AttemptId(1), more(&observed, 5, MS));
        assert_eq!(lately.baseline(&name()).unwrap().answered, 1005);
        lately.replaced(name(), AttemptId(2), Observed::default());
        assert_eq!(lately.baseline(&name()), Some(&Observed::default()), "each has its own");
    }
}
