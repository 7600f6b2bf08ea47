//! `registry.yaml`: which version of a model holds which stage and alias.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::mlflow::{DuplicateKeys, YamlError, read_yaml, write_yaml};
use crate::model::{Selector, Stage, VersionId};

/// The file's name inside a model's registry folder.
pub const REGISTRY_FILE: &str = "registry.yaml";

/// Largest `registry.yaml` that is read, in bytes.
pub(super) const REGISTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Longest alias that can be assigned, in bytes: MLflow's own bound.
const ALIAS_BYTES_MAX: usize = 255;

/// Stages and aliases of one model.
///
/// ```yaml
/// stages: {Production: 2, Staging: 3}
/// aliases: {champion: 2}
/// verified: {2: 9c1185a5c5e9fc54612808977ee8f548}
/// ```
///
/// `verified` is written by a promotion: the stamp of the version's directory when it was found
/// whole. A directory that still has this stamp needs no second look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryFile {
    /// In the file's order.
    stages: IndexMap<Stage, VersionId>,
    /// In the file's order.
    aliases: IndexMap<String, VersionId>,
    /// In the file's order.
    verified: IndexMap<VersionId, String>,
}

/// What a promotion can assign to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    Stage(Stage),
    Alias(String),
}

/// Why something cannot be assigned to a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    #[error("{0} is what it is and cannot be assigned; give a stage or an alias")]
    NotAssignable(Selector),
    #[error("a version has stage None by holding no other; give Production, Staging or Archived")]
    NoStage,
    #[error(
        "`{0}` cannot be an alias: letters, digits, `_` and `-` are allowed, at most \
         {ALIAS_BYTES_MAX} bytes, and neither `latest` nor `v` with a number"
    )]
    Alias(String),
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
    #[error("it cannot be written: {0}")]
    Unwritable(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRegistry {
    stages: Option<IndexMap<String, Option<String>>>,
    aliases: Option<IndexMap<String, Option<String>>>,
    verified: Option<IndexMap<u64, Option<String>>>,
}

/// The file as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    stages: IndexMap<&'static str, u64>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    aliases: IndexMap<&'a str, u64>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    verified: IndexMap<u64, &'a str>,
}

impl RegistryFile {
    /// Reads the text of the file. An empty file and null entries assign nothing.
    ///
    /// # Errors
    /// When the text is not YAML, has other keys than `stages`, `aliases` and `verified`, names an
    /// unknown stage, or a value is not a version number.
    pub fn parse(text: &str) -> Result<Self, RegistryFileError> {
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
        let verified = raw.verified.unwrap_or_default().into_iter();
        registry.verified = verified
            .filter_map(|(version, stamp)| stamp.map(|stamp| (VersionId(version), stamp)))
            .collect();
        Ok(registry)
    }

    /// The text of the file; what [`parse`](Self::parse) reads from it is equal to this.
    ///
    /// # Errors
    /// When an alias holds what YAML cannot.
    pub fn to_text(&self) -> Result<String, RegistryFileError> {
        let stages = self.stages.iter().map(|(stage, version)| (stage.name(), version.0));
        let aliases = self.aliases.iter().map(|(alias, version)| (alias.as_str(), version.0));
        let verified = self.verified.iter().map(|(version, stamp)| (version.0, stamp.as_str()));
        let written = Written {
            stages: stages.collect(),
            aliases: aliases.collect(),
            verified: verified.collect(),
        };
        write_yaml(&written).map_err(RegistryFileError::Unwritable)
    }

    /// Gives a stage or an alias to a version whose directory was found whole with that stamp. The
    /// version that had it loses it; all else stays.
    pub fn assign(&mut self, to: &Assignment, version: VersionId, stamp: String) {
        match to {
            Assignment::Stage(stage) => self.stages.insert(*stage, version),
            Assignment::Alias(alias) => self.aliases.insert(alias.clone(), version),
        };
        self.verified.insert(version, stamp);
        let assigned: Vec<_> = self.stages.values().chain(self.aliases.values()).collect();
        self.verified.retain(|version, _| assigned.contains(&version));
    }

    /// The stamp that a version's directory had when it was promoted.
    pub fn verified(&self, version: VersionId) -> Option<&str> {
        self.verified.get(&version).map(String::as_str)
    }

    /// The version that a stage or an alias is assigned to. Versions and `Latest` are not looked
    /// up here.
    #[must_use]
    pub fn assigned_to(&self, selector: &Selector) -> Option<VersionId> {
        match selector {
            Selector::Alias(alias) => self.aliases.get(alias).copied(),
            Selector::Stage(stage) => self.stages.get(stage).copied(),
            Selector::Version(_) | Selector::Latest => None,
        }
    }
}

