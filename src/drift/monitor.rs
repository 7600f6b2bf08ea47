//! The drift of one version: what it is compared with, and what was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{GraphIo, ModelId, OutputKind, Signature};
use crate::tensor::{DType, Dim, Dims};

use super::build::Builder;
use super::report::{FeatureKind, WindowReport};
use super::tap::{Block, Tap};
use super::watch::Watch;
use super::{DriftOptions, Feature, Part, Reference, Values};

/// Where a reference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It lies in the model's directory.
    Model,
    /// It is an artifact of the run that made the model.
    Run,
    /// It was learned from the first rows that were served.
    Live,
}

/// Why a version has no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReference {
    Absent,
    Unreadable,
    Malformed,
    TooLarge,
    /// It is of another model.
    Mismatch,
    Learning,
    /// The first rows were none to learn from.
    NotLearned,
    Off,
}

/// What a version is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    Reference { origin: Origin, digest: String, rows: u64 },
    None(NoReference),
}

impl Origin {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Run => "run",
            Self::Live => "live",
        }
    }
}

impl NoReference {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Mismatch => "mismatch",
            Self::Learning => "learning",
            Self::NotLearned => "not_learned",
            Self::Off => "off",
        }
    }
}

/// Watches one version.
pub struct Monitor {
    id: ModelId,
    options: DriftOptions,
    /// `None`: nothing is watched.
    tap: Option<Arc<Tap>>,
    /// What gathers a reference, until there is one. Only who counts takes this lock.
    learner: Mutex<Option<Learner>>,
    state: Mutex<State>,
}

struct State {
    basis: Basis,
    watch: Option<Watch>,
}

struct Learner {
    builder: Builder,
    io: GraphIo,
    rows: u64,
}

/// How many features a reference that is learned has at most, inputs and outputs together: what is
/// held of them is bounded by their number and that of the rows.
const LEARNED_FEATURES_MAX: usize = 128;

impl Monitor {
    /// A version that is not watched.
    #[must_use]
    pub fn idle(id: ModelId, options: DriftOptions, why: NoReference) -> Self {
        let state = Mutex::new(State { basis: Basis::None(why), watch: None });
        Self { id, options, tap: None, learner: Mutex::default(), state }
    }

    /// A version with a reference that [`fits`] it, of this digest.
    #[must_use]
    pub fn watching(
        id: ModelId,
        options: DriftOptions,
        io: &GraphIo,
        reference: Reference,
        (origin, digest): (Origin, String),
    ) -> Self {
        let basis = Basis::Reference { origin, digest, rows: reference.rows };
        let watch = Some(Watch::new(reference, io, &options));
        let state = Mutex::new(State { basis, watch });
        Self { id, options, tap: Some(Arc::default()), learner: Mutex::default(), state }
    }

    /// A version that learns its reference from so many rows.
    #[must_use]
    pub fn learning(
        id: ModelId,
        options: DriftOptions,
        signature: &Signature,
        io: &GraphIo,
        rows: usize,
    ) -> Self {
        // There is no second look at rows: more features than that are not learned.
        let builder = Builder::new(signature, io, rows * LEARNED_FEATURES_MAX);
        let learner = Some(Learner { builder, io: io.clone(), rows: rows as u64 });
        let state = State { basis: Basis::None(NoReference::Learning), watch: None };
        let (tap, learner, state) = (Some(Arc::default()), Mutex::new(learner), Mutex::new(state));
        Self { id, options, tap, learner, state }
    }

    /// The version.
    #[must_use]
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// How it is watched.
    #[must_use]
    pub fn options(&self) -> &DriftOptions {
        &self.options
    }

    /// Where rows are handed over; `None` where they need not be.
    #[must_use]
    pub fn tap(&self) -> Option<&Arc<Tap>> {
        self.tap.as_ref()
    }

    /// What it is compared with.
    #[must_use]
    pub fn basis(&self) -> Basis {
        self.state().basis.clone()
    }

    /// Whether it watches the same version in the same way as another would that is new.
    #[must_use]
    pub(super) fn stands_for(&self, new: &Self) -> bool {
        let is_same = match (self.basis(), new.basis()) {
            // What has been learned of a version goes on being what it is compared with.
            (
                Basis::Reference { origin: Origin::Live, .. } | Basis::None(NoReference::Learning),
                Basis::None(NoReference::Learning),
            ) => true,
            (old @ Basis::Reference { .. }, new) => old == new,
            (Basis::None(_), _) => false,
        };
        is_same && self.id == new.id && self.options == new.options
    }

