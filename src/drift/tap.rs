//! Where rows that were answered leave for the counting: copies, bounded, without waiting.
//!
//! A thread that has run a batch puts copies of its rows on a pile of its own; whoever counts takes
//! the piles a few times a second. A pile that is full takes no more until then, so that what drift
//! costs is bounded whatever the load: the rows that are counted are a sample then, and those that
//! are not are counted as dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::model::Output;
use crate::telemetry::PerThread;
use crate::tensor::Tensor;

/// Rows on one pile. At ten takes a second that is 40,000 rows a second and thread, of which
/// counting costs less than a hundredth of a core with ten features.
const ROWS_MAX: usize = 4096;
/// Batches on one pile: each costs about as much to count as a hundred values.
const BLOCKS_MAX: usize = 256;
/// Bytes on one pile.
const BYTES_MAX: usize = 1 << 20;

/// Takes copies of rows. Shared by all threads that run a version.
pub struct Tap {
    piles: PerThread<Mutex<Pile>>,
    busy: AtomicU64,
    shapeless: AtomicU64,
}

#[derive(Default)]
struct Pile {
    rows: usize,
    bytes: usize,
    blocks: Vec<Block>,
}

/// Rows that ran together.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) feeds: Vec<Tensor>,
    pub(super) outputs: Vec<Output>,
}

/// Rows of a batch that is being run. Dropped without outputs, they are forgotten: the run failed.
#[must_use]
pub struct Sample<'a> {
    tap: &'a Tap,
    rows: usize,
    /// Every so manieth row was taken.
    step: usize,
    feeds: Vec<Tensor>,
}

impl Default for Tap {
    fn default() -> Self {
        let piles = PerThread::new(Mutex::default);
        Self { piles, busy: AtomicU64::new(0), shapeless: AtomicU64::new(0) }
    }
}

