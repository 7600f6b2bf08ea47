//! The one place that reads environment variables.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::backend::LibrarySearch;

/// The environment, as it was when the process started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    executable: Option<PathBuf>,
    current_dir: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment. Variables that are not text do not exist for us.
    #[must_use]
    pub fn read() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            executable: std::env::current_exe().ok(),
            current_dir: std::env::current_dir().ok(),
        }
    }

    /// The file that `FLOWGATE_CONFIG` names.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        self.get("FLOWGATE_CONFIG").map(PathBuf::from)
    }

    /// Where ONNX Runtime's library may be, as far as the surroundings tell.
    pub(super) fn library(&self) -> LibrarySearch {
        LibrarySearch {
            explicit: None,
            ort_dylib_path: None,
            virtual_env: self.get("VIRTUAL_ENV").map(PathBuf::from),
            conda_prefix: self.get("CONDA_PREFIX").map(PathBuf::from),
            executable: self.executable.clone(),
            current_dir: self.current_dir.clone(),
        }
    }

    /// Where programs of this user keep what they could make again. The standard of the variable
    /// has relative paths ignored.
    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        let absolute = |name| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(user.join("flowgate"))
    }

    /// Names of our own variables that are set.
    pub(super) fn ours(&self) -> impl Iterator<Item = &str> {
        let names = self.variables.keys().map(String::as_str);
        names.filter(|name| name.starts_with("FLOWGATE_") && self.get(name).is_some())
    }

    /// The variable's value. An empty one counts as not set, and so does an address in a
    /// variable of ours: for a service named `flowgate` Kubernetes sets `FLOWGATE_PORT` to
    /// something like `tcp://10.0.0.1:80`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.as_str();
        let by_kubernetes = name.starts_with("FLOWGATE_") && value.contains("://");
        (!value.is_empty() && !by_kubernetes).then_some(value)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { variables, executable: None, current_dir: None }
    }
}
