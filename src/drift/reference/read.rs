//! A reference from text. The JSON is walked by hand, so that each fault can name its field.

use std::collections::HashSet;
use std::fmt::Display;

use serde_json::{Map, Value as Json};

use super::{
    CATEGORIES_MAX, Categorical, EDGES_MAX, FEATURES_MAX, Feature, Numeric, Part,
    REFERENCE_BYTES_MAX, Reference, ReferenceError, SCHEMA, SCORING_BINS_MAX, Values,
};

type Result<T> = std::result::Result<T, ReferenceError>;

/// Characters of a text that a fault shows.
const SHOWN_CHARS_MAX: usize = 40;

pub(super) fn parse(bytes: &[u8]) -> Result<Reference> {
    if bytes.len() > REFERENCE_BYTES_MAX {
        return Err(ReferenceError::TooLarge { bytes: bytes.len() });
    }
    let json = serde_json::from_slice(bytes)
        .map_err(|error: serde_json::Error| ReferenceError::Json(error.to_string()))?;
    let mut fields = Fields::of(String::new(), json)?;
    let schema = fields.take("schema");
    if schema.as_u64() != Some(SCHEMA) {
        return Err(ReferenceError::Schema { got: shown(&schema) });
    }
    let signature = fields.signature()?;
    let rows = fields.count("rows")?;
    let inputs = features(&mut fields, "inputs", rows)?;
    let outputs = features(&mut fields, "outputs", rows)?;
    fields.end()?;
    if inputs.len() + outputs.len() > FEATURES_MAX {
        let got = format!("{} of both", inputs.len() + outputs.len());
        return Err(fault("outputs", format!("{FEATURES_MAX} features at most"), got));
    }
    Ok(Reference { signature, rows, inputs, outputs })
}

fn features(fields: &mut Fields, key: &str, rows: u64) -> Result<Vec<Feature>> {
    let mut names = HashSet::new();
    let mut features = Vec::new();
    for (index, item) in fields.list(key)?.into_iter().enumerate() {
        let at = format!("{key}[{index}]");
        let feature = feature(Fields::of(at.clone(), item)?, rows)?;
        if !names.insert(feature.name.clone()) {
            let got = shown(&Json::from(feature.name));
            return Err(fault(format!("{at}.name"), "a name that no other has", got));
        }
        features.push(feature);
    }
    Ok(features)
}

fn feature(mut fields: Fields, rows: u64) -> Result<Feature> {
    let name = fields.text("name")?;
    let tensor = fields.text("tensor")?;
    let width = fields.size("width")?;
    if width == 0 {
        return Err(fields.fault("width", "at least 1", 0));
    }
    let part = part(&mut fields, width)?;
    let kind = fields.text("kind")?;
    let nulls = fields.count("nulls")?;
    let Some(known) = rows.checked_sub(nulls) else {
        return Err(fields.fault("nulls", format!("at most the {rows} rows"), nulls));
    };
    let values = match kind.as_str() {
        "numeric" => Values::Numeric(numeric(&mut fields, known)?),
        "categorical" if matches!(part, Part::Element(_)) => {
            Values::Categorical(categorical(&mut fields, known)?)
        }
        "categorical" => return Err(fields.fault("kind", "numeric for a summary", kind)),
        _ => {
            let got = shown(&Json::from(kind));
            return Err(fields.fault("kind", "numeric or categorical", got));
        }
    };
    fields.end()?;
    Ok(Feature { name, tensor, width, part, nulls, values })
}

fn part(fields: &mut Fields, width: usize) -> Result<Part> {
    if fields.has("index") == fields.has("summary") {
        let got = if fields.has("index") { "both" } else { "none" };
        return Err(fields.fault("index", "it or `summary`", got));
    }
    if fields.has("index") {
        let index = fields.size("index")?;
        if index >= width {
            return Err(fields.fault("index", format!("less than the width, {width}"), index));
        }
        return Ok(Part::Element(index));
    }
    match fields.text("summary")?.as_str() {
        "mean" => Ok(Part::Mean),
        "deviation" => Ok(Part::Deviation),
        other => {
            Err(fields.fault("summary", "\"mean\" or \"deviation\"", shown(&Json::from(other))))
        }
    }
}