    /// Counts what was handed over. `now` is the time of any clock that does not go back. To be
    /// called by one thread.
    pub fn count(&self, now: Duration) {
        let Some(tap) = &self.tap else { return };
        let blocks = tap.take();
        if let Some(learner) = &mut *self.learner.lock().unwrap_or_else(PoisonError::into_inner) {
            for Block { feeds, outputs } in blocks {
                let outputs: Option<Vec<_>> = outputs.into_iter().collect();
                // An output without rows cannot be followed; the first block says so.
                learner.builder.add(&feeds, &outputs.unwrap_or_default());
            }
            if learner.builder.rows() < learner.rows {
                return;
            }
        } else {
            // Counted without the lock: who reads should not wait for that, least of all where the
            // thread that counts gets little of a core.
            let features = self.state().watch.as_ref().map(Watch::features);
            let counted = features.filter(|_| !blocks.is_empty()).map(|all| all.count(blocks));
            if let Some(watch) = &mut self.state().watch {
                match counted {
                    Some(counted) => {
                        tap.note_shapeless(counted.shapeless);
                        watch.add(&counted, now);
                    }
                    None => watch.expire(now),
                }
            }
            return;
        }
        self.learn(tap);
    }

    /// From now on what was learned is what is compared with.
    fn learn(&self, tap: &Tap) {
        let learner = self.learner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Learner { builder, io, .. }) = learner else { return };
        let learned = builder.finish(None).map(|built| {
            let rows = built.reference.rows;
            tracing::info!(model = %self.id, rows, "learned a drift reference");
            let basis = Basis::Reference { origin: Origin::Live, digest: String::new(), rows };
            State { basis, watch: Some(Watch::new(built.reference, &io, &self.options)) }
        });
        *self.state() = learned.unwrap_or_else(|error| {
            tracing::warn!(model = %self.id, %error, "no drift reference can be learned");
            tap.close();
            State { basis: Basis::None(NoReference::NotLearned), watch: None }
        });
    }

    /// Rows that were compared with the reference.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.state().watch.as_ref().map_or(0, Watch::rows)
    }

    /// All windows at this moment, in the order of the options; nothing without a reference.
    #[must_use]
    pub fn windows(&self, now: Duration) -> Vec<WindowReport> {
        self.state().watch.as_ref().map(|watch| watch.windows(now)).unwrap_or_default()
    }

    /// Calls `look` with every feature of the reference that is watched, and all that was ever seen
    /// of it, where that is kept. Not of a reference that was learned: replicas learn others.
    pub fn bins(&self, mut look: impl FnMut(FeatureKind, &Feature, &super::Seen)) {
        let state = self.state();
        if matches!(state.basis, Basis::Reference { origin: Origin::Live, .. }) {
            return;
        }
        if let Some(watch) = &state.watch {
            watch.totals().for_each(|(kind, feature, seen)| look(kind, feature, seen));
        }
    }

    /// Bytes that the counts of all windows take now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state().watch.as_ref().map_or(0, Watch::bytes)
    }

    /// A panic while counting leaves counts that are a little off, which is no reason to stop.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a reference can be of a model with this signature and this graph.
///
/// # Errors
/// A sentence about the first thing that does not fit.
pub fn fits(reference: &Reference, signature: Option<&str>, io: &GraphIo) -> Result<(), String> {
    if let Some(own) = &reference.signature
        && signature != Some(own)
    {
        return Err("it was made for a model with another signature".to_owned());
    }
    for feature in &reference.inputs {
        let input = io.inputs.iter().find(|input| input.name == feature.tensor);
        let input = input.ok_or_else(|| {
            format!("feature `{}`: the graph has no input `{}`", feature.name, feature.tensor)
        })?;
        check(feature, Some(input.dtype), &input.dims)?;
    }
    for feature in &reference.outputs {
        let output = io.outputs.iter().find(|output| output.name == feature.tensor);
        let output = output.ok_or_else(|| {
            format!("feature `{}`: the graph has no output `{}`", feature.name, feature.tensor)
        })?;
        match &output.kind {
            OutputKind::Tensor { dtype, dims } => check(feature, Some(*dtype), dims)?,
            OutputKind::Maps => check(feature, None, &Dims(vec![Dim::Any; 2]))?,
        }
    }
    Ok(())
}

/// `dtype` is `None` for numbers of any kind.
fn check(feature: &Feature, dtype: Option<DType>, dims: &Dims) -> Result<(), String> {
    let Feature { name, tensor, width, part, values, .. } = feature;
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Any => None,
    };
    // No dimensions stand for a single value, and for a shape that is not declared.
    let own: Option<usize> = dims.0.iter().skip(1).map(fixed).product();
    if dims.rank() > 0 && own.is_some_and(|own| own != *width) {
        return Err(format!(
            "feature `{name}`: expected rows of {} elements in `{tensor}`, got {width}",
            own.unwrap_or_default()
        ));
    }
    let is_text = matches!(dtype, Some(DType::Str | DType::Bool));
    let is_float = matches!(dtype, None | Some(DType::F16 | DType::F32 | DType::F64));
    let fits = match values {
        Values::Numeric(_) => !is_text,
        // Whole numbers may be names of classes.
        Values::Categorical(_) => !is_float && *part != Part::Mean && *part != Part::Deviation,
    };
    if fits {
        return Ok(());
    }
    let (expected, got) =
        if is_text { ("categories", "numbers") } else { ("numbers", "categories") };
    Err(format!("feature `{name}`: expected {expected} of `{tensor}`, got {got}"))
}
