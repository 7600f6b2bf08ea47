//! Locations of artifacts, as registries of files write them down.

use std::path::{Component, Path, PathBuf};

use crate::store::{local_path, scheme, without_secrets};

use super::{Origin, SourceError, Wanted};

/// The scheme of what lies in the artifact folder of a tracking server.
const SERVED: &str = "mlflow-artifacts";

/// Where the locations of one registry lead.
#[derive(Clone, Debug)]
pub(super) struct Locations {
    /// The folder that relative paths start from. Absolute.
    base: PathBuf,
    /// What `mlflow-artifacts:/` stands for: a path or a URI.
    artifact_root: String,
}

/// What a location means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    At(Origin),
    /// Something of the registry, whose own location counts.
    Again(Wanted),
}

impl Locations {
    pub(super) fn new(base: PathBuf, artifact_root: String) -> Self {
        Self { base, artifact_root }
    }

    /// What a location that the registry gives for `what` means. Whether it exists is not asked.
    pub(super) fn resolve(&self, what: &str, location: &str) -> Result<Location, SourceError> {
        let unusable = |cause: &dyn std::fmt::Display| {
            SourceError::Unreadable(format!(
                "the registry says that {what} lies at `{}`: {cause}",
                without_secrets(location)
            ))
        };
        if Wanted::is_claimed_by(location) {
            return Wanted::parse(location).map(Location::Again).map_err(|cause| unusable(&cause));
        }
        match scheme(location) {
            None | Some("file") => {
                let path = local_path(location).map_err(|cause| unusable(&cause))?;
                Ok(Location::At(Origin::Directory(self.base.join(path))))
            }
            Some(SERVED) => {
                let path = served_path(location)
                    .ok_or_else(|| unusable(&"it leads out of the server's artifact folder"))?;
                let root = &self.artifact_root;
                let within = format!("{}/{path}", root.trim_end_matches('/'));
                match scheme(root) {
                    None | Some("file") => self.resolve(what, &within),
                    Some(SERVED) => Err(unusable(&"the artifact folder has no place of its own")),
                    Some(_) => Ok(Location::At(Origin::Artifacts(within))),
                }
            }
            Some(_) => Ok(Location::At(Origin::Artifacts(location.to_owned()))),
        }
    }

    /// Fails when an origin is a directory that is not there.
    pub(super) fn check(&self, what: &str, origin: &Origin) -> Result<(), SourceError> {
        let Origin::Directory(dir) = origin else { return Ok(()) };
        if dir.is_dir() {
            return Ok(());
        }
        let advice = if scheme(&self.artifact_root).is_none()
            && dir.starts_with(self.base.join(&self.artifact_root))
        {
            "; if a tracking server keeps its artifacts elsewhere, give its address as tracking \
             URI, or that place as artifact root"
        } else {
            "; registries write down absolute paths, so it must be there under this very path"
        };
        Err(SourceError::Unreadable(format!(
            "{what} lies in `{}`, which is no directory of this machine{advice}",
            dir.display()
        )))
    }
}

/// The path of `mlflow-artifacts:/PATH` or `mlflow-artifacts://HOST/PATH`, relative to the artifact
/// folder. `None` when it leads out of it.
fn served_path(location: &str) -> Option<&str> {
    let rest = location.strip_prefix(SERVED)?.strip_prefix(':')?;
    let path = match rest.strip_prefix("//") {
        Some(after_host) => after_host.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    let path = path.trim_start_matches('/');
    let stays_inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    (stays_inside && !path.contains('%')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(root: &str, location: &str) -> Result<Location, String> {
        let locations = Locations::new("/base".into(), root.to_owned());
        locations.resolve("it", location).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_leads_where_mlflow_would_look() {
        let dir = |path: &str| Location::At(Origin::Directory(path.into()));
        let away = |uri: &str| Location::At(Origin::Artifacts(uri.to_owned()));
        let cases = [
            ("/a/b", dir("/a/b")),
            ("mlruns/1/x", dir("/base/mlruns/1/x")),
            ("./mlruns/1/x", dir("/base/./mlruns/1/x")),
            ("file:///a/b%20c", dir("/a/b c")),
            ("file:mlruns/1", dir("/base/mlruns/1")),
            ("mlflow-artifacts:/1/models/m-1/artifacts", dir("/base/arts/1/models/m-1/artifacts")),
            ("mlflow-artifacts://host:5000/1/x", dir("/base/arts/1/x")),
            ("s3://bucket/a", away("s3://bucket/a")),
            ("gs://bucket/a", away("gs://bucket/a")),
            ("abfss://c@account/a", away("abfss://c@account/a")),
            ("https://host/a?sig=x", away("https://host/a?sig=x")),
            ("models:/m-1", Location::Again(Wanted::parse("models:/m-1").unwrap())),
            ("runs:/r1/model", Location::Again(Wanted::parse("runs:/r1/model").unwrap())),
        ];
        for (location, want) in cases {
            assert_eq!(resolve("arts/", location), Ok(want), "{location}");
        }
        assert_eq!(resolve("s3://b/base/", "mlflow-artifacts:/1/x"), Ok(away("s3://b/base/1/x")));
        assert_eq!(resolve("file:///srv/a", "mlflow-artifacts:/1/x"), Ok(dir("/srv/a/1/x")));
    }

    #[test]
    fn what_leads_nowhere_is_refused_and_secrets_are_not_shown() {
        let cases = [
            ("mlflow-artifacts:/../x", "leads out of"),
            ("mlflow-artifacts:/1/%2e%2e/%2e%2e/x", "leads out of"),
            ("models:/churn", "models:/churn"),
            ("models:/", "expected models:/NAME/VERSION"),
            ("runs:/x", "expected runs:/RUN_ID/PATH"),
            ("file://host/a", "names another host"),
            ("", "no model is named"),
        ];
        for (location, part) in cases {
            match resolve("arts", location) {
                Err(message) => assert!(message.contains(part), "{location}: {message}"),
                Ok(found) => assert_eq!(found, Location::Again(Wanted::parse(location).unwrap())),
            }
        }
        assert!(resolve("mlflow-artifacts:/x", "mlflow-artifacts:/1").is_err());
        assert_eq!(without_secrets("https://user:word@host/a?sig=secret#x"), "https://host/a");
        assert_eq!(without_secrets("mlruns/1"), "mlruns/1");
    }
}
