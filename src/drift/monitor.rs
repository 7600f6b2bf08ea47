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
    state: Mutex<State>,
}

struct State {
    basis: Basis,
    work: Work,
}

enum Work {
    Nothing,
    Learn { builder: Box<Builder>, io: GraphIo, rows: usize },
    Watch(Box<Watch>),
}

impl Monitor {
    /// A version that is not watched.
    #[must_use]
    pub fn idle(id: ModelId, options: DriftOptions, why: NoReference) -> Self {
        let state = State { basis: Basis::None(why), work: Work::Nothing };
        Self { id, options, tap: None, state: Mutex::new(state) }
    }

    /// A version with a reference that [`fits`] it.
    #[must_use]
    pub fn watching(
        id: ModelId,
        options: DriftOptions,
        io: &GraphIo,
        reference: Reference,
        origin: Origin,
        digest: String,
    ) -> Self {
        let basis = Basis::Reference { origin, digest, rows: reference.rows };
        let work = Work::Watch(Box::new(Watch::new(reference, io, &options)));
        Self { id, options, tap: Some(Arc::default()), state: Mutex::new(State { basis, work }) }
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
        // The number of rows is the bound: there is no second look at them.
        let builder = Box::new(Builder::new(signature, io, usize::MAX));
        let work = Work::Learn { builder, io: io.clone(), rows };
        let state = State { basis: Basis::None(NoReference::Learning), work };
        Self { id, options, tap: Some(Arc::default()), state: Mutex::new(state) }
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

    /// Counts what was handed over. `now` is the time of any clock that does not go back.
    pub fn count(&self, now: Duration) {
        let Some(tap) = &self.tap else { return };
        let blocks = tap.take();
        if blocks.is_empty() {
            return;
        }
        // Counted without the lock: who reads should not wait for that, least of all where the
        // thread that counts gets little of a core.
        let features = match &self.state().work {
            Work::Watch(watch) => Some(watch.features()),
            Work::Nothing | Work::Learn { .. } => None,
        };
        let counted = features.map(|features| features.count(&blocks));
        let mut state = self.state();
        match &mut state.work {
            Work::Nothing => {}
            Work::Watch(watch) => {
                if let Some(counted) = counted {
                    tap.note_shapeless(counted.shapeless);
                    watch.add(&counted, now);
                }
            }
            Work::Learn { builder, rows, .. } => {
                for Block { feeds, outputs } in &blocks {
                    builder.add(feeds, outputs);
                }
                if builder.rows() >= *rows as u64 {
                    self.learned(&mut state);
                }
            }
        }
    }

    /// From now on what was learned is what is compared with.
    fn learned(&self, state: &mut State) {
        let work = std::mem::replace(&mut state.work, Work::Nothing);
        let Work::Learn { builder, io, .. } = work else { return };
        match builder.finish(None) {
            Ok(built) => {
                let reference = built.reference;
                let rows = reference.rows;
                tracing::info!(model = %self.id, rows, "learned a drift reference");
                state.basis =
                    Basis::Reference { origin: Origin::Live, digest: String::new(), rows };
                state.work = Work::Watch(Box::new(Watch::new(reference, &io, &self.options)));
            }
            Err(error) => {
                tracing::warn!(model = %self.id, %error, "no drift reference can be learned");
                state.basis = Basis::None(NoReference::Malformed);
            }
        }
    }

    /// Rows that were compared with the reference.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match &self.state().work {
            Work::Watch(watch) => watch.rows(),
            Work::Nothing | Work::Learn { .. } => 0,
        }
    }

    /// All windows at this moment, in the order of the options; nothing without a reference.
    #[must_use]
    pub fn windows(&self, now: Duration) -> Vec<WindowReport> {
        match &self.state().work {
            Work::Watch(watch) => watch.windows(now),
            Work::Nothing | Work::Learn { .. } => Vec::new(),
        }
    }

    /// Calls `look` with every feature of the reference that is watched, and all that was ever seen
    /// of it by scoring bin.
    pub fn bins(&self, mut look: impl FnMut(FeatureKind, &Feature, &super::Seen)) {
        if let Work::Watch(watch) = &self.state().work {
            watch.totals().for_each(|(kind, feature, seen)| look(kind, feature, seen));
        }
    }

    /// Bytes that the counts of all windows take now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.state().work {
            Work::Watch(watch) => watch.bytes(),
            Work::Nothing | Work::Learn { .. } => 0,
        }
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
    let own: Option<usize> = dims.0.iter().skip(1).map(fixed).product();
    if own.is_some_and(|own| own != *width) {
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
