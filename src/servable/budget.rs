//! What all requests together may hold: a number of them, and bytes of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bounds over all requests of the process, whatever their model.
pub struct Budget {
    requests: AtomicUsize,
    requests_max: usize,
    bytes_free: AtomicUsize,
    bytes_max: usize,
}

/// Why a request may not go on. Nothing is wrong with the request itself, but for
/// [`TooLarge`](Exhausted::TooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    #[error("{0} requests are in progress, the most that may")]
    Requests(usize),
    #[error("the memory for requests is taken")]
    Bytes,
    /// Even alone the request would not fit.
    #[error(
        "the request needs up to {needed} bytes of memory, and all requests together have {max}"
    )]
    TooLarge { needed: usize, max: usize },
}

/// One request's part of the budget, given back when dropped.
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget for `requests_max` requests and `bytes_max` bytes.
    #[must_use]
    pub fn new(requests_max: usize, bytes_max: usize) -> Self {
        let (requests, bytes_free) = (AtomicUsize::new(0), AtomicUsize::new(bytes_max));
        Self { requests, requests_max, bytes_free, bytes_max }
    }

    /// Admits a request, which holds no memory yet.
    ///
    /// # Errors
    /// `Requests` when there are as many as may be.
    pub fn enter(self: &Arc<Self>) -> Result<Share, Exhausted> {
        let share = Share { budget: Arc::clone(self), bytes: 0 };
        // The share gives the request back, counted too many or not.
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.requests_max {
            return Err(Exhausted::Requests(self.requests_max));
        }
        Ok(share)
    }

    /// Requests in progress.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), Exhausted> {
        let taken = self
            .bytes_free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes));
        taken.map(drop).map_err(|_| Exhausted::Bytes)
    }
}

impl Share {
    /// Bytes that the request holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` more.
    ///
    /// # Errors
    /// `Bytes` when the budget does not have them now, `TooLarge` when it never will.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.hold(self.bytes.saturating_add(bytes))
    }

    /// Holds `bytes` from now on, more or fewer than before.
    ///
    /// # Errors
    /// As [`grow`](Self::grow); the share is as it was then.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if let Some(more) = bytes.checked_sub(self.bytes) {
            let max = self.budget.bytes_max;
            if bytes > max {
                return Err(Exhausted::TooLarge { needed: bytes, max });
            }
            self.budget.take(more)?;
        } else {
            self.budget.bytes_free.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.bytes_free.fetch_add(self.bytes, Ordering::Relaxed);
        self.budget.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_are_given_back() {
        let budget = Arc::new(Budget::new(2, 100));
        let mut one = budget.enter().unwrap();
        let mut two = budget.enter().unwrap();
        assert_eq!(budget.enter().err(), Some(Exhausted::Requests(2)));
        assert_eq!(budget.requests(), 2);

        assert_eq!(one.grow(60), Ok(()));
        assert_eq!(two.grow(60), Err(Exhausted::Bytes));
        assert_eq!(one.hold(40), Ok(()));
        assert_eq!(two.grow(60), Ok(()));
        assert_eq!(two.grow(1), Err(Exhausted::Bytes));
        assert_eq!(two.grow(41), Err(Exhausted::TooLarge { needed: 101, max: 100 }));
        assert_eq!((one.bytes(), two.bytes()), (40, 60));

        drop((one, two));
        let mut all = budget.enter().unwrap();
        assert_eq!(all.grow(100), Ok(()));
        assert_eq!(budget.requests(), 1);
    }
}
