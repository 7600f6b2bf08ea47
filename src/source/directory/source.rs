//! Which version a folder means now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{ModelName, Selector, VersionId};
use crate::source::{Aspired, Origin, SourceError};
use crate::store::{LayoutError, Meaning, ModelDir, ModelFolder, Place, one_directory};

use super::look::Look;
use super::settle::{Now, Settled, Watch};

/// What a [`DirectorySource`] follows.
#[derive(Clone, Debug)]
pub struct DirectoryOptions {
    /// A path or `file:` URI: the folder of a model's versions, one model directory, or a root that
    /// holds no more than one model.
    pub path: String,
    /// Without one: the version in stage Production, or else the highest one.
    pub selector: Option<Selector>,
    /// How long a directory must have been left alone before it is taken for complete.
    pub settle: Duration,
}

/// Follows a folder of versions, or one model directory.
#[derive(Debug)]
pub struct DirectorySource {
    options: DirectoryOptions,
    /// The directories that were looked at, as they were then.
    watched: BTreeMap<PathBuf, Known>,
    /// The version that was last said to be aspired.
    answered: Option<VersionId>,
    settles_in: Option<Duration>,
}

/// What is known about one version's directory.
#[derive(Clone, Debug)]
struct Known {
    watch: Watch,
    /// What is missing in it; asked once for each state that it settles in.
    judged: Option<Result<(), String>>,
}

/// What a version's directory is good for.
enum Found {
    Whole(Aspired),
    /// Someone may still be copying.
    Settling,
    /// Left alone, but incomplete.
    Broken(String),
}

impl DirectorySource {
    #[must_use]
    pub fn new(options: DirectoryOptions) -> Self {
        Self { options, watched: BTreeMap::new(), answered: None, settles_in: None }
    }

    /// The version that should serve now. `None` when nothing is selected, or what is selected is
    /// still being copied. Blocks while it looks at the files, a few milliseconds for a folder of
    /// usual size on a local disk.
    ///
    /// # Errors
    /// When the folder cannot be read or means nothing, or the version was left incomplete.
    pub fn aspired(&mut self) -> Result<Option<Aspired>, SourceError> {
        self.aspired_at(Now::read())
    }

    /// How long after the last look a directory may have settled that had not then: a look sooner
    /// than the next regular one is worth it. `None` when nothing was unsettled.
    pub fn settles_in(&self) -> Option<Duration> {
        self.settles_in
    }

    /// Where changes show, for a [`Hint`](crate::source::Hint).
    pub fn places(&self) -> Vec<PathBuf> {
        crate::store::local_path(&self.options.path).into_iter().collect()
    }

    pub(super) fn aspired_at(&mut self, now: Now) -> Result<Option<Aspired>, SourceError> {
        self.settles_in = None;
        let before = std::mem::take(&mut self.watched);
        let mut look = Looking { options: &self.options, before, now, after: BTreeMap::new() };
        let found = look.aspired(self.answered);
        self.settles_in = look.settles_in();
        self.watched = look.after;
        if let Ok(Some(aspired)) = &found {
            self.answered = Some(aspired.version);
        }
        found
    }
}

/// One look at a folder.
struct Looking<'a> {
    options: &'a DirectoryOptions,
    before: BTreeMap<PathBuf, Known>,
    after: BTreeMap<PathBuf, Known>,
    now: Now,
}

