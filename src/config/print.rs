//! The effective configuration as YAML.

use std::fmt::Write as _;

use serde_json::Value;

use crate::servable::BatchOptions;

use super::check::{LANES, OUTPUTS};
use super::checked::{Config, ModelConfig};
use super::file::text_of;
use super::setting;
use super::sources::{Given, Origin, Sources};

/// Writes everything that is in force, with where it came from, as a file that says the same.
#[must_use]
pub fn to_yaml(sources: &Sources, config: &Config) -> String {
    let mut yaml = models(&config.models);
    let mut section = "";
    for setting in setting::ALL {
        let (in_section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if in_section != section {
            section = in_section;
            line(&mut yaml, format_args!("{section}:"));
        }
        match (sources.given.get(setting.key), setting.default) {
            (Some(Given { text, origin }), _) => {
                line(&mut yaml, format_args!("  {name}: {}  # {origin}", scalar(text)));
            }
            (None, Some(default)) => {
                let origin = Origin::Default;
                line(&mut yaml, format_args!("  {name}: {}  # {origin}", scalar(default)));
            }
            (None, None) => line(&mut yaml, format_args!("  # {name}: not set")),
        }
    }
    yaml
}

fn models(models: &[ModelConfig]) -> String {
    if models.is_empty() {
        return "models: []\n".to_owned();
    }
    let mut yaml = "models:\n".to_owned();
    for model in models {
        line(&mut yaml, format_args!("  - path: {}", scalar(&model.path.to_string_lossy())));
        if let Some(name) = &model.name {
            line(&mut yaml, format_args!("    name: {}", scalar(name.as_str())));
        }
        line(&mut yaml, format_args!("    backend: {}", model.backend.name()));
        for (word, _) in OUTPUTS.iter().filter(|(_, shape)| *shape == model.record_shape) {
            line(&mut yaml, format_args!("    dataframe_outputs: {word}"));
        }
        let BatchOptions { rows_max, delay_max, lane, .. } = &model.batch;
        let rows_max = rows_max.map_or("auto".to_owned(), |rows| rows.to_string());
        line(&mut yaml, format_args!("    batch_rows_max: {rows_max}"));
        let delay_max = humantime::format_duration(*delay_max);
        line(&mut yaml, format_args!("    queue_delay_max: {delay_max}"));
        for (word, _) in LANES.iter().filter(|(_, choice)| choice == lane) {
            line(&mut yaml, format_args!("    lane: {word}"));
        }
    }
    yaml
}

fn line(yaml: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(yaml, "{text}");
}

/// The text bare where a reader of the file gets the same text back, else in quotes.
fn scalar(text: &str) -> String {
    let read: Option<Value> = serde_saphyr::from_str(&format!("key: {text}\n")).ok();
    let bare = match read.as_ref().and_then(|root| root.get("key")) {
        Some(Value::Array(_)) | None => false,
        Some(value) => text_of(value).as_deref() == Some(text),
    };
    if bare { text.to_owned() } else { Value::from(text).to_string() }
}
