//! YAML text into typed values, within bounds, with errors that show the line; and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

/// Nested collections allowed.
const DEPTH_MAX: usize = 64;
/// Mappings, sequences and scalars allowed, before aliases are expanded.
const NODES_MAX: usize = 250_000;
/// Events that aliases may replay: the bound against "billion laughs" documents.
const REPLAYED_EVENTS_MAX: usize = 250_000;
/// Characters of the offending line that an error shows.
const EXCERPT_CHARS_MAX: usize = 80;

/// Why a text is not the YAML that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}, at `{excerpt}`: {reason}")]
pub struct YamlError {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1.
    pub column: u64,
    /// The line itself, trimmed and cut: it holds the key that the reason is about.
    pub excerpt: String,
    pub reason: String,
}

/// What a key that stands twice in one mapping means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// The later one counts, as in `PyYAML`.
    LastWins,
    Refused,
}

/// Reads one YAML document. Text fields take plain scalars as they are written (`1.10` stays
/// `1.10`), and depth, size and alias expansion are bounded.
///
/// # Errors
/// When the text is not YAML, exceeds the bounds, or does not have the shape of `T`.
pub fn read_yaml<T: DeserializeOwned>(text: &str, keys: DuplicateKeys) -> Result<T, YamlError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            // PyYAML writes an anchor once and any number of aliases to it; replaying is
            // what costs, and is bounded below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED_EVENTS_MAX,
        },
        duplicate_keys: match keys {
            DuplicateKeys::LastWins => DuplicateKeyPolicy::LastWins,
            DuplicateKeys::Refused => DuplicateKeyPolicy::Error,
        },
        // Free-form metadata may hold `.nan` or `1e999`; neither fits JSON.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| explain(text, &error))
}

/// The text of a YAML document.
///
/// # Errors
/// Says what YAML cannot hold.
pub fn write_yaml(value: &impl Serialize) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

fn explain(text: &str, error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let (line, column) =
        error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    let excerpt = usize::try_from(line)
        .ok()
        .and_then(|line| text.lines().nth(line - 1))
        .unwrap_or_default()
        .trim()
        .chars()
        .take(EXCERPT_CHARS_MAX)
        .collect();
    let reason = match error {
        serde_saphyr::Error::MultipleDocuments { .. } => {
            "a second document starts here, but one is expected".to_owned()
        }
        other => other.to_string(),
    };
    // Advice to programmers is of no use to whoever wrote the file.
    let reason = reason.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
    // The reader's own text ends with the place, which is ours to say.
    let place = format!(" at line {line}, column {column}");
    let reason = reason.strip_suffix(&place).unwrap_or(&reason).to_owned();
    YamlError { line, column, excerpt, reason }
}
