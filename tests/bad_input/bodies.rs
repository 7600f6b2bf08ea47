//! Valid bodies, from the recorded cases: what mutations start from.

use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

/// Longer bodies only make the search slower.
const BODY_BYTES_MAX: usize = 4_096;

/// A recorded request.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    pub(crate) model: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// The recorded requests to `models`. Refused ones are kept: a body that gets deep into the
/// decoder before it fails is as good a start as one that passes.
pub(crate) fn seeds(models: &[&str]) -> Vec<Seed> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conformance/cases");
    let seeds: Vec<Seed> = models
        .iter()
        .flat_map(|model| {
            let path = dir.join(format!("{model}.jsonl"));
            let text = std::fs::read_to_string(&path).expect("every model has a file of cases");
            text.lines().filter_map(seed).collect::<Vec<_>>()
        })
        .collect();
    for content_type in ["application/json", "text/csv", "application/vnd.apache.parquet"] {
        let known = seeds.iter().any(|seed| seed.content_type == content_type);
        assert!(known, "no recorded body of type {content_type}");
    }
    seeds
}

fn seed(line: &str) -> Option<Seed> {
    let case: Value = serde_json::from_str(line).expect("a case is a JSON object");
    let body = match (&case["body"], &case["body_b64"]) {
        (Value::String(text), _) => text.as_bytes().to_vec(),
        (_, Value::String(text)) => base64::prelude::BASE64_STANDARD.decode(text).ok()?,
        _ => return None,
    };
    let content_type = case["headers"]["Content-Type"].as_str()?.to_owned();
    let model = case["model"].as_str()?.to_owned();
    (!body.is_empty() && body.len() <= BODY_BYTES_MAX).then_some(Seed { model, content_type, body })
}
