//! A registry that changes its mind.

use std::path::PathBuf;

use flowgate::lifecycle::Answer;
use flowgate::model::{ModelName, VersionId};
use flowgate::source::{Aspired, Origin};

/// What a registry says about a model.
#[derive(Default)]
pub(crate) struct Registry {
    versions: Vec<Aspired>,
    /// The one that should serve.
    chosen: usize,
    /// Whether that one was deleted.
    pub(crate) is_empty: bool,
    pub(crate) is_down: bool,
}

impl Registry {
    /// The version that should serve.
    pub(crate) fn chosen(&self) -> &Aspired {
        &self.versions[self.chosen]
    }

    pub(crate) fn answer(&self) -> Answer {
        if self.is_down {
            Answer::Error("down".to_owned())
        } else if self.is_empty {
            Answer::Nothing
        } else {
            Answer::Version(self.chosen().clone())
        }
    }

    /// A new version is to serve.
    pub(crate) fn promote(&mut self, model: &ModelName) {
        let version = VersionId(self.versions.len() as u64 + 1);
        let origin = Origin::Directory(PathBuf::from(format!("{model}/{version}")));
        let stamp = format!("{model}/{version}");
        self.chosen = self.versions.len();
        self.versions.push(Aspired { version, origin, stamp });
        self.is_empty = false;
    }

    /// Something else happens than a promotion. Returns whether the chosen version is another one
    /// by what the registry says about it.
    pub(crate) fn change(&mut self, random: &mut fastrand::Rng) -> bool {
        let newest = self.versions.len() - 1;
        let before = newest.saturating_sub(1);
        match random.u8(0..6) {
            0 => self.chosen = random.usize(0..=newest),
            1 => self.chosen = self.chosen.saturating_sub(1),
            2 => self.chosen = if self.chosen == newest { before } else { newest },
            3 => self.is_empty = !self.is_empty,
            4 => self.is_down = !self.is_down,
            _ => {
                self.versions[self.chosen].stamp.push('+');
                return true;
            }
        }
        false
    }
}
