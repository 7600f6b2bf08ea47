//! Where rows that were answered leave for the counting: copies, bounded, without waiting.
//!
//! A thread that has run a batch puts copies of its rows on a pile of its own; whoever counts takes
//! the piles a few times a second. A pile that is full takes no more until then, so that what drift
//! costs is bounded whatever the load: the rows that are counted are a sample then, and those that
//! are not are counted as dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::model::Output;
use crate::telemetry::{Count, PerThread, Writer};
use crate::tensor::{DType, Tensor};

/// Rows on one pile, at most: what a large request may bring at once.
const ROWS_MAX: usize = 4096;
/// So many more rows may come each time a pile is taken. At ten takes a second that is 5,000 rows a
/// second and thread, more than any score needs.
const ROWS_MORE: usize = 512;
/// Batches on one pile: each costs about as much to count as a hundred values.
const BLOCKS_MAX: usize = 256;
/// So many more batches may come each time.
const BLOCKS_MORE: usize = 64;
/// Bytes on one pile, but for the first row on it: there is no row that is never looked at.
const BYTES_MAX: usize = 1 << 20;

/// Takes copies of rows. Shared by all threads that run a version.
pub struct Tap {
    slots: PerThread<Slot>,
    is_closed: AtomicBool,
}

/// One thread's own.
#[derive(Default)]
struct Slot {
    pile: Mutex<Pile>,
    /// Rows that were not taken since there was no room.
    busy: Count,
    /// Rows that have no place in the reference.
    shapeless: Count,
}

struct Pile {
    /// Rows and batches that may still come.
    rows_left: usize,
    blocks_left: usize,
    bytes: usize,
    blocks: Vec<Block>,
}

impl Default for Pile {
    fn default() -> Self {
        Self { rows_left: ROWS_MAX, blocks_left: BLOCKS_MAX, bytes: 0, blocks: Vec::new() }
    }
}

/// Rows that ran together.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) feeds: Vec<Tensor>,
    /// `None` for an output that is not one for each row.
    pub(super) outputs: Vec<Option<Output>>,
}

/// Rows of a batch that is being run. Dropped without outputs, they are forgotten: the run failed.
#[must_use]
pub struct Sample<'a> {
    tap: &'a Tap,
    rows: usize,
    /// Whether its feeds do not agree on their rows.
    is_shapeless: bool,
    /// Rows that were taken: every so manieth.
    taken: usize,
    step: usize,
    feeds: Vec<Tensor>,
}

impl Default for Tap {
    fn default() -> Self {
        Self { slots: PerThread::new(Slot::default), is_closed: AtomicBool::new(false) }
    }
}

impl Tap {
    /// Copies rows of a batch that is about to run, evenly spread where there is no room for all.
    pub fn sample(&self, feeds: &[Tensor]) -> Option<Sample<'_>> {
        let rows = feeds.iter().filter_map(Tensor::rows).max().unwrap_or(0);
        if rows == 0 || self.is_closed.load(Ordering::Relaxed) {
            return None;
        }
        let is_shapeless = feeds.iter().any(|feed| feed.rows() != Some(rows));
        let (taken, step, taken_feeds) = (0, 1, Vec::new());
        let mut sample = Sample { tap: self, rows, is_shapeless, taken, step, feeds: taken_feeds };
        if !is_shapeless {
            let bytes = feeds.iter().map(Tensor::bytes).sum();
            let (slot, _) = self.slots.own();
            let room = slot.pile().map_or(0, |pile| pile.room(bytes, rows));
            if room > 0 {
                sample.step = rows.div_ceil(room);
                sample.taken = rows.div_ceil(sample.step);
                sample.feeds = feeds.iter().map(|feed| feed.every(sample.step)).collect();
            }
        }
        Some(sample)
    }

    /// Takes what has gathered.
    pub(super) fn take(&self) -> Vec<Block> {
        let take = |slot: &Slot| {
            let mut pile = slot.pile.lock().unwrap_or_else(PoisonError::into_inner);
            let next = Pile {
                rows_left: (pile.rows_left + ROWS_MORE).min(ROWS_MAX),
                blocks_left: (pile.blocks_left + BLOCKS_MORE).min(BLOCKS_MAX),
                bytes: 0,
                // The next pile is likely to be as high.
                blocks: Vec::with_capacity(pile.blocks.len()),
            };
            std::mem::replace(&mut *pile, next).blocks
        };
        self.slots.all().flat_map(take).collect()
    }

    /// Nobody looks at rows any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Rows that were not taken since there was no room.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.slots.all().map(|slot| slot.busy.get()).sum()
    }

    /// Rows that have no place in the reference.
    #[must_use]
    pub fn shapeless(&self) -> u64 {
        self.slots.all().map(|slot| slot.shapeless.get()).sum()
    }

    pub(super) fn note_shapeless(&self, rows: u64) {
        let (slot, writer) = self.slots.own();
        slot.shapeless.add(rows, writer);
    }
}

