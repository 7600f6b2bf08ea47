//! What was given, and where.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use crate::backend::LibrarySearch;

use super::Environment;
use super::fault::{Fault, did_you_mean};
use super::file::{Contents, FileModel};
use super::setting::{self, Setting};

/// Everything that was given, not yet checked.
#[derive(Debug, Default)]
pub struct Sources {
    pub(super) given: HashMap<&'static str, Given>,
    /// From the command line: `[NAME=]DIR`.
    pub(super) arguments: Vec<String>,
    pub(super) models: Vec<FileModel>,
    /// Places of ONNX Runtime's library that the process's surroundings suggest.
    pub(super) library: LibrarySearch,
    /// Where caches go unless something else is said.
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) is_in_kubernetes: bool,
    pub(super) faults: Vec<Fault>,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Where a value came from, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Flag(&'static str),
    Environment(&'static str),
    File,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File => f.write_str("configuration file"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Sources {
    /// Merges what was given: a flag goes before a variable, a variable before the file.
    /// `flags` holds long names and values; `file` is the file's text.
    #[must_use]
    pub fn merge(
        flags: &HashMap<&'static str, String>,
        arguments: Vec<String>,
        environment: &Environment,
        file: Option<&str>,
    ) -> Self {
        let file = file.map(Contents::parse).unwrap_or_default();
        let mut given: HashMap<_, _> = file
            .values
            .into_iter()
            .map(|(key, text)| (key, Given { text, origin: Origin::File }))
            .collect();
        for setting in setting::ALL {
            let strongest = from_flag(setting, flags).or_else(|| from_env(setting, environment));
            if let Some(strongest) = strongest {
                given.insert(setting.key, strongest);
            }
        }
        let (library, cache_dir) = (environment.library(), environment.cache_dir());
        Self {
            given,
            arguments,
            models: file.models,
            library,
            cache_dir,
            is_in_kubernetes: environment.is_in_kubernetes(),
            faults: file.faults,
        }
    }
}

/// A sentence for each variable that is probably a setting's name, misspelt. Others that begin
/// like ours are none of our business: Kubernetes makes some for a service named `flowgate`.
#[must_use]
pub fn misspelt_variables(environment: &Environment) -> Vec<String> {
    let known = || setting::ALL.iter().map(|setting| setting.env).chain(["FLOWGATE_CONFIG"]);
    let mut sentences: Vec<String> = environment
        .ours()
        .filter(|name| known().all(|known| known != *name))
        .map(|name| (name, did_you_mean(name, known())))
        .filter(|(_, hint)| !hint.is_empty())
        .map(|(name, hint)| format!("the environment variable {name} sets nothing{hint}"))
        .collect();
    sentences.sort_unstable();
    sentences
}

fn from_flag(setting: &Setting, flags: &HashMap<&'static str, String>) -> Option<Given> {
    let text = flags.get(setting.flag)?.clone();
    Some(Given { text, origin: Origin::Flag(setting.flag) })
}

fn from_env(setting: &Setting, environment: &Environment) -> Option<Given> {
    if let Some(text) = environment.get(setting.env) {
        return Some(Given { text: text.to_owned(), origin: Origin::Environment(setting.env) });
    }
    let known = setting.env_known?;
    let text = environment.get(known.name)?;
    let text = match text.to_ascii_lowercase().as_str() {
        "true" | "1" if known.inverted => "false".to_owned(),
        "false" | "0" if known.inverted => "true".to_owned(),
        _ => text.to_owned(),
    };
    Some(Given { text, origin: Origin::Environment(known.name) })
}
