//! All metrics of the process, for whoever scrapes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use super::family::{Family, Reading};
use super::meters::Meters;
use super::names::{self, Metric};
use super::openmetrics;

/// What names of metrics begin with that are left out where there are too many series, the first
/// ones first: there may be thousands, and requests are to be seen in any case.
const FIRST_TO_GO: [&str; 3] =
    ["flowgate_drift_bin_", "flowgate_drift_reference_bin_", "flowgate_drift_"];

/// What is scraped. Clones are the same exposition.
#[derive(Clone)]
pub struct Exposition {
    registry: Registry,
    series_max: usize,
    dropped: Arc<AtomicU64>,
    /// Who knows exemplars.
    meters: Arc<OnceLock<Meters>>,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, which everybody reads.
    Text,
    /// With exemplars.
    OpenMetrics,
}

impl Format {
    /// The one that a client accepts: `OpenMetrics` if it names that.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let names_it = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            words.next() == Some("application/openmetrics-text")
                && !words.any(|word| matches!(word, "q=0" | "q=0.0"))
        };
        if accept.split(',').any(names_it) { Self::OpenMetrics } else { Self::Text }
    }

    /// Its name in `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Default for Exposition {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Exposition {
    /// The process's own metrics; at most `series_max` series are ever told.
    #[must_use]
    pub fn new(series_max: usize) -> Self {
        let dropped = Arc::new(AtomicU64::new(0));
        let (registry, meters) = (Registry::new(), Arc::default());
        let exposition = Self { registry, series_max, dropped, meters };
        let dropped = Arc::clone(&exposition.dropped);
        exposition.add_reading(&[&names::SERIES_DROPPED], move || {
            let mut family = Family::new(&names::SERIES_DROPPED);
            family.push(&[], dropped.load(Ordering::Relaxed) as f64);
            vec![family]
        });
        exposition.add(ProcessCollector::for_self());
        exposition
    }

    /// Shows these metrics too, from now on.
    ///
    /// # Panics
    /// When they are shown already, which would tell them twice.
    pub fn add(&self, metrics: impl Collector + 'static) {
        self.registry.register(Box::new(metrics)).expect("each metric of the table is added once");
    }

    /// Shows what `read` makes of something at each scrape: families of these metrics only.
    ///
    /// # Panics
    /// When one of them is shown already.
    pub fn add_reading(
        &self,
        metrics: &[&'static Metric],
        read: impl Fn() -> Vec<Family> + Send + Sync + 'static,
    ) {
        self.add(Reading::new(metrics, read));
    }

    /// Shows what is counted of requests.
    ///
    /// # Panics
    /// When another's are shown already.
    pub fn add_meters(&self, meters: &Meters) {
        let read = meters.clone();
        self.add_reading(&Meters::METRICS, move || read.families());
        // Shown once, as adding them twice panics.
        let _ = self.meters.set(meters.clone());
    }

    /// Shows what this process was built from and runs on.
    ///
    /// # Panics
    /// When it is shown already.
    pub fn add_build(&self, onnxruntime: &str) {
        let onnxruntime = onnxruntime.to_owned();
        self.add_reading(&[&names::BUILD_INFO], move || {
            let mut family = Family::new(&names::BUILD_INFO);
            let commit = option_env!("FLOWGATE_GIT_SHA").unwrap_or("");
            family.push(&[env!("CARGO_PKG_VERSION"), commit, &onnxruntime], 1.0);
            vec![family]
        });
    }

    /// Everything as it is at this moment, in Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> String {
        self.written(Format::Text)
    }

    /// Everything as it is at this moment.
    #[must_use]
    pub fn written(&self, format: Format) -> String {
        let mut families = self.registry.gather();
        let dropped = keep(&mut families, self.series_max);
        self.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        if format == Format::OpenMetrics {
            return openmetrics::encode(&families, &|name, labels| {
                let meters = self.meters.get().filter(|_| name == names::REQUEST_SECONDS.name);
                meters.and_then(|meters| meters.exemplars(labels)).unwrap_or_default()
            });
        }
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}

