//! What was seen lately: counts in panes of some minutes, summed to windows.
//!
//! Windows of up to an hour are made of panes of one minute; a longer one of panes of a 24th of
//! its length (rounded up to minutes), so that a day costs no more than 24 panes. A window ends
//! now and starts with a pane, so it covers up to a pane less than its length; where its length is
//! no multiple of the panes', less than two. It never covers more. Windows with the same panes
//! share them.
//!
//! Memory is bounded by [`Windows::bytes_max`] and taken as rows come: a pane without rows is none.
//! There is no clock here: times are what the caller's monotonic clock shows.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::reference::Feature;
use super::seen::{Seen, cells};

/// Windows that may be watched at the same time.
pub const WINDOWS_MAX: usize = 4;

const MINUTE: Duration = Duration::from_mins(1);
/// Seven days.
const MINUTES_MAX: u64 = 7 * 24 * 60;
/// A window of up to so many minutes is made of panes of one minute.
const FINE_MINUTES_MAX: u64 = 60;
/// Panes of a longer one.
const COARSE_PANES: u64 = 24;
/// Rows of a pane, whose counts have 32 bits. What comes beyond is not counted in that pane.
const PANE_ROWS_MAX: u64 = u32::MAX as u64;
/// Counts of a feature besides those of its cells: below, above, nulls.
const COUNTS_BESIDE: usize = 3;
/// Sums of a feature: of the values and of both excesses.
const SUMS: usize = 3;

/// The length of a window: whole minutes, from one minute to seven days.
///
/// Displayed as a label: `5m`, `1h`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowLength {
    minutes: u64,
}

impl WindowLength {
    /// `None` where it is no whole number of minutes, or out of bounds.
    pub fn new(length: Duration) -> Option<Self> {
        let minutes = length.as_secs() / MINUTE.as_secs();
        let whole = Duration::from_secs(minutes * MINUTE.as_secs()) == length;
        (whole && (1..=MINUTES_MAX).contains(&minutes)).then_some(Self { minutes })
    }

    /// Five minutes, an hour and a day.
    pub fn usual() -> [Self; 3] {
        [5, 60, 24 * 60].map(|minutes| Self { minutes })
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.minutes * MINUTE.as_secs())
    }

    /// Minutes of one of its panes.
    fn pane_minutes(self) -> u64 {
        if self.minutes <= FINE_MINUTES_MAX { 1 } else { self.minutes.div_ceil(COARSE_PANES) }
    }

    fn panes(self) -> u64 {
        self.minutes / self.pane_minutes()
    }
}

impl fmt::Display for WindowLength {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minutes {
            minutes if minutes % 60 == 0 => write!(out, "{}h", minutes / 60),
            minutes => write!(out, "{minutes}m"),
        }
    }
}

/// What a window holds.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSum {
    /// Rows that were counted.
    pub rows: u64,
    /// One for each feature, in their order.
    pub features: Vec<Seen>,
}

/// The counts of some features over the last minutes, hours, days.
#[derive(Debug)]
pub struct Windows {
    lengths: Vec<WindowLength>,
    layout: Layout,
    /// One for each length of panes.
    rings: Vec<Ring>,
}

