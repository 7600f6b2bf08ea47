//! Every metric: its name, its labels, what it means. The one place that knows names;
//! `docs/metrics.md` is made from it.
//!
//! Labels have values from closed sets: the names and versions of configured models, and words that
//! stand in this table.

mod drift;
mod requests;
mod versions;

use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

pub use drift::*;
pub use requests::*;
pub use versions::*;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper ends of its buckets.
    Histogram(&'static [f64]),
}

/// All of them, in the order of the documentation.
pub const ALL: &[&Metric] = &[
    &REQUESTS,
    &REQUEST_SECONDS,
    &STAGE_SECONDS,
    &ROWS,
    &BATCHES,
    &BATCH_ROWS,
    &QUEUE_ROWS,
    &QUEUE_REQUESTS,
    &IN_FLIGHT,
    &REJECTED,
    &MODEL_VERSION_INFO,
    &MODEL_STATE,
    &MODEL_FALLBACK,
    &MODEL_LOAD_SECONDS,
    &PROMOTIONS,
    &SWAP_SECONDS,
    &SOURCE_POLLS,
    &SOURCE_LAST_SUCCESS,
    &MEMORY_BYTES,
    &SESSIONS,
    &DRIFT_SCORE,
    &DRIFT_NOISE_FLOOR,
    &DRIFT_WINDOW_ROWS,
    &DRIFT_NULL_RATIO,
    &DRIFT_OUT_OF_RANGE_RATIO,
    &DRIFT_UNSEEN_RATIO,
    &DRIFT_DRIFTED_RATIO,
    &DRIFT_REFERENCE_INFO,
    &DRIFT_ROWS,
    &DRIFT_ROWS_DROPPED,
    &DRIFT_BINS,
    &DRIFT_REFERENCE_BINS,
    &BUILD_INFO,
    &SERIES_DROPPED,
];

const VALID: &str = "names and labels of the table are valid, which a test sees to";

impl Metric {
    /// Counters by label.
    #[must_use]
    pub fn counters(&self) -> IntCounterVec {
        debug_assert!(self.kind == Kind::Counter, "{}", self.name);
        IntCounterVec::new(self.opts(), self.labels).expect(VALID)
    }

    /// Gauges of whole numbers by label.
    #[must_use]
    pub fn gauges(&self) -> IntGaugeVec {
        debug_assert!(self.kind == Kind::Gauge, "{}", self.name);
        IntGaugeVec::new(self.opts(), self.labels).expect(VALID)
    }

    /// Gauges of any numbers by label.
    #[must_use]
    pub fn float_gauges(&self) -> GaugeVec {
        debug_assert!(self.kind == Kind::Gauge, "{}", self.name);
        GaugeVec::new(self.opts(), self.labels).expect(VALID)
    }

    /// Histograms by label.
    #[must_use]
    pub fn histograms(&self) -> HistogramVec {
        let Kind::Histogram(buckets) = self.kind else { panic!("{} is no histogram", self.name) };
        let opts = HistogramOpts::new(self.name, self.meaning).buckets(buckets.to_vec());
        HistogramVec::new(opts, self.labels).expect(VALID)
    }

    /// What a registry asks of a metric.
    pub(super) fn desc(&self) -> Desc {
        let labels = self.labels.iter().map(|label| (*label).to_owned()).collect();
        Desc::new(self.name.to_owned(), self.meaning.to_owned(), labels, HashMap::new())
            .expect(VALID)
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.meaning)
    }
}

const fn exponential<const N: usize>(first: f64, factor: f64) -> [f64; N] {
    let mut ends = [first; N];
    let mut at = 1;
    while at < N {
        ends[at] = ends[at - 1] * factor;
        at += 1;
    }
    ends
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_can_be_made_and_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{}", metric.name);
            match metric.kind {
                Kind::Counter => drop(metric.counters()),
                Kind::Gauge => drop((metric.gauges(), metric.float_gauges())),
                Kind::Histogram(_) => drop(metric.histograms()),
            }
        }
    }

    #[test]
    fn names_follow_the_customs_of_prometheus() {
        for Metric { name, kind, labels, meaning } in ALL {
            assert!(name.starts_with("flowgate_") && meaning.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let plain = |text: &str| text.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
            assert!(plain(name) && labels.iter().all(|label| plain(label)), "{name}");
            if let Kind::Histogram(ends) = kind {
                let is_known = ["_seconds", "_rows"].iter().any(|unit| name.ends_with(unit));
                assert!(is_known && ends.is_sorted(), "{name}");
            }
        }
    }
}
