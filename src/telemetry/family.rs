//! Metrics that are read off something else at each scrape: what is gone is gone with the next one.

use prometheus::core::{Collector, Desc};
use prometheus::proto;

use super::histogram::Totals;
use super::names::{Kind, Metric};

/// One metric with its series, as they are at this moment.
#[derive(Debug)]
pub struct Family {
    metric: &'static Metric,
    series: Vec<proto::Metric>,
}

impl Family {
    /// A metric without series.
    #[must_use]
    pub fn new(metric: &'static Metric) -> Self {
        Self { metric, series: Vec::new() }
    }

    /// A series of a counter or gauge. `labels` in the order of the table.
    pub fn push(&mut self, labels: &[&str], value: f64) {
        let mut series = proto::Metric::from_label(self.pairs(labels));
        match self.metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                series.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                series.set_gauge(gauge);
            }
            Kind::Histogram(_) => panic!("{} is a histogram", self.metric.name),
        }
        self.series.push(series);
    }

    /// A series of a histogram. One unit of the totals is `1 / per_unit` of the metric's.
    pub fn push_histogram(&mut self, labels: &[&str], totals: &Totals, per_unit: f64) {
        debug_assert!(matches!(self.metric.kind, Kind::Histogram(_)), "{}", self.metric.name);
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(totals.count);
        histogram.set_sample_sum(totals.sum as f64 / per_unit);
        let buckets = totals.buckets.iter().map(|(end, below)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*end as f64 / per_unit);
            bucket.set_cumulative_count(*below);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        let mut series = proto::Metric::from_label(self.pairs(labels));
        series.set_histogram(histogram);
        self.series.push(series);
    }

    fn pairs(&self, labels: &[&str]) -> Vec<proto::LabelPair> {
        debug_assert_eq!(self.metric.labels.len(), labels.len(), "{}", self.metric.name);
        let named = self.metric.labels.iter().zip(labels);
        let mut pairs: Vec<_> = named
            .map(|(name, value)| {
                let mut pair = proto::LabelPair::default();
                pair.set_name((*name).to_owned());
                pair.set_value((*value).to_owned());
                pair
            })
            .collect();
        // The order that the library's own collectors have.
        pairs.sort_by(|a, b| a.name().cmp(b.name()));
        pairs
    }

    fn into_proto(self) -> Option<proto::MetricFamily> {
        if self.series.is_empty() {
            return None;
        }
        let mut family = proto::MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.meaning.to_owned());
        family.set_field_type(match self.metric.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram(_) => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(self.series);
        Some(family)
    }
}

/// Reads some metrics off whatever they are about.
pub(super) struct Reading {
    descs: Vec<Desc>,
    read: Box<dyn Fn() -> Vec<Family> + Send + Sync>,
}

impl Reading {
    pub(super) fn new(
        metrics: &[&'static Metric],
        read: impl Fn() -> Vec<Family> + Send + Sync + 'static,
    ) -> Self {
        let descs = metrics.iter().map(|metric| metric.desc()).collect();
        Self { descs, read: Box::new(read) }
    }
}

impl Collector for Reading {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        (self.read)().into_iter().filter_map(Family::into_proto).collect()
    }
}
