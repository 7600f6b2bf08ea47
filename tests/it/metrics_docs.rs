//! `docs/metrics.md` says what the table of metrics says.

use std::fmt::Write as _;

use flowgate::telemetry::Kind;
use flowgate::telemetry::names::ALL;

use crate::support::assert_holds;

#[test]
fn the_documented_metrics_are_those_of_the_code() {
    assert_holds("metrics.md", "metrics", &table());
}

fn table() -> String {
    let mut table = String::from("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram(ends) => {
                let (first, last) = (ends.first().unwrap(), ends.last().unwrap());
                let unit = if metric.name.ends_with("_seconds") { "s" } else { "rows" };
                format!("histogram, {} buckets from {first} to {last:.0} {unit}", ends.len())
            }
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        writeln!(table, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.meaning).unwrap();
    }
    table
}
