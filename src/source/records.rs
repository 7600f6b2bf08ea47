//! What a registry of files writes down, and how a URI is followed through it.

use crate::mlflow::{ModelUri, RunUri};
use crate::model::{ModelName, Selector, VersionId};

use super::location::{Location, Locations};
use super::{Aspired, Origin, SourceError, Wanted};

/// Locations that may lead to other locations: copies of copies.
const HOPS_MAX: usize = 16;
/// The status of a version whose artifacts are all there.
pub(super) const READY: &str = "READY";
/// The status of a logged model whose artifacts are all there.
pub(super) const LOGGED_READY: u8 = 2;
/// The stage of a version that was deleted but is still written down.
pub(super) const DELETED: &str = "Deleted_Internal";
/// What has no version of its own.
const ONLY_VERSION: VersionId = VersionId(1);

/// A version of a registered model. Never a deleted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VersionRecord {
    pub(super) version: VersionId,
    /// `READY`, or why it is not to be loaded.
    pub(super) status: String,
    /// Where the registry found its files when it was registered, or else what it was made from.
    pub(super) location: Option<String>,
    /// When anything but tags and aliases was changed last, as written.
    pub(super) updated: String,
}

/// A logged model (MLflow 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedRecord {
    pub(super) location: String,
    pub(super) updated: String,
}

/// What is read from a database or a file store; one look, one state.
pub(super) trait Records {
    /// The version that a selector means, whatever its status; `None` when it means none.
    ///
    /// # Errors
    /// `Unknown` when there is no such model.
    fn version(
        &self,
        name: &ModelName,
        selector: &Selector,
    ) -> Result<Option<VersionRecord>, SourceError>;

    /// A logged model that is ready and was not deleted.
    fn logged(&self, id: &str) -> Result<Option<LoggedRecord>, SourceError>;

    /// The newest such model of that name that a run logged.
    fn logged_by(&self, run_id: &str, name: &str) -> Result<Option<LoggedRecord>, SourceError>;

    /// Where the artifacts of a run are; `None` when there is no such run.
    fn run_artifacts(&self, run_id: &str) -> Result<Option<String>, SourceError>;
}

/// What should serve, by the records. `None` when the selector is assigned to no version.
pub(super) fn aspired(
    records: &impl Records,
    locations: &Locations,
    wanted: &Wanted,
) -> Result<Option<Aspired>, SourceError> {
    let trail = Trail { records, locations, what: wanted.to_string() };
    let Some(entry) = trail.look_up(wanted)? else { return Ok(None) };
    let origin = trail.origin(entry.place, HOPS_MAX)?;
    locations.check(&trail.what, &origin)?;
    let place = match &origin {
        Origin::Directory(dir) => dir.to_string_lossy(),
        Origin::Artifacts(uri) => uri.into(),
    };
    let stamp = format!("{} {place}", entry.updated);
    Ok(Some(Aspired { version: entry.version, origin, stamp }))
}

/// The way from a URI to where the files are.
struct Trail<'a, R> {
    records: &'a R,
    locations: &'a Locations,
    /// What was asked for, in words.
    what: String,
}

/// What the records say of a URI.
struct Entry {
    version: VersionId,
    updated: String,
    place: Location,
}

impl<R: Records> Trail<'_, R> {
    fn look_up(&self, wanted: &Wanted) -> Result<Option<Entry>, SourceError> {
        match wanted {
            Wanted::Model(ModelUri::Registered { name, selector }) => {
                match self.records.version(name, selector)? {
                    Some(record) => self.registered(name, record).map(Some),
                    None => Ok(None),
                }
            }
            Wanted::Model(ModelUri::Logged { id }) => match self.records.logged(id)? {
                Some(record) => self.logged(record).map(Some),
                None => Err(SourceError::Unknown(format!(
                    "the registry has no logged model {id} that is ready"
                ))),
            },
            Wanted::Run(uri) => self.run(uri).map(Some),
        }
    }

    fn registered(&self, name: &ModelName, record: VersionRecord) -> Result<Entry, SourceError> {
        let VersionRecord { version, status, location, updated } = record;
        let what = format!("version {version} of model {name}");
        if status != READY {
            return Err(SourceError::Unreadable(format!(
                "{what} is {status} in the registry, and only what is {READY} is loaded"
            )));
        }
        let location = location.ok_or_else(|| {
            SourceError::Unreadable(format!("the registry does not say where {what} lies"))
        })?;
        let place = self.locations.resolve(&what, &location)?;
        Ok(Entry { version, updated, place })
    }

    fn logged(&self, record: LoggedRecord) -> Result<Entry, SourceError> {
        let LoggedRecord { location, updated } = record;
        let place = self.locations.resolve(&self.what, &location)?;
        Ok(Entry { version: ONLY_VERSION, updated, place })
    }

    /// Before MLflow 3 a model lay among its run's artifacts; since then it is logged beside the
    /// run, under the same URI.
    fn run(&self, uri: &RunUri) -> Result<Entry, SourceError> {
        let Some(artifacts) = self.records.run_artifacts(&uri.run_id)? else {
            let run_id = &uri.run_id;
            return Err(SourceError::Unknown(format!("the registry knows no run {run_id}")));
        };
        let within = format!("{}/{}", artifacts.trim_end_matches('/'), uri.path);
        let place = self.locations.resolve(&self.what, &within)?;
        if let Location::At(Origin::Directory(dir)) = &place
            && dir.is_dir()
        {
            return Ok(Entry { version: ONLY_VERSION, updated: String::new(), place });
        }
        match self.records.logged_by(&uri.run_id, &uri.path)? {
            Some(record) => self.logged(record),
            None => Ok(Entry { version: ONLY_VERSION, updated: String::new(), place }),
        }
    }

    fn origin(&self, place: Location, hops_left: usize) -> Result<Origin, SourceError> {
        let next = match place {
            Location::At(origin) => return Ok(origin),
            Location::Again(next) => next,
        };
        let what = &self.what;
        if hops_left == 0 {
            return Err(SourceError::Unreadable(format!(
                "{what} is a copy of a copy more than {HOPS_MAX} times over, or of itself"
            )));
        }
        match self.look_up(&next)? {
            Some(entry) => self.origin(entry.place, hops_left - 1),
            None => Err(SourceError::Unreadable(format!(
                "the registry says that {what} is a copy of {next}, which it does not have"
            ))),
        }
    }
}