/// Takes series out until there are no more than may be; how many it took.
fn keep(families: &mut Vec<MetricFamily>, series_max: usize) -> usize {
    let mut left = series_max;
    let mut dropped = 0;
    // What goes last is kept first.
    families.sort_by_key(|family| {
        let place = FIRST_TO_GO.iter().position(|start| family.name().starts_with(start));
        std::cmp::Reverse(place.unwrap_or(FIRST_TO_GO.len()))
    });
    for mut family in std::mem::take(families) {
        let is_histogram = family.get_field_type() == MetricType::HISTOGRAM;
        let mut kept = Vec::new();
        for metric in family.take_metric() {
            // Each bucket, the one without an end, the count and the sum.
            let buckets = || metric.get_histogram().get_bucket().len() + 3;
            let series = if is_histogram { buckets() } else { 1 };
            if series <= left {
                left -= series;
                kept.push(metric);
            } else {
                dropped += series;
            }
        }
        if !kept.is_empty() {
            family.set_metric(kept);
            families.push(family);
        }
    }
    families.sort_by(|a, b| a.name().cmp(b.name()));
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelId, ModelName, VersionId};
    use crate::telemetry::{Outcome, TraceId};

    #[test]
    fn the_process_tells_of_itself() {
        let exposition = Exposition::default();
        exposition.add_build("1.31.1");
        let text = exposition.text();
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
        let is_build = |line: &str| {
            line.starts_with("flowgate_build_info{")
                && line.contains("onnxruntime=\"1.31.1\"")
                && line.ends_with(version)
        };
        assert!(text.lines().any(is_build), "{text}");
        for name in ["process_resident_memory_bytes", "process_cpu_seconds_total"] {
            assert!(text.contains(name), "{name}: {text}");
        }
    }

    #[test]
    fn where_there_are_too_many_series_those_of_drift_go_first() {
        let exposition = Exposition::new(40);
        exposition.add_reading(&[&names::DRIFT_WINDOW_ROWS, &names::SESSIONS], || {
            let mut drift = Family::new(&names::DRIFT_WINDOW_ROWS);
            let mut sessions = Family::new(&names::SESSIONS);
            for version in 0..20 {
                drift.push(&["wine", &version.to_string(), "1h"], 1.0);
                sessions.push(&["wine", &version.to_string()], 1.0);
            }
            vec![drift, sessions]
        });
        let first = exposition.text();
        let count = |text: &str, name: &str| text.lines().filter(|l| l.starts_with(name)).count();
        assert_eq!(count(&first, "flowgate_sessions{"), 20);
        let kept = count(&first, "flowgate_drift_window_rows{");
        assert!(kept < 20, "{first}");
        assert_eq!(first.lines().filter(|line| !line.starts_with('#')).count(), 40);
        let dropped = format!("flowgate_metrics_series_dropped_total {}", 20 - kept);
        assert!(exposition.text().lines().any(|line| line == dropped));
    }

    #[test]
    fn openmetrics_is_for_who_names_it() {
        let of_prometheus = "application/openmetrics-text;version=1.0.0,\
                             application/openmetrics-text;version=0.0.1;q=0.75,\
                             text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(of_prometheus), Format::OpenMetrics);
        for text in ["", "*/*", "text/plain", "application/openmetrics-text;q=0"] {
            assert_eq!(Format::accepted(text), Format::Text, "{text}");
        }
    }

    #[test]
    fn a_bucket_shows_the_trace_of_a_request_in_it() {
        let exposition = Exposition::default();
        let meters = Meters::default();
        exposition.add_meters(&meters);
        let (name, version) = (ModelName::new("a\"b\\").unwrap(), VersionId(3));
        let lease = meters.lease(ModelId { name, version });
        let trace = TraceId::of_kept(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        lease.begin().traced(trace).end(Outcome::Ok);
        let text = exposition.written(Format::OpenMetrics);
        let with_trace: Vec<_> = text.lines().filter(|line| line.contains("trace_id")).collect();
        assert_eq!(with_trace.len(), 1, "{text}");
        let start = "flowgate_request_duration_seconds_bucket{model=\"a\\\"b\\\\\",";
        assert!(with_trace[0].starts_with(start), "{}", with_trace[0]);
        assert!(with_trace[0].contains(" # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} "));
        assert!(text.contains("# TYPE flowgate_requests counter\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"));
        assert!(!exposition.text().contains("trace_id"));
    }
}
