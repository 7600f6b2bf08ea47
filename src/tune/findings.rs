//! What was found out about a model, kept from one start to the next.

use crate::store::{TuneCache, TuneKey, TuneRecord};

use super::{Batching, Costs};

/// What the samples told about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    pub batching: Batching,
    pub costs: Costs,
}

impl Findings {
    /// What an earlier start found out and kept.
    pub fn recall(cache: &TuneCache, key: &TuneKey) -> Option<Self> {
        let TuneRecord { alone, points } = cache.get(key)?;
        let batching = alone.map_or(Batching::Merged, Batching::Alone);
        Some(Self { batching, costs: Costs::new(points) })
    }

    /// Keeps this for later starts, if the cache can.
    pub fn keep(&self, cache: &TuneCache, key: &TuneKey) {
        let alone = match &self.batching {
            Batching::Merged => None,
            Batching::Alone(reason) => Some(reason.clone()),
        };
        cache.put(key, &TuneRecord { alone, points: self.costs.points().to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{ModelDir, TuneConditions};

    #[test]
    fn what_is_kept_is_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/wine-quality/1");
        let model = ModelDir::open(model.as_ref()).unwrap();
        let conditions = TuneConditions {
            engine: "engine 1 (provider)".to_owned(),
            intra_op_threads: 1,
            cores: 2,
            rows_max: 1024,
            time_max: Duration::from_secs(2),
        };
        let key = TuneKey::of(&model, &conditions).unwrap();
        let cache = TuneCache::new(dir.path().join("made/when/needed"));
        assert_eq!(Findings::recall(&cache, &key), None);

        let costs = Costs::new(vec![(1, Duration::from_micros(7)), (2, Duration::from_micros(9))]);
        for batching in [Batching::Merged, Batching::Alone("it is a test".to_owned())] {
            let findings = Findings { batching, costs: costs.clone() };
            findings.keep(&cache, &key);
            assert_eq!(Findings::recall(&cache, &key), Some(findings));
        }
    }
}
