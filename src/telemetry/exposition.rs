//! All metrics of the process, for whoever scrapes them.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

use super::names;

/// What is scraped. Clones are the same exposition.
#[derive(Clone)]
pub struct Exposition(Registry);

impl Default for Exposition {
    fn default() -> Self {
        let exposition = Self(Registry::new());
        let build = names::BUILD_INFO.gauges();
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        exposition.add(build);
        exposition.add(ProcessCollector::for_self());
        exposition
    }
}

impl Exposition {
    /// The content type of [`text`](Self::text).
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Shows these metrics too, from now on.
    ///
    /// # Panics
    /// When they are shown already, which would tell them twice.
    pub fn add(&self, metrics: impl Collector + 'static) {
        self.0.register(Box::new(metrics)).expect("each metric of the table is added once");
    }

    /// Everything as it is at this moment, in Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.0.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_of_itself() {
        let text = Exposition::default().text();
        let build = concat!("flowgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
        assert!(text.lines().any(|line| line == build), "{text}");
        for name in ["process_resident_memory_bytes", "process_cpu_seconds_total"] {
            assert!(text.contains(name), "{name}: {text}");
        }
    }
}
