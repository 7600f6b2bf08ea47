//! From what a registry names to a version that may serve: fetch, verify, load, try.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::backend::Backend;
use crate::model::{ModelId, ModelName, Signature, incompatibilities};
use crate::servable::{LoadOptions, WarmUp, load};
use crate::source::Aspired;
use crate::store::{ModelDir, ReferenceFile};
use crate::tune::Findings;

use super::fetcher::{Fetched, Fetcher};
use super::version::VersionOrigin;
use super::{Version, VersionState, room};

/// How often a fetch looks whether anybody still wants it.
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);

/// How versions of one model are loaded.
pub struct Plan {
    pub backend: Arc<dyn Backend>,
    pub options: LoadOptions,
    /// Whether a version must understand the clients of the one that it replaces.
    pub needs_compatible: bool,
    /// Whether a version must answer its own example. Where nothing else could serve in its place,
    /// a failure is only told.
    pub needs_example: bool,
    /// The alias or stage that selects its versions; empty where none does.
    pub selected_by: String,
}

impl Plan {
    fn origin(&self, dir: &ModelDir) -> VersionOrigin {
        VersionOrigin {
            selected_by: self.selected_by.clone(),
            run_id: dir.mlmodel.run_id.clone().unwrap_or_default(),
            memory_bytes: room::estimate(dir),
        }
    }
}

/// A version to load.
pub struct Order {
    pub model: ModelName,
    pub aspired: Aspired,
    /// What the clients of the published version rely on.
    pub replaces: Option<Signature>,
    /// What was measured of the published version. `None`: no version of the model serves
    /// meanwhile.
    pub beside: Option<Findings>,
    /// Set when nobody wants the version any more.
    pub is_cancelled: Arc<AtomicBool>,
}

/// Why a version may not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stage that it did not get beyond.
    pub at: VersionState,
    /// A sentence for the operator.
    pub cause: String,
    /// Whether the same may work a little later, with nothing changed by anybody.
    pub is_transient: bool,
}

/// Brings versions to serve, one at a time. Blocks while it does.
pub struct Loader {
    plans: HashMap<ModelName, Plan>,
    fetcher: Fetcher,
    runtime: Runtime,
}

impl Order {
    /// An order that replaces nothing and that nobody takes back.
    #[must_use]
    pub fn new(model: ModelName, aspired: Aspired) -> Self {
        Self { model, aspired, replaces: None, beside: None, is_cancelled: Arc::default() }
    }
}

impl Refused {
    fn for_good(at: VersionState, cause: &(impl ToString + ?Sized)) -> Self {
        Self { at, cause: cause.to_string(), is_transient: false }
    }
}

