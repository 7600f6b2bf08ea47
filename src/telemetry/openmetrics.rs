//! The `OpenMetrics` text format (1.0.0), which can hold exemplars.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplar::Exemplar;

/// Where the exemplars of a series' buckets are found: by the name of a histogram and the labels.
pub(super) type FindExemplars<'a> = dyn Fn(&str, &[LabelPair]) -> Vec<Option<Exemplar>> + 'a;

/// All families as one text.
pub(super) fn encode(families: &[MetricFamily], exemplars: &FindExemplars<'_>) -> String {
    let mut text = String::new();
    for family in families {
        // Writing to a String cannot fail.
        let _ = write_family(&mut text, family, exemplars);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(
    text: &mut String,
    family: &MetricFamily,
    exemplars: &FindExemplars<'_>,
) -> fmt::Result {
    let full = family.name();
    let (kind, name) = match family.get_field_type() {
        // The name of a counter is that of its samples without the ending.
        MetricType::COUNTER => ("counter", full.strip_suffix("_total").unwrap_or(full)),
        MetricType::HISTOGRAM => ("histogram", full),
        MetricType::GAUGE => ("gauge", full),
        MetricType::SUMMARY | MetricType::UNTYPED => ("unknown", full),
    };
    writeln!(text, "# TYPE {name} {kind}")?;
    writeln!(text, "# HELP {name} {}", escaped(family.help()))?;
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::COUNTER => {
                sample(text, name, "_total", metric.get_label(), metric.get_counter().get_value())?;
                text.push('\n');
            }
            MetricType::HISTOGRAM => histogram(text, name, metric, exemplars)?,
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => {
                sample(text, name, "", metric.get_label(), metric.get_gauge().get_value())?;
                text.push('\n');
            }
        }
    }
    Ok(())
}

fn histogram(
    text: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: &FindExemplars<'_>,
) -> fmt::Result {
    let histogram = metric.get_histogram();
    let labels = metric.get_label();
    let buckets = histogram.get_bucket().iter();
    let buckets =
        buckets.map(|bucket| (bucket.upper_bound().to_string(), bucket.cumulative_count()));
    let last = ("+Inf".to_owned(), histogram.get_sample_count());
    let exemplars = exemplars(name, labels);
    let mut pairs = labels.to_vec();
    let mut pair = LabelPair::default();
    pair.set_name("le".to_owned());
    pairs.push(pair);
    for (at, (end, count)) in buckets.chain([last]).enumerate() {
        if let Some(pair) = pairs.last_mut() {
            pair.set_value(end);
        }
        sample(text, name, "_bucket", &pairs, count as f64)?;
        if let Some(Exemplar { trace, took, at }) = exemplars.get(at).copied().flatten() {
            let trace = trace.as_str();
            write!(text, " # {{trace_id=\"{trace}\"}} {} {at:.3}", took.as_secs_f64())?;
        }
        text.push('\n');
    }
    sample(text, name, "_sum", labels, histogram.get_sample_sum())?;
    text.push('\n');
    sample(text, name, "_count", labels, histogram.get_sample_count() as f64)?;
    text.push('\n');
    Ok(())
}

/// A sample without its line end.
fn sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    value: f64,
) -> fmt::Result {
    write!(text, "{name}{suffix}")?;
    for (at, label) in labels.iter().enumerate() {
        let before = if at == 0 { '{' } else { ',' };
        write!(text, "{before}{}=\"{}\"", label.name(), escaped(label.value()))?;
    }
    if !labels.is_empty() {
        text.push('}');
    }
    if value.is_infinite() {
        write!(text, " {}Inf", if value > 0.0 { '+' } else { '-' })
    } else {
        write!(text, " {value}")
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"").into()
}