fn numeric(fields: &mut Fields, known: u64) -> Result<Numeric> {
    let mean = fields.number_or_null("mean")?;
    let std = fields.number_or_null("std")?;
    for (key, value) in [("mean", mean), ("std", std)] {
        match (value, known) {
            (None, 0) => {}
            (Some(value), 0) => {
                return Err(fields.fault(key, "null where no value is known", value));
            }
            (None, _) => return Err(fields.fault(key, "a number", "null")),
            (Some(value), _) if key == "std" && value < 0.0 => {
                return Err(fields.fault(key, "a number from 0", value));
            }
            (Some(_), _) => {}
        }
    }
    let edges = edges(fields, known)?;
    let counts = fields.items("counts", "a whole number from 0", Json::as_u64)?;
    let cells = edges.len().saturating_sub(1);
    if counts.len() != cells {
        let expected = format!("{cells}, one for each cell between the edges");
        return Err(fields.fault("counts", expected, counts.len()));
    }
    check_sum(fields, "counts", counts.iter().copied(), known)?;
    let bins = bins(fields, edges.len())?;
    Ok(Numeric { mean, std, edges, counts, bins })
}

fn edges(fields: &mut Fields, known: u64) -> Result<Vec<f64>> {
    let edges = fields.items("edges", "a number", Json::as_f64)?;
    let len = edges.len();
    match (len, known) {
        (0, 0) => {}
        (_, 0) => return Err(fields.fault("edges", "none where no value is known", len)),
        (2..=EDGES_MAX, _) => {}
        _ => return Err(fields.fault("edges", format!("2 to {EDGES_MAX} numbers"), len)),
    }
    for (index, pair) in edges.windows(2).enumerate() {
        let is_last = index + 2 == len;
        if pair[1] < pair[0] || (pair[1] == pair[0] && !is_last) {
            let expected = "ascending numbers, of which only the last two may be equal";
            return Err(fields.fault("edges", expected, format!("{} after {}", pair[1], pair[0])));
        }
    }
    Ok(edges)
}

fn bins(fields: &mut Fields, edges: usize) -> Result<Vec<usize>> {
    let index = |json: &Json| json.as_u64().and_then(|index| usize::try_from(index).ok());
    let bins = fields.items("bins", "a whole number from 0", index)?;
    let is_whole = match edges.checked_sub(1) {
        None => bins.is_empty(),
        Some(last) => bins.first() == Some(&0) && bins.last() == Some(&last),
    };
    let is_ascending = bins.windows(2).all(|pair| pair[0] < pair[1]);
    if !is_whole || !is_ascending || bins.len() > SCORING_BINS_MAX + 1 {
        let expected = match edges.checked_sub(1) {
            None => "none where there are no edges".to_owned(),
            Some(last) => format!(
                "at most {} ascending places of edges, from 0 to {last}",
                SCORING_BINS_MAX + 1
            ),
        };
        let some = bins.iter().take(2 * SCORING_BINS_MAX).map(ToString::to_string);
        let got = format!("[{}]", some.collect::<Vec<_>>().join(","));
        return Err(fields.fault("bins", expected, got));
    }
    Ok(bins)
}

fn categorical(fields: &mut Fields, known: u64) -> Result<Categorical> {
    let category = |json: &Json| match json.as_array()?.as_slice() {
        [Json::String(text), count] => Some((text.clone(), count.as_u64()?)),
        _ => None,
    };
    let categories = fields.items("categories", "a pair of a text and its count", category)?;
    if categories.len() > CATEGORIES_MAX {
        let expected = format!("{CATEGORIES_MAX} at most");
        return Err(fields.fault("categories", expected, categories.len()));
    }
    let mut seen = HashSet::new();
    if let Some((text, _)) = categories.iter().find(|(text, _)| !seen.insert(text.as_str())) {
        let got = format!("{} twice", shown(&Json::from(text.as_str())));
        return Err(fields.fault("categories", "different texts", got));
    }
    let other = fields.count("other")?;
    let counts = categories.iter().map(|(_, count)| *count).chain([other]);
    check_sum(fields, "categories", counts, known)?;
    Ok(Categorical { categories, other })
}

