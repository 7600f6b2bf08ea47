//! Rows into the cells of a reference.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::GraphIo;
use crate::tensor::Tensor;

use super::build::cells::{Cells, Rows, Wholes};
use super::report::{FeatureKind, FeatureReport, WindowReport};
use super::statistic::PSI_ALARM;
use super::tap::Block;
use super::{
    Categorical, DriftOptions, Feature, Part, Reference, Scoring, Seen, Values, WindowLength,
    Windows, score,
};

/// What was counted against a reference.
pub(super) struct Watch {
    features: Arc<WatchedFeatures>,
    windows: Windows,
    scoring: Scoring,
    /// All that was ever seen, for whoever adds up replicas.
    totals: Option<Vec<Seen>>,
    rows: u64,
}

/// The features that rows are counted by.
pub(super) struct WatchedFeatures(Vec<Watched>);

struct Watched {
    kind: FeatureKind,
    feature: Arc<Feature>,
    /// Which of the feeds, or of the outputs.
    tensor: usize,
    categories: HashMap<String, usize>,
}

/// Rows, counted.
pub(super) struct Counted {
    seen: Vec<Seen>,
    rows: u64,
    /// Rows of another shape than the reference's.
    pub(super) shapeless: u64,
}

impl Watch {
    /// Watches the first features of the reference, of the inputs and of the outputs.
    pub(super) fn new(reference: Reference, io: &GraphIo, options: &DriftOptions) -> Self {
        let input = |name: &str| io.inputs.iter().position(|input| input.name == name);
        let output = |name: &str| io.outputs.iter().position(|output| output.name == name);
        let kept = |features: Vec<Feature>| features.into_iter().take(options.features_max);
        let inputs = kept(reference.inputs).filter_map(|feature| {
            Some(Watched::new(FeatureKind::Input, input(&feature.tensor)?, feature))
        });
        let outputs = kept(reference.outputs).filter_map(|feature| {
            Some(Watched::new(FeatureKind::Output, output(&feature.tensor)?, feature))
        });
        let features: Vec<_> = inputs.chain(outputs).collect();
        let windows = Windows::new(features.iter().map(|one| &*one.feature), &options.windows);
        let scoring = Scoring {
            values_min: options.rows_min,
            psi_alarm: PSI_ALARM,
            features: features.len(),
        };
        let features = Arc::new(WatchedFeatures(features));
        let totals = options.has_bins.then(|| features.nothing());
        Self { features, windows, scoring, totals, rows: 0 }
    }

    pub(super) fn features(&self) -> Arc<WatchedFeatures> {
        Arc::clone(&self.features)
    }

    /// Adds what was counted to all windows.
    pub(super) fn add(&mut self, Counted { seen, rows, .. }: &Counted, now: Duration) {
        self.windows.add(now, *rows, seen);
        for (total, seen) in self.totals.iter_mut().flatten().zip(seen) {
            total.merge(seen);
        }
        self.rows += rows;
    }

    /// Lets go of what no window reaches any more.
    pub(super) fn expire(&mut self, now: Duration) {
        self.windows.expire(now);
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn windows(&self, now: Duration) -> Vec<WindowReport> {
        let report = |(at, length): (usize, &WindowLength)| {
            let sum = self.windows.sum(at, now);
            let features = self.features.0.iter().zip(sum.features).map(|(watched, seen)| {
                let scores = score(&watched.feature, &seen, &self.scoring);
                let feature = Arc::clone(&watched.feature);
                FeatureReport { kind: watched.kind, feature, seen, scores }
            });
            WindowReport { length: *length, rows: sum.rows, features: features.collect() }
        };
        self.windows.lengths().iter().enumerate().map(report).collect()
    }

    /// All that was ever seen, where that is kept.
    pub(super) fn totals(&self) -> impl Iterator<Item = (FeatureKind, &Feature, &Seen)> {
        let totals = self.totals.iter().flatten();
        self.features.0.iter().zip(totals).map(|(one, seen)| (one.kind, &*one.feature, seen))
    }

    pub(super) fn bytes(&self) -> usize {
        self.windows.bytes()
    }
}

impl WatchedFeatures {
    /// Counts blocks of rows.
    pub(super) fn count(&self, blocks: Vec<Block>) -> Counted {
        let mut counted = Counted { seen: self.nothing(), rows: 0, shapeless: 0 };
        // One feature after the other over all rows: the cells of all of them would crowd each
        // other out of the cache.
        let whole = Block::concat(&blocks).map(|whole| vec![whole]);
        for block in &whole.unwrap_or(blocks) {
            let rows = block.feeds.first().and_then(Tensor::rows).unwrap_or(0) as u64;
            if self.count_block(block, &mut counted.seen) {
                counted.rows += rows;
            } else {
                counted.shapeless += rows;
            }
        }
        counted
    }

