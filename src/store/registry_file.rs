//! `registry.yaml`: which version of a model holds which stage and alias.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::mlflow::{DuplicateKeys, YamlError, read_yaml};
use crate::model::{Selector, Stage, VersionId};

/// The file's name inside a model's registry folder.
pub(super) const REGISTRY_FILE: &str = "registry.yaml";

/// Largest `registry.yaml` that is read, in bytes.
pub(super) const REGISTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Stages and aliases of one model.
///
/// ```yaml
/// stages: {Production: 2, Staging: 3}
/// aliases: {champion: 2}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RegistryFile {
    /// In the file's order.
    stages: IndexMap<Stage, VersionId>,
    /// In the file's order.
    aliases: IndexMap<String, VersionId>,
}

/// What is wrong with a `registry.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFileError {
    #[error("{0}")]
    Yaml(#[from] YamlError),
    #[error("`{section}.{key}`: expected {expected}, got `{got}`")]
    Entry { section: &'static str, key: String, expected: &'static str, got: String },
    #[error("it has more than {REGISTRY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotUtf8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRegistry {
    stages: Option<IndexMap<String, Option<String>>>,
    aliases: Option<IndexMap<String, Option<String>>>,
}

impl RegistryFile {
    /// Reads the text of the file. An empty file and null entries assign nothing.
    ///
    /// # Errors
    /// When the text is not YAML, has other keys than `stages` and `aliases`, names an unknown
    /// stage, or a value is not a version number.
    pub(super) fn parse(text: &str) -> Result<Self, RegistryFileError> {
        let raw: Option<RawRegistry> = read_yaml(text, DuplicateKeys::Refused)?;
        let raw = raw.unwrap_or_default();
        let mut registry = Self::default();
        for (key, version) in assigned("stages", raw.stages)? {
            let Some(stage) = Stage::from_name(&key) else {
                return Err(RegistryFileError::Entry {
                    section: "stages",
                    expected: "a stage (Production, Staging, Archived or None)",
                    got: key.clone(),
                    key,
                });
            };
            registry.stages.insert(stage, version);
        }
        registry.aliases = assigned("aliases", raw.aliases)?.into_iter().collect();
        Ok(registry)
    }

    /// The version that a stage or an alias is assigned to. Versions and `Latest` are not looked
    /// up here.
    #[must_use]
    pub(super) fn assigned_to(&self, selector: &Selector) -> Option<VersionId> {
        match selector {
            Selector::Alias(alias) => self.aliases.get(alias).copied(),
            Selector::Stage(stage) => self.stages.get(stage).copied(),
            Selector::Version(_) | Selector::Latest => None,
        }
    }
}

/// The entries that are not null, with their versions.
fn assigned(
    section: &'static str,
    raw: Option<IndexMap<String, Option<String>>>,
) -> Result<Vec<(String, VersionId)>, RegistryFileError> {
    let entries = raw.unwrap_or_default().into_iter();
    let set = entries.filter_map(|(key, value)| value.map(|value| (key, value)));
    set.map(|(key, got)| match got.parse() {
        Ok(version) if version > 0 => Ok((key, VersionId(version))),
        _ => {
            let expected = "a version number such as 2";
            Err(RegistryFileError::Entry { section, key, expected, got })
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_in_any_case_and_versions_as_numbers_or_text_are_read() {
        let text =
            "stages: {production: 2, Staging: '3', Archived: null}\naliases:\n  champion: 2\n";
        let registry = RegistryFile::parse(text).unwrap();
        let stages = [(Stage::Production, VersionId(2)), (Stage::Staging, VersionId(3))];
        assert_eq!(registry.stages, IndexMap::from(stages));
        let champion = Selector::Alias("champion".to_owned());
        assert_eq!(registry.assigned_to(&champion), Some(VersionId(2)));
        assert_eq!(registry.assigned_to(&Selector::Stage(Stage::Archived)), None);
        assert_eq!(registry.assigned_to(&Selector::Latest), None);
    }

    #[test]
    fn an_empty_file_assigns_nothing() {
        for text in ["", "# nothing yet\n", "stages:\naliases: {}\n"] {
            assert_eq!(RegistryFile::parse(text).unwrap(), RegistryFile::default(), "{text:?}");
        }
    }

    #[test]
    fn mistakes_are_named_by_their_key() {
        let cases = [
            ("stages: {Production: two}", "`stages.Production`", "`two`"),
            ("stages: {Production: 0}", "`stages.Production`", "`0`"),
            ("stages: {Production: -1}", "`stages.Production`", "`-1`"),
            ("stages: {Production: 1.5}", "`stages.Production`", "`1.5`"),
            ("stages: {Live: 2}", "`stages.Live`", "Production, Staging, Archived"),
            ("aliases: {champion: v2}", "`aliases.champion`", "`v2`"),
            ("stage: {Production: 2}", "stage: {Production: 2}", "unknown field"),
            ("aliases: {a: 1, a: 2}", "aliases: {a: 1, a: 2}", "duplicate mapping key: a"),
            ("stages: [Production]", "stages: [Production]", "line 1"),
            ("stages: {Production: [2]}", "stages: {Production: [2]}", "line 1"),
            ("just text", "just text", "line 1"),
        ];
        for (text, at, reason) in cases {
            let message = RegistryFile::parse(text).unwrap_err().to_string();
            assert!(message.contains(at) && message.contains(reason), "{text}: {message}");
            assert!(!message.contains("Options"), "the reader's advice to us: {message}");
        }
    }
}
