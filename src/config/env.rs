//! The one place that reads environment variables.

use std::collections::HashMap;

/// The environment, as it was when the process started.
#[derive(Clone, Debug, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Reads the process's environment. Variables that are not text do not exist for us.
    #[must_use]
    pub fn read() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The variable's value. An empty one counts as not set, and so does an address in a
    /// variable of ours: for a service named `flowgate` Kubernetes sets `FLOWGATE_PORT` to
    /// something like `tcp://10.0.0.1:80`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.as_str();
        let by_kubernetes = name.starts_with("FLOWGATE_") && value.contains("://");
        (!value.is_empty() && !by_kubernetes).then_some(value)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}
