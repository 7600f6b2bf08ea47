//! The right answers: given, or the first that come.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The right answer to each body; none until the first has come.
pub(crate) type Answers = Arc<[OnceLock<Vec<u8>>]>;

/// The right answers of each version of the model that answers: versions may be replaced while the
/// load runs, and each has answers of its own.
pub(crate) struct Expected {
    /// Of every version, where they are given.
    given: Option<Vec<Vec<u8>>>,
    bodies: usize,
    by_version: RwLock<BTreeMap<Option<u64>, Answers>>,
}

impl Expected {
    /// For so many bodies, and as many answers where they are given.
    pub(crate) fn new(given: Option<Vec<Vec<u8>>>, bodies: usize) -> Self {
        Self { given, bodies, by_version: RwLock::default() }
    }

    /// The answers of a version; `None` is a server that names none.
    pub(crate) fn of(&self, version: Option<u64>) -> Answers {
        let known = self.by_version.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(answers) = known.get(&version) {
            return Arc::clone(answers);
        }
        drop(known);
        let fresh = || match &self.given {
            Some(answers) => answers.iter().cloned().map(OnceLock::from).collect(),
            None => (0..self.bodies).map(|_| OnceLock::new()).collect(),
        };
        let mut known = self.by_version.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(version).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_answers_of_its_own() {
        let expected = Expected::new(None, 2);
        expected.of(Some(1))[1].set(b"one".to_vec()).unwrap();
        expected.of(Some(2))[1].set(b"two".to_vec()).unwrap();
        assert_eq!(expected.of(Some(1))[1].get().unwrap(), b"one");
        assert_eq!(expected.of(Some(2))[1].get().unwrap(), b"two");
        assert!(expected.of(Some(1))[0].get().is_none() && expected.of(None)[1].get().is_none());
    }

    #[test]
    fn answers_that_are_given_are_those_of_every_version() {
        let expected = Expected::new(Some(vec![b"a".to_vec()]), 1);
        for version in [None, Some(1), Some(2)] {
            assert_eq!(expected.of(version)[0].get().unwrap(), b"a");
        }
    }
}