impl Block {
    /// All rows as one block; `None` where they are of different shapes, or texts, which are too
    /// dear to copy.
    pub(super) fn concat(blocks: &[Self]) -> Option<Self> {
        let first = blocks.first()?;
        let feeds = (0..first.feeds.len()).map(|at| {
            let parts: Option<Vec<_>> = blocks.iter().map(|block| block.feeds.get(at)).collect();
            Tensor::concat(&parts?).filter(|feed| feed.dtype() != DType::Str)
        });
        let feeds: Option<Vec<_>> = feeds.collect();
        let outputs = (0..first.outputs.len()).map(|at| {
            let parts: Option<Vec<_>> = blocks.iter().map(|block| block.tensor(at)).collect();
            Tensor::concat(&parts?)
                .filter(|output| output.dtype() != DType::Str)
                .map(|output| Some(Output::Tensor(output)))
        });
        Some(Self { feeds: feeds?, outputs: outputs.collect::<Option<_>>()? })
    }

    fn tensor(&self, output: usize) -> Option<&Tensor> {
        match self.outputs.get(output)?.as_ref()? {
            Output::Tensor(tensor) => Some(tensor),
            Output::Maps(_) => None,
        }
    }
}

impl Slot {
    /// The pile, unless it is being taken.
    fn pile(&self) -> Option<MutexGuard<'_, Pile>> {
        match self.pile.try_lock() {
            Ok(pile) => Some(pile),
            Err(TryLockError::Poisoned(pile)) => Some(pile.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn note_busy(&self, rows: usize, writer: Writer) {
        if rows > 0 {
            self.busy.add(rows as u64, writer);
        }
    }
}

impl Pile {
    /// How many of so many rows, of so many bytes together, there is room for.
    fn room(&self, bytes: usize, rows: usize) -> usize {
        if self.blocks_left == 0 || self.rows_left == 0 {
            return 0;
        }
        let by_bytes = BYTES_MAX.saturating_sub(self.bytes) / (bytes / rows).max(1);
        let least = usize::from(self.blocks.is_empty());
        self.rows_left.min(by_bytes).max(least).min(rows)
    }
}

impl Sample<'_> {
    /// Puts rows on the pile, if there are any; see [`add`](Self::add).
    pub fn put(sample: Option<Self>, outputs: &[Output]) {
        if let Some(sample) = sample {
            sample.add(outputs);
        }
    }

    /// Puts the rows on the pile, with what was computed of them. Outputs that are not one for each
    /// row stay out, and so does a large one where there is no room for it.
    pub fn add(self, outputs: &[Output]) {
        let Self { tap, rows, is_shapeless, taken, step, feeds } = self;
        let (slot, writer) = tap.slots.own();
        if is_shapeless {
            slot.shapeless.add(rows as u64, writer);
            return;
        }
        let Some(mut pile) = slot.pile().filter(|_| taken > 0) else {
            slot.note_busy(rows, writer);
            return;
        };
        let bytes = feeds.iter().map(Tensor::bytes).sum::<usize>();
        pile.rows_left = pile.rows_left.saturating_sub(taken);
        pile.blocks_left = pile.blocks_left.saturating_sub(1);
        pile.bytes += bytes;
        let outputs = outputs.iter().map(|output| {
            let bytes = output.bytes() / rows * taken;
            let is_kept = output.rows() == Some(rows)
                && (pile.blocks.is_empty() && taken == 1 || pile.bytes + bytes <= BYTES_MAX);
            is_kept.then(|| {
                pile.bytes += bytes;
                output.every(step)
            })
        });
        let outputs = outputs.collect();
        pile.blocks.push(Block { feeds, outputs });
        drop(pile);
        slot.note_busy(rows - taken, writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(rows: usize) -> Vec<Tensor> {
        let numbers = (0..rows).map(|row| row as f32).collect();
        vec![Tensor::from_vec(&[rows, 1], numbers).unwrap()]
    }

    fn wide(rows: usize) -> Vec<Tensor> {
        vec![Tensor::from_vec(&[rows, 1 << 16], vec![0_f32; rows << 16]).unwrap()]
    }

    fn add(tap: &Tap, feeds: &[Tensor], outputs: &[Output]) {
        if let Some(sample) = tap.sample(feeds) {
            sample.add(outputs);
        }
    }

    fn rows(blocks: &[Block]) -> Vec<usize> {
        blocks.iter().map(|block| block.feeds[0].rows().unwrap()).collect()
    }

    fn bytes(blocks: &[Block]) -> usize {
        let outputs =
            |block: &Block| block.outputs.iter().flatten().map(Output::bytes).sum::<usize>();
        blocks.iter().map(|block| block.feeds[0].bytes() + outputs(block)).sum()
    }

    #[test]
    fn a_run_that_fails_leaves_nothing_not_even_a_count() {
        let tap = Tap::default();
        for _ in 0..=BLOCKS_MAX {
            drop(tap.sample(&feed(3)));
        }
        assert!(tap.take().is_empty());
        add(&tap, &feed(3), &[Output::Tensor(feed(3).remove(0))]);
        let blocks = tap.take();
        assert_eq!((rows(&blocks), blocks[0].outputs.len()), (vec![3], 1));
        assert!(tap.take().is_empty());
        assert_eq!((tap.busy(), tap.shapeless()), (0, 0));
    }

    #[test]
    fn what_there_is_no_room_for_is_spread_evenly_and_counted() {
        let tap = Tap::default();
        let all = ROWS_MAX * 3 / 2;
        add(&tap, &feed(all), &[]);
        let blocks = tap.take();
        assert_eq!(rows(&blocks), [all.div_ceil(2)]);
        assert_eq!(blocks[0].feeds[0].slice_rows(1..2), feed(3)[0].slice_rows(2..3));
        for _ in 0..BLOCKS_MAX + 5 {
            add(&tap, &feed(1), &[]);
        }
        assert_eq!(tap.busy(), all as u64 / 2 + 5);
        assert_eq!(tap.take().len(), BLOCKS_MAX);
        for _ in 0..BLOCKS_MAX {
            add(&tap, &feed(1), &[]);
        }
        assert_eq!(tap.take().len(), BLOCKS_MORE, "there is room again, for so many each time");
        for _ in 0..ROWS_MAX {
            tap.take();
        }
        add(&tap, &feed(ROWS_MAX), &[]);
        assert_eq!(rows(&tap.take()), [ROWS_MAX], "who has asked little may ask much at once");
    }

    #[test]
    fn memory_is_bounded_whatever_rows_and_outputs_take() {
        let tap = Tap::default();
        let large = || [Output::Tensor(wide(4).remove(0))];
        for (feeds, outputs) in [(wide(8), &[][..]), (feed(4), &large()[..])] {
            for _ in 0..10 {
                add(&tap, &feeds, outputs);
            }
            let blocks = tap.take();
            assert!(!blocks.is_empty() && bytes(&blocks) <= BYTES_MAX, "{}", bytes(&blocks));
        }
        assert!(tap.busy() >= 70);
    }

    #[test]
    fn one_row_is_looked_at_however_large_it_is() {
        let tap = Tap::default();
        let huge = Tensor::from_vec(&[2, 1 << 20], vec![0_f32; 2 << 20]).unwrap();
        for _ in 0..3 {
            add(&tap, std::slice::from_ref(&huge), &[Output::Tensor(huge.clone())]);
        }
        assert_eq!((rows(&tap.take()), tap.busy()), (vec![1], 5));
    }

    #[test]
    fn an_output_without_rows_leaves_the_others() {
        let tap = Tap::default();
        let scalar = Tensor::from_vec(&[], vec![1_f32]).unwrap();
        add(&tap, &feed(2), &[Output::Tensor(scalar), Output::Tensor(feed(2).remove(0))]);
        let block = tap.take().remove(0);
        assert_eq!(block.outputs.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn blocks_of_one_shape_are_one_block_and_texts_stay_where_they_are() {
        let tap = Tap::default();
        for rows in [2, 3] {
            add(&tap, &feed(rows), &[Output::Tensor(feed(rows).remove(0))]);
        }
        let blocks = tap.take();
        let whole = Block::concat(&blocks).unwrap();
        assert_eq!((rows(std::slice::from_ref(&whole)), whole.outputs.len()), (vec![5], 1));
        assert_eq!(whole.feeds[0].slice_rows(2..5), feed(3)[0].slice_rows(0..3));
        add(&tap, &wide(1), &[]);
        assert!(Block::concat(&[tap.take(), blocks].concat()).is_none());
        let texts = Tensor::from_vec(&[1, 1], vec!["a".to_owned()]).unwrap();
        add(&tap, &[texts], &[]);
        assert!(Block::concat(&tap.take()).is_none());
        assert!(Block::concat(&[]).is_none());
    }

    #[test]
    fn feeds_that_do_not_agree_on_their_rows_are_no_rows() {
        let tap = Tap::default();
        let scalar = Tensor::from_vec(&[], vec![1_f32]).unwrap();
        add(&tap, &[feed(2).remove(0), feed(3).remove(0)], &[]);
        add(&tap, &[scalar, feed(3).remove(0)], &[]);
        add(&tap, &[], &[]);
        assert_eq!((tap.shapeless(), tap.busy()), (6, 0));
    }
}
