//! What a registry is told about its versions.

/// What became of a version at this server, for those who look at the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It answers requests.
    Serving,
    /// It did, until another version took its place.
    Replaced,
    /// It may not serve.
    Refused { reason: String },
    /// It served, did worse than the version before it, and was taken back.
    RolledBack { reason: String },
}

impl Told {
    /// One word for it.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Replaced => "replaced",
            Self::Refused { .. } => "refused",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Why, where there is something to explain.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Serving | Self::Replaced => None,
            Self::Refused { reason } | Self::RolledBack { reason } => Some(reason),
        }
    }
}
