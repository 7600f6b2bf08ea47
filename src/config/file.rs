//! The YAML file: a tree of keys, walked as a whole so that every mistake is found.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::fault::{Fault, did_you_mean};
use super::setting;
use crate::mlflow::{DuplicateKeys, read_yaml};

/// Largest configuration file, in bytes: far beyond what people write.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a configuration file's text.
///
/// # Errors
/// A sentence, when the file is missing, unreadable, not UTF-8, or longer than 1 MiB.
pub fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("`{}`: {error}", path.display()))?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(format!("`{}` has more than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Values by key, as text.
    pub(super) values: Vec<(&'static str, String)>,
    pub(super) models: Vec<FileModel>,
    pub(super) faults: Vec<Fault>,
}

/// One entry of `models`: the values of [`setting::MODEL`], as text.
#[derive(Debug, Default)]
pub(super) struct FileModel {
    pub(super) values: Vec<(&'static str, String)>,
}

impl Contents {
    /// Reads a file's text. Mistakes are collected, not returned: the rest is read on.
    pub(super) fn parse(text: &str) -> Self {
        let mut file = Self::default();
        match read_yaml::<Option<Value>>(text, DuplicateKeys::Refused) {
            Err(error) => file.fault("the file", format!("is not valid YAML: {error}")),
            Ok(None | Some(Value::Null)) => {}
            Ok(Some(Value::Object(root))) => file.root(&root),
            Ok(Some(other)) => {
                let got = describe(&other);
                file.fault("the file", format!("expected a mapping of sections, got {got}"));
            }
        }
        file
    }

    fn fault(&mut self, place: impl Into<String>, problem: String) {
        self.faults.push(Fault { place: place.into(), problem });
    }

    fn root(&mut self, root: &Map<String, Value>) {
        for (key, value) in root {
            match value {
                Value::Null if key == "models" || is_section(key) => {}
                Value::Array(entries) if key == "models" => {
                    for (index, entry) in entries.iter().enumerate() {
                        self.model(index, entry);
                    }
                }
                other if key == "models" => {
                    let got = describe(other);
                    self.fault("models", format!("expected a list of models, got {got}"));
                }
                Value::Object(section) if is_section(key) => self.section(key, section),
                other if is_section(key) => {
                    let got = describe(other);
                    self.fault(key, format!("expected a mapping of settings, got {got}"));
                }
                _ => {
                    let known = sections().chain(["models"]);
                    self.fault(key, format!("unknown key{}", did_you_mean(key, known)));
                }
            }
        }
    }

    fn section(&mut self, section: &str, values: &Map<String, Value>) {
        for (name, value) in values {
            let place = format!("{section}.{name}");
            let Some(setting) = setting::ALL.iter().find(|setting| setting.key == place) else {
                let known = setting::ALL.iter().map(|setting| setting.key);
                self.fault(&place, format!("unknown key{}", did_you_mean(&place, known)));
                continue;
            };
            self.value(&place, value, setting.expected, |file, text| {
                file.values.push((setting.key, text));
            });
        }
    }

    fn model(&mut self, index: usize, entry: &Value) {
        let mut model = FileModel::default();
        match entry {
            // A bare path is a model too.
            Value::String(path) => model.values.push(("path", path.clone())),
            Value::Object(values) => {
                for (name, value) in values {
                    let place = format!("models[{index}].{name}");
                    let Some(setting) = setting::MODEL.iter().find(|known| known.key == name)
                    else {
                        let known = setting::MODEL.iter().map(|known| known.key);
                        self.fault(&place, format!("unknown key{}", did_you_mean(name, known)));
                        continue;
                    };
                    self.value(&place, value, setting.expected, |_, text| {
                        model.values.push((setting.key, text));
                    });
                }
            }
            other => {
                let got = describe(other);
                let place = format!("models[{index}]");
                self.fault(place, format!("expected a mapping or a path, got {got}"));
            }
        }
        self.models.push(model);
    }

    /// A leaf: scalars and lists of scalars become text, null is not given, the rest is a fault.
    fn value(
        &mut self,
        place: &str,
        value: &Value,
        expected: &str,
        accept: impl FnOnce(&mut Self, String),
    ) {
        if let Some(text) = text_of(value) {
            accept(self, text);
        } else if !value.is_null() {
            let got = describe(value);
            self.fault(place, format!("expected {expected}, got {got}"));
        }
    }
}

pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items
                .iter()
                .map(|item| if item.is_array() { None } else { text_of(item) })
                .collect();
            Some(items?.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        scalar => format!("`{}`", text_of(scalar).unwrap_or_default()),
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    setting::ALL.iter().filter_map(|setting| setting.key.split_once('.')).map(|(name, _)| name)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}
