//! What is gathered about one feature, and what becomes of it.

use std::collections::{BTreeMap, HashMap};

use super::cells::{Cells, Kind, Rows};
use super::grid;
use crate::drift::{CATEGORIES_MAX, Categorical, Numeric, Part, Values};

/// Most different texts of a feature that are told apart, and most bytes of them.
const TEXTS_MAX: usize = 100_000;
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Least rows whose values are held, whatever the bound: fewer make no quantiles.
const HELD_MIN: usize = 1000;

/// About the rows so far.
pub(super) enum Gathered {
    Numbers(Numbers),
    Texts(Texts),
    Flags([u64; 2]),
    /// Numbers that may turn out to be names of classes.
    Whole(Numbers, Option<BTreeMap<i128, u64>>),
}

/// Sums over all rows, and the values of as many of them as there is room for.
#[derive(Default)]
pub(super) struct Numbers {
    nulls: u64,
    known: u64,
    /// The first value, which the sums are relative to: they lose less that way.
    origin: f64,
    sum: f64,
    squares: f64,
    least: f64,
    greatest: f64,
    rows: u64,
    /// One of so many rows is held.
    stride: u64,
    /// Their values in order, NaN for a null.
    held: Vec<f64>,
}

/// How often each text occurred.
#[derive(Default)]
pub(super) struct Texts {
    counts: HashMap<String, u64>,
    bytes: usize,
    too_many: bool,
}

/// A finished feature's nulls and values, or why there is none.
pub(super) type Finished = Result<(u64, Values), &'static str>;

impl Gathered {
    pub(super) fn of(kind: Kind, part: Part) -> Self {
        match (kind, part) {
            (Kind::Whole, Part::Element(_)) => {
                Self::Whole(Numbers::default(), Some(BTreeMap::new()))
            }
            (Kind::Float | Kind::Whole, _) => Self::Numbers(Numbers::default()),
            (Kind::Flag, _) => Self::Flags([0; 2]),
            (Kind::Text, _) => Self::Texts(Texts::default()),
        }
    }

    /// Values that are held, each of 8 bytes.
    pub(super) fn holds(&self) -> bool {
        matches!(self, Self::Numbers(_) | Self::Whole(..))
    }

    /// Adds rows of the kind that it was made for. `held_max` never changes.
    pub(super) fn add(&mut self, rows: &Rows<'_>, part: Part, held_max: usize) {
        if let Self::Numbers(numbers) | Self::Whole(numbers, _) = self {
            rows.numbers(part).for_each(|value| numbers.add(value, held_max));
        }
        let Part::Element(index) = part else { return };
        match (self, &rows.cells) {
            (Self::Texts(texts), Cells::Texts(cells)) => {
                rows.column(cells, index).for_each(|text| texts.add(text));
            }
            (Self::Flags(counts), Cells::Flags(cells)) => {
                rows.column(cells, index).for_each(|flag| counts[usize::from(flag)] += 1);
            }
            (Self::Whole(_, classes), Cells::Whole(cells)) => {
                for number in rows.column(cells, index) {
                    let Some(counts) = classes else { break };
                    *counts.entry(number).or_default() += 1;
                    if counts.len() > CATEGORIES_MAX {
                        *classes = None;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_thinned(&self) -> bool {
        match self {
            Self::Numbers(numbers) | Self::Whole(numbers, None) => numbers.stride > 1,
            Self::Whole(_, Some(_)) | Self::Texts(_) | Self::Flags(_) => false,
        }
    }

    /// What came of it. The counts of a numeric feature that [`is_thinned`](Self::is_thinned) are
    /// those of the rows that were held.
    pub(super) fn finish(self) -> Finished {
        match self {
            Self::Numbers(numbers) | Self::Whole(numbers, None) => numbers.finish(),
            Self::Whole(_, Some(counts)) => {
                let texts = counts.into_iter().map(|(number, count)| (number.to_string(), count));
                Ok((0, categorical(texts.collect())))
            }
            Self::Texts(Texts { too_many: true, .. }) => Err("it has too many different texts"),
            Self::Texts(Texts { counts, .. }) => Ok((0, categorical(counts.into_iter().collect()))),
            Self::Flags([no, yes]) => {
                let counts = [("false", no), ("true", yes)].into_iter();
                let seen = counts.filter(|(_, count)| *count > 0);
                Ok((0, categorical(seen.map(|(text, n)| (text.to_owned(), n)).collect())))
            }
        }
    }
}

impl Numbers {
    fn add(&mut self, value: f64, held_max: usize) {
        // A zero has no sign, so that the order of equal values does not show.
        let value = value + 0.0;
        self.hold(value, held_max.max(HELD_MIN));
        if !value.is_finite() {
            self.nulls += 1;
            return;
        }
        if self.known == 0 {
            (self.origin, self.least, self.greatest) = (value, value, value);
        }
        self.known += 1;
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        let distance = value - self.origin;
        self.sum += distance;
        self.squares += distance * distance;
    }

    /// Holds the value, if its row is one that is held. At the bound every second one is let go.
    fn hold(&mut self, value: f64, held_max: usize) {
        let row = self.rows;
        self.rows += 1;
        self.stride = self.stride.max(1);
        if self.held.len() >= held_max && row.is_multiple_of(self.stride) {
            let mut index = 0;
            self.held.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        if row.is_multiple_of(self.stride) {
            self.held.push(if value.is_finite() { value } else { f64::NAN });
        }
    }

    fn finish(self) -> Finished {
        let Self { nulls, known, origin, sum, squares, least, greatest, mut held, stride, .. } =
            self;
        if known == 0 {
            return Ok((nulls, Values::Numeric(Numeric::default())));
        }
        let n = known as f64;
        let (mean, spread) = (origin + sum / n, squares - sum * sum / n);
        if !mean.is_finite() || !spread.is_finite() {
            return Err("its values are too far apart for a standard deviation");
        }
        held.retain(|value| !value.is_nan());
        if stride > 1 {
            // The grid spans all values, whichever were held.
            held.extend([least, greatest]);
        }
        held.sort_unstable_by(f64::total_cmp);
        let edges = grid::edges(&held);
        let counts = grid::counts(&held, &edges);
        let bins = grid::bins(&held, &edges, &counts);
        let std = Some((spread.max(0.0) / n).sqrt());
        let numeric = Numeric { mean: Some(mean), std, edges, counts, bins };
        Ok((nulls, Values::Numeric(numeric)))
    }
}

impl Texts {
    fn add(&mut self, text: &str) {
        if self.too_many {
            return;
        }
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return;
        }
        self.bytes += text.len();
        self.counts.insert(text.to_owned(), 1);
        if self.counts.len() > TEXTS_MAX || self.bytes > TEXT_BYTES_MAX {
            *self = Self { too_many: true, ..Self::default() };
        }
    }
}

/// The most frequent texts by name, and the rest together.
fn categorical(mut counts: Vec<(String, u64)>) -> Values {
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let other = counts.iter().skip(CATEGORIES_MAX).map(|(_, count)| count).sum();
    counts.truncate(CATEGORIES_MAX);
    Values::Categorical(Categorical { categories: counts, other })
}