impl Windows {
    /// Windows of these lengths over these features.
    ///
    /// # Panics
    /// With more than [`WINDOWS_MAX`] lengths: the caller checks settings.
    pub fn new<'a>(
        features: impl IntoIterator<Item = &'a Feature>,
        lengths: &[WindowLength],
    ) -> Self {
        assert!(lengths.len() <= WINDOWS_MAX, "settings allow {WINDOWS_MAX} windows at most");
        let mut rings: Vec<Ring> = Vec::new();
        for length in lengths {
            let [pane_minutes, panes] = [length.pane_minutes(), length.panes()];
            match rings.iter_mut().find(|ring| ring.pane_minutes == pane_minutes) {
                Some(ring) => ring.panes_max = ring.panes_max.max(panes),
                None => rings.push(Ring { pane_minutes, panes_max: panes, panes: VecDeque::new() }),
            }
        }
        Self { lengths: lengths.to_vec(), layout: Layout::of(features), rings }
    }

    /// The windows' lengths, in the order they were given.
    pub fn lengths(&self) -> &[WindowLength] {
        &self.lengths
    }

    /// Counts what was seen in some rows: one [`Seen`] for each feature, in their order. A time
    /// before that of an earlier call counts as the latest one.
    pub fn add(&mut self, now: Duration, rows: u64, seen: &[Seen]) {
        if rows == 0 {
            return;
        }
        for ring in &mut self.rings {
            let pane = ring.current(now, &self.layout);
            if pane.rows + rows <= PANE_ROWS_MAX {
                pane.rows += rows;
                self.layout.add(pane, seen);
            }
        }
    }

    /// Lets go of panes that no window reaches any more; adding rows does that, too.
    pub fn expire(&mut self, now: Duration) {
        for ring in &mut self.rings {
            let oldest = ring.oldest(ring.index(now), ring.panes_max);
            ring.panes.retain(|pane| pane.index >= oldest);
        }
    }

    /// What the window of that place in [`lengths`](Self::lengths) holds at a time.
    pub fn sum(&self, window: usize, now: Duration) -> WindowSum {
        let length = self.lengths[window];
        let ring = self
            .rings
            .iter()
            .find(|ring| ring.pane_minutes == length.pane_minutes())
            .expect("`new` made a ring for every length");
        let newest = ring.index(now);
        let oldest = ring.oldest(newest, length.panes());
        let mut sum = WindowSum { rows: 0, features: self.layout.nothing() };
        for pane in ring.panes.iter().filter(|pane| (oldest..=newest).contains(&pane.index)) {
            sum.rows += pane.rows;
            pane.add_to(&mut sum.features);
        }
        sum
    }

    /// Bytes that the panes hold now.
    pub fn bytes(&self) -> usize {
        let panes: usize = self.rings.iter().map(|ring| ring.panes.len()).sum();
        panes * self.layout.pane_bytes()
    }

    /// Bytes that the panes hold at most, when rows come all the time.
    pub fn bytes_max(&self) -> usize {
        let panes: u64 = self.rings.iter().map(|ring| ring.panes_max).sum();
        panes as usize * self.layout.pane_bytes()
    }
}

/// The panes of one length, oldest first; only those in which rows came.
#[derive(Debug)]
struct Ring {
    pane_minutes: u64,
    panes_max: u64,
    panes: VecDeque<Pane>,
}

impl Ring {
    /// The number of the pane at a time.
    fn index(&self, now: Duration) -> u64 {
        let index = now.as_secs() / MINUTE.as_secs() / self.pane_minutes;
        self.panes.back().map_or(index, |latest| latest.index.max(index))
    }

    /// The first of so many panes of which the last is `newest`.
    fn oldest(&self, newest: u64, panes: u64) -> u64 {
        debug_assert!(panes <= self.panes_max, "no window is longer than the ring");
        (newest + 1).saturating_sub(panes)
    }

    /// The pane that rows of now are counted in. One that has expired is used again.
    fn current(&mut self, now: Duration, layout: &Layout) -> &mut Pane {
        let index = self.index(now);
        if self.panes.back().is_none_or(|latest| latest.index < index) {
            let oldest = self.oldest(index, self.panes_max);
            let mut free = None;
            while self.panes.front().is_some_and(|pane| pane.index < oldest) {
                free = self.panes.pop_front();
            }
            let mut pane = free.unwrap_or_else(|| layout.pane());
            pane.clear(index);
            self.panes.push_back(pane);
        }
        self.panes.back_mut().expect("there is one, or it was put there above")
    }
}

/// What was counted in some minutes.
#[derive(Debug)]
struct Pane {
    index: u64,
    rows: u64,
    /// For each feature its cells, then below, above, nulls.
    counts: Box<[u32]>,
    /// For each feature the sum of its values and both excesses.
    sums: Box<[f64]>,
}

impl Pane {
    fn clear(&mut self, index: u64) {
        (self.index, self.rows) = (index, 0);
        self.counts.fill(0);
        self.sums.fill(0.0);
    }