impl Loader {
    /// For models with a plan. Connections of the fetcher must not be open yet: they belong to the
    /// runtime that opened them, and the loader has its own.
    ///
    /// # Errors
    /// When the system refuses what a runtime needs.
    pub fn new(plans: HashMap<ModelName, Plan>, fetcher: Fetcher) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { plans, fetcher, runtime })
    }

    /// Where versions come from.
    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The runtime that fetches, for questions to registries from the same thread.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The version of ONNX Runtime that runs models; empty where none does.
    #[must_use]
    pub fn onnxruntime(&self) -> String {
        let engines = self.plans.values().map(|plan| plan.backend.describe());
        let versions =
            engines.filter_map(|engine| engine.strip_prefix("onnxruntime ").map(str::to_owned));
        versions.min().unwrap_or_default()
    }

    /// A version that fails its own example is let through, and says so.
    pub fn allow_failing_examples(&mut self) {
        self.plans.values_mut().for_each(|plan| plan.needs_example = false);
    }

    /// Whether runs of the versions have threads of their own.
    pub(super) fn has_intra_op_threads(&self) -> bool {
        self.plans.values().any(|plan| plan.options.intra_op_threads > 1)
    }

    /// Fetches, verifies, loads and tries a version. `entered` hears of each stage as it begins.
    ///
    /// # Errors
    /// When the version may not serve, or nobody wants it any more.
    pub fn bring(
        &self,
        order: &Order,
        entered: &mut dyn FnMut(VersionState),
    ) -> Result<Version, Refused> {
        let enter = |state, entered: &mut dyn FnMut(VersionState)| {
            if order.is_cancelled.load(Ordering::Relaxed) {
                return Err(unwanted(state));
            }
            entered(state);
            Ok(())
        };
        let plan = self
            .plans
            .get(&order.model)
            .ok_or_else(|| Refused::for_good(VersionState::New, "the model is not configured"))?;
        enter(VersionState::Fetching, entered)?;
        let Fetched { dir, held } = self.fetch(order)?;

        let at = VersionState::Verifying;
        enter(at, entered)?;
        let mut dir = ModelDir::open(&dir).map_err(|cause| Refused::for_good(at, &cause))?;
        self.find_reference(&mut dir, plan);
        let origin = plan.origin(&dir);
        if let (Some(old), true) = (&order.replaces, plan.needs_compatible) {
            let new = dir.mlmodel.signature.clone().unwrap_or_default();
            let found = incompatibilities(old, &new);
            if !found.is_empty() {
                let cause = format!(
                    "its signature does not fit the clients of the present version: {}",
                    found.join("; ")
                );
                return Err(Refused::for_good(at, &cause));
            }
        }
        find_room(order, &dir)?;

        let at = VersionState::Loading;
        enter(at, entered)?;
        let id = ModelId { name: order.model.clone(), version: order.aspired.version };
        let (backend, options, beside) = (&*plan.backend, &plan.options, order.beside.as_ref());
        let mut at = VersionState::Loading;
        let warming = &mut || {
            at = VersionState::WarmingUp;
            entered(at);
        };
        let loaded = load(id, dir, backend, options, beside, warming);
        let loaded = loaded.map_err(|cause| Refused::for_good(at, &cause))?;
        if let WarmUp::Failed(error) = &loaded.warm_up {
            let cause = format!("its own example request fails: {error}");
            if plan.needs_example {
                return Err(Refused::for_good(at, &cause));
            }
            tracing::warn!(model = %loaded.servable.id(), %error, "the example request failed");
        }
        if order.is_cancelled.load(Ordering::Relaxed) {
            return Err(unwanted(at));
        }
        Ok(Version::new(loaded, origin, held))
    }

    /// Where the model's directory has no drift reference, its run may have one.
    fn find_reference(&self, dir: &mut ModelDir, plan: &Plan) {
        if !plan.options.drift.is_on || dir.drift_reference != ReferenceFile::Absent {
            return;
        }
        if let Some(run_id) = &dir.mlmodel.run_id {
            let found = self.fetcher.run_reference(&dir.path, run_id);
            dir.drift_reference = self.runtime.block_on(found);
        }
    }

    fn fetch(&self, order: &Order) -> Result<Fetched, Refused> {
        let at = VersionState::Fetching;
        self.runtime.block_on(async {
            let cancelled = async {
                while !order.is_cancelled.load(Ordering::Relaxed) {
                    tokio::time::sleep(CANCEL_INTERVAL).await;
                }
            };
            tokio::select! {
                fetched = self.fetcher.fetch(&order.model, &order.aspired) => {
                    fetched.map_err(|error| Refused {
                        at,
                        cause: error.to_string(),
                        is_transient: error.is_transient(),
                    })
                }
                () = cancelled => Err(unwanted(at)),
            }
        })
    }
}

/// Whether the version may take the memory that it may need.
fn find_room(order: &Order, dir: &ModelDir) -> Result<(), Refused> {
    let Err(cause) = room::check(dir) else { return Ok(()) };
    if order.beside.is_some() {
        // A model that serves must not be put at risk by its next version. Memory may be free a
        // little later.
        let at = VersionState::Verifying;
        return Err(Refused { at, cause: cause.to_string(), is_transient: true });
    }
    // The estimate is an upper one, and nothing is put at risk. If what comes of it is that the
    // system ends the process, this was why.
    tracing::warn!(model = %order.model, %cause, "there may not be enough memory");
    Ok(())
}

fn unwanted(at: VersionState) -> Refused {
    Refused::for_good(at, "nobody wants it any more")
}