    fn nothing(&self) -> Vec<Seen> {
        self.0.iter().map(|one| Seen::nothing(&one.feature)).collect()
    }

    /// Whether the block was counted: all of it, or nothing.
    fn count_block(&self, Block { feeds, outputs }: &Block, seen: &mut [Seen]) -> bool {
        let feeds: Vec<_> =
            feeds.iter().map(|feed| Rows::of_tensor(feed, Wholes::MayBeClasses).ok()).collect();
        let outputs: Vec<_> =
            outputs.iter().map(|output| Rows::of_output(output.as_ref()?).ok()).collect();
        let rows = |watched: &Watched| {
            let tensors = if watched.kind == FeatureKind::Input { &feeds } else { &outputs };
            let rows = tensors.get(watched.tensor)?.as_ref();
            rows.filter(|rows| rows.width == watched.feature.width)
        };
        // An output that was left out has no rows to count.
        let is_left_out = |watched: &Watched| {
            watched.kind == FeatureKind::Output
                && outputs.get(watched.tensor).is_none_or(Option::is_none)
        };
        let is_whole = |watched: &Watched| rows(watched).is_some() || is_left_out(watched);
        if !self.0.iter().all(is_whole) {
            return false;
        }
        for (watched, seen) in self.0.iter().zip(seen) {
            if let Some(rows) = rows(watched) {
                watched.count(rows, seen);
            }
        }
        true
    }
}

impl Watched {
    fn new(kind: FeatureKind, tensor: usize, feature: Feature) -> Self {
        let categories = match &feature.values {
            Values::Categorical(Categorical { categories, .. }) => {
                let named = categories.iter().enumerate();
                named.map(|(at, (text, _))| (text.clone(), at)).collect()
            }
            Values::Numeric(_) => HashMap::new(),
        };
        Self { kind, feature: Arc::new(feature), tensor, categories }
    }

    fn count(&self, rows: &Rows<'_>, seen: &mut Seen) {
        let Feature { part, values, .. } = &*self.feature;
        match (values, part) {
            (Values::Numeric(numeric), part) => {
                for number in rows.numbers(*part) {
                    seen.add_number(numeric, number);
                }
            }
            (Values::Categorical(_), Part::Element(index)) => self.count_texts(rows, *index, seen),
            (Values::Categorical(_), Part::Mean | Part::Deviation) => {}
        }
    }

    fn count_texts(&self, rows: &Rows<'_>, index: usize, seen: &mut Seen) {
        let mut add = |text: &str| seen.add_category(self.categories.get(text).copied());
        match &rows.cells {
            Cells::Texts(cells) => rows.column(cells, index).for_each(&mut add),
            Cells::Flags(cells) => {
                rows.column(cells, index).for_each(|flag| add(if flag { "true" } else { "false" }));
            }
            Cells::Whole(cells) => {
                let mut digits = itoa::Buffer::new();
                rows.column(cells, index).for_each(|number| add(digits.format(number)));
            }
            // `fits` lets no such reference through.
            Cells::Floats(_) => {}
        }
    }
}