fn check_sum(
    fields: &Fields,
    key: &str,
    counts: impl Iterator<Item = u64>,
    known: u64,
) -> Result<()> {
    let sum: u128 = counts.map(u128::from).sum();
    if sum == u128::from(known) {
        return Ok(());
    }
    let expected = format!("counts that add up to {known}, the rows that are not null");
    Err(fields.fault(key, expected, sum))
}

/// The members of an object, taken one by one; what is left at the end is unknown.
struct Fields {
    /// Its own path, empty for the whole.
    at: String,
    members: Map<String, Json>,
}

impl Fields {
    fn of(at: String, json: Json) -> Result<Self> {
        match json {
            Json::Object(members) => Ok(Self { at, members }),
            other if at.is_empty() => {
                Err(ReferenceError::Json(format!("expected an object, got {}", shown(&other))))
            }
            other => Err(fault(at, "an object", shown(&other))),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    fn fault(&self, key: &str, expected: impl Into<String>, got: impl Display) -> ReferenceError {
        fault(self.path(key), expected, got)
    }

    fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// Null where there is none.
    fn take(&mut self, key: &str) -> Json {
        self.members.remove(key).unwrap_or_default()
    }

    fn text(&mut self, key: &str) -> Result<String> {
        match self.take(key) {
            Json::String(text) if !text.is_empty() => Ok(text),
            other => Err(self.fault(key, "a text that is not empty", shown(&other))),
        }
    }

    fn count(&mut self, key: &str) -> Result<u64> {
        let json = self.take(key);
        json.as_u64().ok_or_else(|| self.fault(key, "a whole number from 0", shown(&json)))
    }

    fn size(&mut self, key: &str) -> Result<usize> {
        let count = self.count(key)?;
        usize::try_from(count).map_err(|_| self.fault(key, "a size of this machine", count))
    }

    fn number_or_null(&mut self, key: &str) -> Result<Option<f64>> {
        match self.take(key) {
            Json::Null => Ok(None),
            Json::Number(number) => Ok(number.as_f64()),
            other => Err(self.fault(key, "a number or null", shown(&other))),
        }
    }

    fn list(&mut self, key: &str) -> Result<Vec<Json>> {
        match self.take(key) {
            Json::Array(items) => Ok(items),
            other => Err(self.fault(key, "a list", shown(&other))),
        }
    }

    fn items<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<Vec<T>> {
        let items = self.list(key)?;
        let read = items.iter().enumerate().map(|(index, item)| {
            read(item)
                .ok_or_else(|| fault(format!("{}[{index}]", self.path(key)), expected, shown(item)))
        });
        read.collect()
    }

    fn signature(&mut self) -> Result<Option<String>> {
        const PREFIX: &str = "sha256:";
        let json = self.take("signature");
        let is_digest = |text: &str| {
            text.strip_prefix(PREFIX).is_some_and(|hex| {
                hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        };
        match json {
            Json::Null => Ok(None),
            Json::String(text) if is_digest(&text) => Ok(Some(text)),
            other => {
                let expected = format!("null or `{PREFIX}` and 64 hexadecimal digits");
                Err(self.fault("signature", expected, shown(&other)))
            }
        }
    }

    fn end(self) -> Result<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(key) => {
                let key: String = key.chars().take(SHOWN_CHARS_MAX).collect();
                Err(ReferenceError::Unknown { at: self.path(&key) })
            }
        }
    }
}

fn fault(at: impl Into<String>, expected: impl Into<String>, got: impl Display) -> ReferenceError {
    ReferenceError::Field { at: at.into(), expected: expected.into(), got: got.to_string() }
}

/// A value in a few words.
fn shown(json: &Json) -> String {
    match json {
        Json::Null => "nothing".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => {
            format!("\"{}\"", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
        }
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}