impl Assignment {
    /// What a selector assigns; MLflow's rules hold for aliases.
    ///
    /// # Errors
    /// When the selector is a version, the latest one or stage None, or the alias cannot exist.
    pub fn of(selector: &Selector) -> Result<Self, AssignmentError> {
        match selector {
            Selector::Stage(Stage::Unassigned) => Err(AssignmentError::NoStage),
            Selector::Stage(stage) => Ok(Self::Stage(*stage)),
            Selector::Alias(alias) if can_be_alias(alias) => Ok(Self::Alias(alias.clone())),
            Selector::Alias(alias) => Err(AssignmentError::Alias(alias.clone())),
            Selector::Version(_) | Selector::Latest => {
                Err(AssignmentError::NotAssignable(selector.clone()))
            }
        }
    }
}

fn can_be_alias(alias: &str) -> bool {
    let is_version = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let is_reserved = alias.eq_ignore_ascii_case("latest")
        || alias.strip_prefix(['v', 'V']).is_some_and(is_version);
    let is_allowed = |c: char| c.is_alphanumeric() || "_-".contains(c);
    (1..=ALIAS_BYTES_MAX).contains(&alias.len()) && alias.chars().all(is_allowed) && !is_reserved
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
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

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
    fn a_promotion_moves_what_it_assigns_and_keeps_the_rest() {
        let text = "stages: {Production: 1, Staging: 3}\naliases: {champion: 1, other: 2}\n";
        let mut registry = RegistryFile::parse(text).unwrap();
        registry.assign(&Assignment::Stage(Stage::Production), VersionId(2), "aa".to_owned());
        registry.assign(&Assignment::Alias("new".to_owned()), VersionId(4), "bb".to_owned());
        let want = "stages:\n  Production: 2\n  Staging: 3\naliases:\n  champion: 1\n  other: 2\n  \
                    new: 4\nverified:\n  2: aa\n  4: bb\n";
        assert_eq!(registry.to_text().unwrap(), want);
        assert_eq!(registry.verified(VersionId(2)), Some("aa"));

        registry.assign(&Assignment::Alias("new".to_owned()), VersionId(1), "cc".to_owned());
        assert_eq!(registry.verified(VersionId(4)), None, "nothing is assigned to version 4");
    }

    #[test]
    fn only_stages_and_aliases_of_mlflow_can_be_assigned() {
        let alias = |alias: &str| Selector::Alias(alias.to_owned());
        for good in ["champion", "A-1_b", "v", "v1x", "éclair", &"a".repeat(255)] {
            assert_eq!(Assignment::of(&alias(good)), Ok(Assignment::Alias(good.to_owned())));
        }
        let bad = ["", "latest", "Latest", "v1", "V22", "a b", "a/b", "a:b", &"a".repeat(256)];
        for bad in bad {
            assert_eq!(Assignment::of(&alias(bad)), Err(AssignmentError::Alias(bad.to_owned())));
        }
        let none = Selector::Stage(Stage::Unassigned);
        assert_eq!(Assignment::of(&none), Err(AssignmentError::NoStage));
        for selector in [Selector::Latest, Selector::Version(VersionId(2))] {
            let message = Assignment::of(&selector).unwrap_err().to_string();
            assert!(message.contains("give a stage or an alias"), "{message}");
        }
    }

    proptest! {
        /// Aliases of an existing file may be anything that YAML can hold.
        #[test]
        fn what_is_written_reads_back_equal(
            stages in vec((select(Stage::ALL.to_vec()), 1..u64::MAX), 0..4),
            aliases in vec((alias(), 1..u64::MAX), 0..6),
            verified in vec((1..u64::MAX, "[0-9a-f]{32}"), 0..3),
        ) {
            let stages = stages.into_iter().map(|(stage, version)| (stage, VersionId(version)));
            let aliases = aliases.into_iter().map(|(alias, version)| (alias, VersionId(version)));
            let verified = verified.into_iter().map(|(version, stamp)| (VersionId(version), stamp));
            let registry = RegistryFile {
                stages: stages.collect(),
                aliases: aliases.collect(),
                verified: verified.collect(),
            };
            let text = registry.to_text().unwrap();
            prop_assert_eq!(RegistryFile::parse(&text).unwrap(), registry, "{}", text);
        }
    }

    /// Printable text, what YAML takes for something else, and characters it must escape.
    fn alias() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{1,20}",
            "~|null|true|no|1e3|0x1|[.]nan|-|:|#a|a: b|- a|&a|[*]a|!a|%a|@a|`a",
            "[\\x00-\\x20\u{7f}\u{85}\u{2028}\u{feff}\"'\\\\]{1,3}",
        ]
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
