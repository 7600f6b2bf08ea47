//! `docs/metrics.md` says what the table of metrics says.

use std::fmt::Write as _;

use flowgate::telemetry::Kind;
use flowgate::telemetry::names::ALL;

#[test]
fn the_documented_metrics_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- begin metrics -->\n", "<!-- end metrics -->");
    let from = page.find(begin).expect("the page has the mark") + begin.len();
    let to = page.find(end).expect("the page has the mark");
    let table = table();
    assert_eq!(&page[from..to], table, "docs/metrics.md: expected\n{table}");
}

fn table() -> String {
    let mut table = String::from("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram(ends) => {
                let (first, last) = (ends.first().unwrap(), ends.last().unwrap());
                format!("histogram, {} buckets from {first} to {last:.0} s", ends.len())
            }
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        writeln!(table, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.meaning).unwrap();
    }
    table
}
