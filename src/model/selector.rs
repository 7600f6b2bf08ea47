//! How a client or the configuration picks one version of a model.

use std::fmt;

use super::VersionId;

/// Picks one version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    Version(VersionId),
    /// A name that the registry points at a version. Case matters.
    Alias(String),
    Stage(Stage),
    /// The highest version number.
    Latest,
}

/// MLflow's stages. A version is in exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// MLflow's stage of the name `None`: where a new version starts.
    Unassigned,
    Staging,
    Production,
    Archived,
}

impl Stage {
    /// Every stage, in the order of a version's life.
    pub const ALL: [Self; 4] = [Self::Unassigned, Self::Staging, Self::Production, Self::Archived];

    /// MLflow's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// The stage of that name; as in MLflow, case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads as the object of a sentence: `version 3`, `alias champion`, `stage Production`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Alias(alias) => write!(f, "alias {alias}"),
            Self::Stage(stage) => write!(f, "stage {stage}"),
            Self::Latest => f.write_str("the latest version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_in_any_case_and_print_in_mlflows() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(&stage.name().to_uppercase()), Some(stage));
            assert_eq!(Stage::from_name(&stage.to_string()), Some(stage));
        }
        assert_eq!(Stage::from_name("prod"), None);
    }
}
