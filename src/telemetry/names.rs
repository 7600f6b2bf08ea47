//! Every metric: its name, its labels, what it means. The one place that knows names;
//! `docs/metrics.md` is made from it.
//!
//! Labels have values from closed sets: the names and versions of configured models, and words that
//! stand in this table.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

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

/// Seconds, from what a file on this machine takes to what a large model over a slow network does:
/// 1 ms to 17 minutes.
const LOAD_SECONDS: [f64; 11] = exponential(0.001, 4.0);

pub const MODEL_VERSION_INFO: Metric = Metric {
    name: "flowgate_model_version_info",
    kind: Kind::Gauge,
    labels: &["model", "version", "backend", "provider"],
    meaning: "1 for the version of each model that serves now, with what runs it.",
};

pub const MODEL_STATE: Metric = Metric {
    name: "flowgate_model_state",
    kind: Kind::Gauge,
    labels: &["model", "version", "state"],
    meaning: "1 for the state of each version that is in memory or on its way there: `New`, \
              `Fetching`, `Verifying`, `Loading`, `WarmingUp`, `Available`, `Draining`, \
              `Unloading`; of one that is refused, `Failed`.",
};

pub const MODEL_FALLBACK: Metric = Metric {
    name: "flowgate_model_fallback",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "1 while a model serves an earlier version, since the one that it should serve could \
              not be asked for, or loaded; 0 otherwise.",
};

pub const MODEL_LOAD_SECONDS: Metric = Metric {
    name: "flowgate_model_load_duration_seconds",
    kind: Kind::Histogram(&LOAD_SECONDS),
    labels: &["model", "phase"],
    meaning: "How long versions took to come to serve, by phase: `fetch`, `verify`, `load`, \
              `warm_up` (the model's own example, measuring, batches of every size).",
};

pub const PROMOTIONS: Metric = Metric {
    name: "flowgate_promotions_total",
    kind: Kind::Counter,
    labels: &["model", "result", "reason"],
    meaning: "What became of versions. `result` is `swapped` (it serves; `reason` is `registry` or \
              `fallback`), `rejected` (for good; `reason` is the phase: `fetch`, \
              `verify`, `load`, `warm_up`), `failed` (it is tried again; by phase as well) or \
              `rolled_back` (another serves again in its place; `operator` or `worse`).",
};

pub const SWAP_SECONDS: Metric = Metric {
    name: "flowgate_swap_duration_seconds",
    kind: Kind::Histogram(&LOAD_SECONDS),
    labels: &["model"],
    meaning: "From the moment when a registry was seen to name another version until requests \
              reached it.",
};

pub const SOURCE_POLLS: Metric = Metric {
    name: "flowgate_source_polls_total",
    kind: Kind::Counter,
    labels: &["model", "result"],
    meaning: "Questions to the model's registry: `version` when it named one, `nothing`, `soon` \
              while a directory is being copied, `error`.",
};

pub const SOURCE_LAST_SUCCESS: Metric = Metric {
    name: "flowgate_source_last_success_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["model"],
    meaning: "When the model's registry last answered, in seconds since 1970.",
};

pub const BUILD_INFO: Metric = Metric {
    name: "flowgate_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    meaning: "1, with the version of flowgate.",
};

/// All of them, in the order of the documentation.
pub const ALL: &[&Metric] = &[
    &MODEL_VERSION_INFO,
    &MODEL_STATE,
    &MODEL_FALLBACK,
    &MODEL_LOAD_SECONDS,
    &PROMOTIONS,
    &SWAP_SECONDS,
    &SOURCE_POLLS,
    &SOURCE_LAST_SUCCESS,
    &BUILD_INFO,
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
                assert!(name.ends_with("_seconds") && ends.is_sorted(), "{name}");
            }
        }
    }
}