impl Looking<'_> {
    fn aspired(&mut self, answered: Option<VersionId>) -> Result<Option<Aspired>, SourceError> {
        let selector = self.options.selector.as_ref();
        let folder = match Place::of(&self.options.path)? {
            Place::Directory(dir) => {
                let only = one_directory(dir, selector)?;
                return self.only(only.version, &only.dir, None);
            }
            Place::Folder(folder) => *folder,
            Place::Root { path, models } => {
                let [(_, only)] = models.as_slice() else {
                    let names = models.into_iter().map(|(name, _)| name).collect();
                    return Err(LayoutError::SeveralModels { path, names }.into());
                };
                let folder = ModelFolder::read(only)?;
                folder.ok_or(LayoutError::NoModel { path })?
            }
        };
        match folder.meaning(selector) {
            Meaning::Nothing => Ok(None),
            Meaning::Highest => self.highest(&folder, answered),
            Meaning::Version(version) => match folder.versions().get(&version) {
                Some(dir) => self.only(version, dir, folder.registry().verified(version)),
                None => Err(folder.no_such_version(selector, version).into()),
            },
        }
    }

    /// A version that nothing else can stand in for.
    fn only(
        &mut self,
        version: VersionId,
        dir: &Path,
        verified: Option<&str>,
    ) -> Result<Option<Aspired>, SourceError> {
        match self.look(version, dir, verified)? {
            Found::Whole(aspired) => Ok(Some(aspired)),
            Found::Settling => Ok(None),
            Found::Broken(why) => Err(SourceError::Unreadable(why)),
        }
    }

    /// The highest version that is whole. One that was aspired before and is being replaced is
    /// waited for: a lower one would serve for no longer than the copying takes.
    fn highest(
        &mut self,
        folder: &ModelFolder,
        answered: Option<VersionId>,
    ) -> Result<Option<Aspired>, SourceError> {
        let mut broken = None;
        for (version, dir) in folder.versions().iter().rev() {
            match self.look(*version, dir, folder.registry().verified(*version))? {
                Found::Whole(aspired) => return Ok(Some(aspired)),
                Found::Settling if answered == Some(*version) => return Ok(None),
                Found::Settling => {}
                Found::Broken(why) if answered == Some(*version) => {
                    return Err(SourceError::Unreadable(why));
                }
                Found::Broken(why) => broken = broken.or(Some(why)),
            }
        }
        match broken {
            Some(why) if self.settles_in().is_none() => Err(SourceError::Unreadable(why)),
            _ => Ok(None),
        }
    }

    fn look(
        &mut self,
        version: VersionId,
        dir: &Path,
        verified: Option<&str>,
    ) -> Result<Found, SourceError> {
        let before = self.before.get(dir);
        let watch = Watch::update(before.map(|known| &known.watch), Look::at(dir)?, self.now);
        let judged = before
            .filter(|before| before.watch.stamp() == watch.stamp())
            .and_then(|before| before.judged.clone());
        let mut known = Known { watch, judged };
        let settled = known.watch.settled(verified, self.options.settle, self.now);
        let found = match settled {
            Settled::In(_) => Found::Settling,
            Settled::Yes => match known.judged.get_or_insert_with(|| judge(version, dir)) {
                Ok(()) => Found::Whole(Aspired {
                    version,
                    origin: Origin::Directory(dir.to_owned()),
                    stamp: known.watch.stamp().to_owned(),
                }),
                Err(why) => Found::Broken(why.clone()),
            },
        };
        self.after.insert(dir.to_owned(), known);
        Ok(found)
    }

    /// The shortest wait for anything that had not settled.
    fn settles_in(&self) -> Option<Duration> {
        let waits = self.after.values().filter(|known| known.judged.is_none()).map(|known| {
            match known.watch.settled(None, self.options.settle, self.now) {
                Settled::In(wait) => wait,
                Settled::Yes => Duration::ZERO,
            }
        });
        waits.min()
    }
}

/// What is missing in a directory that was left alone. Said once in the log: where another version
/// can serve, nobody else says it.
fn judge(version: VersionId, dir: &Path) -> Result<(), String> {
    ModelDir::glance(dir).map_err(|cause| {
        let why = format!("version {version} is incomplete: {cause}");
        tracing::warn!(%version, "{why}");
        why
    })
}

/// The models at a path or `file:` URI and the place of each: several for a root, else one, at the
/// path as it was given, which may be a link that leads elsewhere one day. In a root a damaged
/// `registry.yaml` is no reason to miss a model: whoever follows it is told.
///
/// # Errors
/// When there is none, or the path cannot be read.
pub fn models_at(path: &str) -> Result<Vec<(ModelName, PathBuf)>, SourceError> {
    let name = match Place::of(path)? {
        Place::Directory(dir) => one_directory(dir, None)?.name,
        Place::Folder(folder) => folder.name().clone(),
        Place::Root { models, .. } => return Ok(models),
    };
    Ok(vec![(name, crate::store::local_path(path).map_err(LayoutError::from)?)])
}

impl From<LayoutError> for SourceError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Missing { .. } | LayoutError::NoModel { .. } => {
                Self::Unknown(error.to_string())
            }
            error => Self::Unreadable(error.to_string()),
        }
    }
}