impl Tap {
    /// Copies rows of a batch that is about to run, evenly spread where there is no room for all.
    pub fn sample(&self, feeds: &[Tensor]) -> Option<Sample<'_>> {
        let rows = feeds.first().and_then(Tensor::rows).unwrap_or(0);
        if rows == 0 || feeds.iter().any(|feed| feed.rows() != Some(rows)) {
            self.shapeless.fetch_add(rows as u64, Ordering::Relaxed);
            return None;
        }
        let bytes = feeds.iter().map(Tensor::bytes).sum();
        let room = self.own().map_or(0, |pile| pile.room(bytes, rows));
        let step = rows.div_ceil(room.max(1));
        let taken = if room == 0 { 0 } else { rows.div_ceil(step) };
        if taken < rows {
            self.busy.fetch_add((rows - taken) as u64, Ordering::Relaxed);
        }
        if taken == 0 {
            return None;
        }
        let feeds = feeds.iter().map(|feed| feed.every(step)).collect();
        Some(Sample { tap: self, rows, step, feeds })
    }

    /// The calling thread's pile, unless it is being taken.
    fn own(&self) -> Option<MutexGuard<'_, Pile>> {
        match self.piles.own().0.try_lock() {
            Ok(pile) => Some(pile),
            Err(TryLockError::Poisoned(pile)) => Some(pile.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes what has gathered.
    pub(super) fn take(&self) -> Vec<Block> {
        let take = |pile: &Mutex<Pile>| {
            std::mem::take(&mut *pile.lock().unwrap_or_else(PoisonError::into_inner)).blocks
        };
        self.piles.all().flat_map(take).collect()
    }

    /// Rows that were not taken since there was no room.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Rows that have no place in the reference.
    #[must_use]
    pub fn shapeless(&self) -> u64 {
        self.shapeless.load(Ordering::Relaxed)
    }

    pub(super) fn note_shapeless(&self, rows: u64) {
        self.shapeless.fetch_add(rows, Ordering::Relaxed);
    }
}

impl Pile {
    /// How many of so many rows, of so many bytes together, there is room for.
    fn room(&self, bytes: usize, rows: usize) -> usize {
        if self.blocks.len() >= BLOCKS_MAX {
            return 0;
        }
        let by_rows = ROWS_MAX.saturating_sub(self.rows);
        let by_bytes = BYTES_MAX.saturating_sub(self.bytes) / (bytes / rows).max(1);
        by_rows.min(by_bytes).min(rows)
    }
}

impl Sample<'_> {
    /// Puts the rows on the pile, with what was computed of them. Outputs that are not one for each
    /// row stay out.
    pub fn add(self, outputs: &[Output]) {
        let Self { tap, rows, step, feeds } = self;
        let has_rows = outputs.iter().all(|output| output.rows() == Some(rows));
        let outputs: Vec<_> =
            if has_rows { outputs.iter().map(|one| one.every(step)).collect() } else { Vec::new() };
        let bytes = feeds.iter().map(Tensor::bytes).sum::<usize>()
            + outputs.iter().map(Output::bytes).sum::<usize>();
        let taken = rows.div_ceil(step);
        match tap.own() {
            Some(mut pile) => {
                pile.rows += taken;
                pile.bytes += bytes;
                pile.blocks.push(Block { feeds, outputs });
            }
            None => {
                tap.busy.fetch_add(taken as u64, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(rows: usize) -> Vec<Tensor> {
        let numbers = (0..rows).map(|row| row as f32).collect();
        vec![Tensor::from_vec(&[rows, 1], numbers).unwrap()]
    }

    fn rows(blocks: &[Block]) -> Vec<usize> {
        blocks.iter().map(|block| block.feeds[0].rows().unwrap()).collect()
    }

    #[test]
    fn a_run_that_fails_leaves_nothing() {
        let tap = Tap::default();
        drop(tap.sample(&feed(3)));
        assert!(tap.take().is_empty());
        tap.sample(&feed(3)).unwrap().add(&[Output::Tensor(feed(3).remove(0))]);
        let blocks = tap.take();
        assert_eq!((rows(&blocks), blocks[0].outputs.len()), (vec![3], 1));
        assert!(tap.take().is_empty());
        assert_eq!((tap.busy(), tap.shapeless()), (0, 0));
    }

    #[test]
    fn what_there_is_no_room_for_is_spread_evenly_and_counted() {
        let tap = Tap::default();
        let all = ROWS_MAX * 3 / 2;
        tap.sample(&feed(all)).unwrap().add(&[]);
        let blocks = tap.take();
        assert_eq!(rows(&blocks), [all.div_ceil(2)]);
        assert_eq!(blocks[0].feeds[0].slice_rows(1..2), feed(3)[0].slice_rows(2..3));
        for _ in 0..BLOCKS_MAX + 5 {
            if let Some(sample) = tap.sample(&feed(1)) {
                sample.add(&[]);
            }
        }
        assert_eq!(tap.busy(), all as u64 / 2 + 5);
        assert_eq!(rows(&tap.take()).len(), BLOCKS_MAX);
        assert!(tap.sample(&feed(1)).is_some(), "there is room again");
    }

    #[test]
    fn memory_is_bounded_whatever_a_row_takes() {
        let tap = Tap::default();
        let wide = || vec![Tensor::from_vec(&[8, 1 << 16], vec![0_f32; 8 << 16]).unwrap()];
        for _ in 0..10 {
            if let Some(sample) = tap.sample(&wide()) {
                sample.add(&[]);
            }
        }
        let bytes: usize = tap.take().iter().map(|block| block.feeds[0].bytes()).sum();
        assert!(bytes <= BYTES_MAX, "{bytes}");
        assert!(tap.busy() >= 70);
    }

    #[test]
    fn feeds_that_do_not_agree_on_their_rows_are_no_rows() {
        let tap = Tap::default();
        assert!(tap.sample(&[feed(2).remove(0), feed(3).remove(0)]).is_none());
        assert!(tap.sample(&[]).is_none());
        assert_eq!(tap.shapeless(), 2);
    }
}