    /// Adds what was counted to that of each feature.
    fn add_to(&self, features: &mut [Seen]) {
        let mut counts = self.counts.iter().map(|count| u64::from(*count));
        let mut sums = self.sums.iter();
        for seen in features {
            let beside = [&mut seen.below, &mut seen.above, &mut seen.nulls];
            let into = seen.cells.iter_mut().chain(beside);
            for (sum, count) in into.zip(counts.by_ref()) {
                *sum += count;
            }
            let into = [&mut seen.sum, &mut seen.below_excess, &mut seen.above_excess];
            into.into_iter().zip(sums.by_ref()).for_each(|(sum, more)| *sum += more);
        }
    }
}

/// How many cells each feature has.
#[derive(Debug)]
struct Layout {
    cells: Vec<usize>,
}

impl Layout {
    fn of<'a>(features: impl IntoIterator<Item = &'a Feature>) -> Self {
        Self { cells: features.into_iter().map(cells).collect() }
    }

    fn counts(&self) -> usize {
        self.cells.iter().map(|cells| cells + COUNTS_BESIDE).sum()
    }

    fn sums(&self) -> usize {
        self.cells.len() * SUMS
    }

    fn pane_bytes(&self) -> usize {
        size_of::<Pane>() + self.counts() * size_of::<u32>() + self.sums() * size_of::<f64>()
    }

    fn pane(&self) -> Pane {
        let counts = vec![0; self.counts()].into_boxed_slice();
        let sums = vec![0.0; self.sums()].into_boxed_slice();
        Pane { index: 0, rows: 0, counts, sums }
    }

    fn nothing(&self) -> Vec<Seen> {
        self.cells.iter().map(|cells| Seen { cells: vec![0; *cells], ..Seen::default() }).collect()
    }

    fn add(&self, pane: &mut Pane, seen: &[Seen]) {
        debug_assert_eq!(seen.len(), self.cells.len(), "one for each feature");
        let mut counts = pane.counts.iter_mut();
        let mut sums = pane.sums.iter_mut();
        for (seen, cells) in seen.iter().zip(&self.cells) {
            debug_assert_eq!(seen.cells.len(), *cells, "it was counted for this feature");
            let beside = [seen.below, seen.above, seen.nulls];
            for (more, count) in seen.cells.iter().chain(&beside).zip(counts.by_ref()) {
                *count = count.saturating_add(u32::try_from(*more).unwrap_or(u32::MAX));
            }
            let more = [seen.sum, seen.below_excess, seen.above_excess];
            more.into_iter().zip(sums.by_ref()).for_each(|(more, sum)| *sum += more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Categorical, Numeric, Part, Values};

    fn features() -> [Feature; 2] {
        let feature = |name: &str, values| Feature {
            name: name.to_owned(),
            tensor: name.to_owned(),
            width: 1,
            part: Part::Element(0),
            nulls: 0,
            values,
        };
        let numeric = Numeric {
            mean: Some(1.0),
            std: Some(1.0),
            edges: vec![0.0, 1.0, 2.0],
            counts: vec![5, 5],
            bins: vec![0, 1, 2],
        };
        let categorical = Categorical { categories: vec![("a".to_owned(), 10)], other: 0 };
        [
            feature("number", Values::Numeric(numeric)),
            feature("text", Values::Categorical(categorical)),
        ]
    }

    /// One row, other numbers in every place.
    fn row() -> [Seen; 2] {
        let number = Seen {
            cells: vec![1, 2],
            below: 3,
            above: 4,
            nulls: 5,
            sum: 6.0,
            below_excess: 7.0,
            above_excess: 8.0,
        };
        [number, Seen { cells: vec![9, 10], nulls: 11, ..Seen::default() }]
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    fn length(text_minutes: u64) -> WindowLength {
        WindowLength::new(minutes(text_minutes)).unwrap()
    }

    #[test]
    fn lengths_are_whole_minutes_up_to_a_week() {
        let [five, hour, day] = WindowLength::usual();
        assert_eq!([five, hour, day].map(|l| l.to_string()), ["5m", "1h", "24h"]);
        assert_eq!([90, 10_080].map(|m| length(m).to_string()), ["90m", "168h"]);
        assert_eq!(day.duration(), minutes(1440));
        let refused = [
            Duration::ZERO,
            Duration::from_secs(61),
            Duration::from_millis(60_001),
            minutes(10_081),
        ];
        assert_eq!(refused.map(WindowLength::new), [None; 4]);
    }

    #[test]
    fn what_is_added_is_in_every_window_until_it_is_too_old() {
        let mut windows = Windows::new(&features(), &WindowLength::usual());
        windows.add(minutes(0), 1, &row());
        let rows = |windows: &Windows, now: u64| {
            [0, 1, 2].map(|window| windows.sum(window, minutes(now)).rows)
        };
        assert_eq!(windows.sum(0, minutes(4)).features, row());
        assert_eq!(rows(&windows, 4), [1, 1, 1]);
        assert_eq!(rows(&windows, 5), [0, 1, 1]);
        assert_eq!(rows(&windows, 59), [0, 1, 1]);
        assert_eq!(rows(&windows, 60), [0, 0, 1]);
        assert_eq!(rows(&windows, 1439), [0, 0, 1]);
        assert_eq!(rows(&windows, 1440), [0, 0, 0]);
    }

    #[test]
    fn panes_add_up_and_a_used_one_starts_empty() {
        let mut windows = Windows::new(&features(), &[length(2)]);
        for now in [0, 1, 1, 2, 7] {
            windows.add(minutes(now), 1, &row());
        }
        let sum = windows.sum(0, minutes(7));
        assert_eq!((sum.rows, sum.features.as_slice()), (1, row().as_slice()));
        windows.add(minutes(8), 1, &row());
        let mut twice = row();
        twice.iter_mut().zip(&row()).for_each(|(seen, more)| seen.merge(more));
        assert_eq!(windows.sum(0, minutes(8)).features, twice);
    }

    #[test]
    fn a_window_covers_no_more_than_its_length() {
        // Panes of three minutes: twenty of them.
        let mut windows = Windows::new(&features(), &[length(61)]);
        windows.add(minutes(2), 1, &row());
        assert_eq!(windows.sum(0, minutes(59)).rows, 1);
        assert_eq!(windows.sum(0, minutes(60)).rows, 0);
    }

    #[test]
    fn time_that_goes_back_counts_as_the_latest() {
        let mut windows = Windows::new(&features(), &[length(5)]);
        windows.add(minutes(9), 1, &row());
        windows.add(minutes(3), 1, &row());
        assert_eq!(windows.sum(0, minutes(3)).rows, 2);
        assert_eq!(windows.sum(0, minutes(13)).rows, 2);
        assert_eq!(windows.sum(0, minutes(14)).rows, 0);
    }

    #[test]
    fn memory_is_taken_as_rows_come_and_given_back() {
        let mut windows = Windows::new(&features(), &WindowLength::usual());
        assert_eq!((windows.bytes(), windows.sum(2, minutes(9)).rows), (0, 0));
        windows.add(minutes(0), 0, &row());
        assert_eq!(windows.bytes(), 0);
        // 60 panes of a minute, 24 of an hour; 10 counts and 6 sums.
        assert_eq!(windows.bytes_max(), 84 * (size_of::<Pane>() + 10 * 4 + 6 * 8));
        for now in 0..3000 {
            windows.add(minutes(now), 1, &row());
            assert!(windows.bytes() <= windows.bytes_max());
        }
        assert_eq!(windows.bytes(), windows.bytes_max());
        windows.expire(minutes(6000));
        assert_eq!(windows.bytes(), 0);
    }

    #[test]
    fn a_pane_that_is_full_takes_no_more_rows() {
        let mut windows = Windows::new(&features(), &[length(1)]);
        windows.add(minutes(0), PANE_ROWS_MAX, &row());
        windows.add(minutes(0), 1, &row());
        let sum = windows.sum(0, minutes(0));
        assert_eq!((sum.rows, sum.features.as_slice()), (PANE_ROWS_MAX, row().as_slice()));
    }
}
