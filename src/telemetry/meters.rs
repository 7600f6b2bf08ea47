//! The meters of all models and versions, and what is told of them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::proto::LabelPair;

use crate::model::{ModelId, ModelName, VersionId};

use super::exemplar::Exemplar;
use super::family::Family;
use super::histogram::Bounds;
use super::meter::{Meter, Outcome, Passage, Rejected, Rejection, Stage};
use super::names::{self, Metric};

/// The one protocol that there is yet.
const PROTOCOL: &str = "invocations";

/// Unloaded versions of one model that are still told of, at most; the one that went first is
/// forgotten first.
const RETIRED_MAX: usize = 16;

const NANOS: f64 = 1e9;

/// How meters count, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterOptions {
    /// Upper ends of the buckets of durations, in seconds, ascending.
    pub duration_buckets: Vec<f64>,
    /// A version that is unloaded is told of for so long.
    pub retention: Duration,
}

/// The meters of a process. Clones are the same meters.
#[derive(Clone)]
pub struct Meters(Arc<Book>);

struct Book {
    times: Bounds,
    rows: Bounds,
    retention: Duration,
    /// Of requests for models that there are not.
    unknown: Meter,
    models: Mutex<BTreeMap<ModelName, Model>>,
}

struct Model {
    rejected: Arc<Rejected>,
    /// Of requests that found no version.
    without_version: Arc<Meter>,
    versions: BTreeMap<VersionId, Version>,
}

struct Version {
    meter: Arc<Meter>,
    leases: usize,
    /// Since when nobody has it.
    retired: Option<Instant>,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Default for Meters {
    /// With the usual buckets, and nothing kept of what is unloaded.
    fn default() -> Self {
        let duration_buckets = names::DURATION_SECONDS.to_vec();
        Self::new(&MeterOptions { duration_buckets, retention: Duration::ZERO })
    }
}

impl Meters {
    /// Meters of nothing yet.
    #[must_use]
    pub fn new(options: &MeterOptions) -> Self {
        let times = Bounds::of_seconds(&options.duration_buckets);
        let rows = Bounds::new(&names::BATCH_ROWS_ENDS.map(|end| end as u64));
        let unknown = Meter::new(times.clone(), rows.clone(), Arc::default());
        let (retention, models) = (options.retention, Mutex::default());
        Self(Arc::new(Book { times, rows, retention, unknown, models }))
    }

    /// The meter of a version, for as long as the lease is kept. One that was unloaded lately goes
    /// on where it was: counters never go backwards.
    #[must_use]
    pub fn lease(&self, id: ModelId) -> Lease {
        let now = Instant::now();
        let mut models = self.models();
        let model = self.0.model(&mut models, &id.name);
        let version = model.versions.entry(id.version).or_insert_with(|| Version {
            meter: Arc::new(self.0.meter(&model.rejected)),
            leases: 0,
            retired: None,
        });
        version.leases += 1;
        version.retired = None;
        let meter = Arc::clone(&version.meter);
        model.forget(now, self.0.retention);
        Lease { meter, meters: self.clone(), id }
    }

    /// A request for a model of which no version can serve.
    pub fn note_unavailable(&self, name: &str) {
        // Only models have names that get here.
        let Ok(name) = ModelName::new(name) else { return };
        let mut models = self.models();
        let meter = Arc::clone(&self.0.model(&mut models, &name).without_version);
        drop(models);
        meter.begin().end(Outcome::Unavailable);
    }

    /// A request for a model that there is not.
    pub fn note_unknown(&self) {
        self.0.unknown.begin().end(Outcome::Unknown);
    }

    /// Requests that have found a version and have no answer yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let models = self.models();
        let versions = models.values().flat_map(|model| model.versions.values());
        versions.map(|version| version.meter.in_flight()).sum()
    }

    fn release(&self, id: &ModelId) {
        let mut models = self.models();
        let Some(model) = models.get_mut(&id.name) else { return };
        if let Some(version) = model.versions.get_mut(&id.version) {
            version.leases = version.leases.saturating_sub(1);
            if version.leases == 0 {
                version.retired = Some(Instant::now());
            }
        }
    }

    /// Nothing that the lock guards can be left half done.
    fn models(&self) -> MutexGuard<'_, BTreeMap<ModelName, Model>> {
        self.0.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exemplars of one of the histograms of requests' durations, bucket by bucket.
    pub(super) fn exemplars(&self, labels: &[LabelPair]) -> Option<Vec<Option<Exemplar>>> {
        let value = |name: &str| labels.iter().find(|label| label.name() == name);
        let name = ModelName::new(value("model")?.value()).ok()?;
        let version = VersionId(value("version")?.value().parse().ok()?);
        let outcome = value("outcome")?.value();
        let outcome = Outcome::ALL.into_iter().find(|one| one.name() == outcome)?;
        let models = self.models();
        Some(models.get(&name)?.versions.get(&version)?.meter.exemplars(outcome))
    }

    /// Which metrics [`families`](Self::families) has.
    pub(super) const METRICS: [&'static Metric; 8] = [
        &names::REQUESTS,
        &names::REQUEST_SECONDS,
        &names::STAGE_SECONDS,
        &names::ROWS,
        &names::BATCHES,
        &names::BATCH_ROWS,
        &names::IN_FLIGHT,
        &names::REJECTED,
    ];

    /// Everything as it is at this moment.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = Families(Self::METRICS.map(Family::new));
        families.push_end(["", ""], &self.0.unknown, Outcome::Unknown);
        for (name, model) in self.told() {
            families.push_model(name.as_str(), &model);
        }
        families.0.into()
    }

    /// What there is to tell of. The lock is not held while it is told.
    fn told(&self) -> BTreeMap<ModelName, Told> {
        let now = Instant::now();
        let mut models = self.models();
        let told = models.iter_mut().map(|(name, model)| {
            model.forget(now, self.0.retention);
            let versions = model.versions.iter();
            let told = Told {
                rejected: Arc::clone(&model.rejected),
                without_version: Arc::clone(&model.without_version),
                versions: versions.map(|(id, one)| (*id, Arc::clone(&one.meter))).collect(),
            };
            (name.clone(), told)
        });
        told.collect()
    }
}

/// A model with its meters.
struct Told {
    rejected: Arc<Rejected>,
    without_version: Arc<Meter>,
    versions: Vec<(VersionId, Arc<Meter>)>,
}

impl Book {
    fn meter(&self, rejected: &Arc<Rejected>) -> Meter {
        Meter::new(self.times.clone(), self.rows.clone(), Arc::clone(rejected))
    }

    fn model<'a>(
        &self,
        models: &'a mut BTreeMap<ModelName, Model>,
        name: &ModelName,
    ) -> &'a mut Model {
        models.entry(name.clone()).or_insert_with(|| {
            let rejected = Arc::default();
            let without_version = Arc::new(self.meter(&rejected));
            Model { rejected, without_version, versions: BTreeMap::new() }
        })
    }
}

impl Model {
    /// Drops what has been unloaded for long enough.
    fn forget(&mut self, now: Instant, retention: Duration) {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= retention;
        self.versions.retain(|_, version| !version.retired.is_some_and(is_over));
        let retired = self.versions.iter().filter_map(|(id, one)| Some((one.retired?, *id)));
        let mut retired: Vec<_> = retired.collect();
        retired.sort_unstable();
        for (_, version) in retired.iter().rev().skip(RETIRED_MAX) {
            self.versions.remove(version);
        }
    }
}

/// The families of [`Meters::METRICS`], in that order.
struct Families([Family; 8]);

impl Families {
    fn push_model(&mut self, name: &str, model: &Told) {
        let mut in_flight = 0;
        for (id, meter) in &model.versions {
            self.push_version([name, &id.to_string()], meter);
            in_flight += meter.in_flight();
        }
        self.push_end([name, ""], &model.without_version, Outcome::Unavailable);
        let [.., gauge, rejected] = &mut self.0;
        gauge.push(&[name], in_flight as f64);
        for why in Rejection::ALL {
            rejected.push(&[name, why.name()], model.rejected.count(why) as f64);
        }
    }

    /// Requests that ended so. The counter is there before the first of them, so that the first
    /// is seen as an increase.
    fn push_end(&mut self, [model, version]: [&str; 2], meter: &Meter, outcome: Outcome) {
        let [requests, seconds, ..] = &mut self.0;
        let labels = [model, version, PROTOCOL, outcome.name()];
        let ended = meter.ended(outcome);
        requests.push(&labels, ended as f64);
        // Most outcomes never happen, and a histogram is many series.
        if ended > 0 {
            let totals = meter.took(outcome);
            seconds.push_histogram(&labels, &totals, NANOS);
        }
    }

    fn push_version(&mut self, id: [&str; 2], meter: &Meter) {
        for outcome in Outcome::ALL {
            self.push_end(id, meter, outcome);
        }
        let [_, _, stages, rows, batches, batch_rows, ..] = &mut self.0;
        let [model, version] = id;
        for stage in Stage::ALL {
            // Whoever scales by them has to find them before the first request.
            stages.push_histogram(&[model, version, stage.name()], &meter.stage(stage), NANOS);
        }
        let totals = meter.batches();
        rows.push(&id, totals.sum as f64);
        batches.push(&id, totals.count as f64);
        batch_rows.push_histogram(&id, &totals, 1.0);
    }
}

/// A version's meter while the version is in memory.
pub struct Lease {
    meter: Arc<Meter>,
    meters: Meters,
    id: ModelId,
}

impl Lease {
    /// A meter that nobody reads: of a version outside a server.
    #[must_use]
    pub fn unread(id: ModelId) -> Self {
        Meters::default().lease(id)
    }

    /// Whose meter it is.
    #[must_use]
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// The meter, to be kept for longer than the version is.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl Deref for Lease {
    type Target = Meter;

    fn deref(&self) -> &Meter {
        &self.meter
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.meters.release(&self.id);
    }
}

/// A request to one version, by the version's own meter.
pub type OwnedPassage = Passage<Arc<Meter>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Exposition;

    fn meters(retention: Duration) -> (Meters, Exposition) {
        let meters = Meters::new(&MeterOptions { duration_buckets: vec![0.001, 1.0], retention });
        let exposition = Exposition::default();
        exposition.add_meters(&meters);
        (meters, exposition)
    }

    fn id(version: u64) -> ModelId {
        ModelId { name: ModelName::new("wine").unwrap(), version: VersionId(version) }
    }

    fn has(exposition: &Exposition, line: &str) -> bool {
        exposition.text().lines().any(|one| one == line)
    }

    #[test]
    fn a_version_that_returns_counts_on() {
        let (meters, exposition) = meters(Duration::from_mins(1));
        let line = |count| {
            format!(
                "flowgate_requests_total{{model=\"wine\",outcome=\"ok\",\
                 protocol=\"invocations\",version=\"1\"}} {count}"
            )
        };
        let lease = meters.lease(id(1));
        assert!(has(&exposition, &line(0)), "{}", exposition.text());
        lease.begin().end(Outcome::Ok);
        drop(lease);
        assert!(has(&exposition, &line(1)), "an unloaded version is still told of");
        let again = meters.lease(id(1));
        again.begin().end(Outcome::Ok);
        assert!(has(&exposition, &line(2)));
    }

    #[test]
    fn stages_are_there_before_the_first_request() {
        let (meters, exposition) = meters(Duration::ZERO);
        let _lease = meters.lease(id(1));
        for stage in Stage::ALL {
            let labels = format!(r#"model="wine",stage="{}",version="1""#, stage.name());
            let line = format!("flowgate_stage_duration_seconds_count{{{labels}}} 0");
            assert!(has(&exposition, &line), "{line}: {}", exposition.text());
        }
    }

    #[test]
    fn an_unloaded_version_is_forgotten_in_time_but_not_its_model() {
        let (meters, exposition) = meters(Duration::ZERO);
        let lease = meters.lease(id(1));
        lease.reject(Rejection::QueueFull);
        let both = [meters.lease(id(2)), meters.lease(id(2))];
        drop(lease);
        let [one, two] = both;
        drop(one);
        let text = exposition.text();
        assert!(!text.contains("version=\"1\"") && text.contains("version=\"2\""), "{text}");
        drop(two);
        let text = exposition.text();
        assert!(!text.contains("version=\"2\""), "{text}");
        let rejected = "flowgate_rejected_total{model=\"wine\",reason=\"queue_full\"} 1";
        assert!(text.contains(rejected), "{text}");
    }

    #[test]
    fn no_more_unloaded_versions_are_told_of_than_may() {
        let (meters, exposition) = meters(Duration::from_mins(1));
        for version in 1..=40 {
            drop(meters.lease(id(version)));
        }
        let text = exposition.text();
        let ok = text
            .lines()
            .filter(|line| line.starts_with("flowgate_requests_total{") && line.contains("\"ok\""));
        assert_eq!(ok.count(), RETIRED_MAX);
        assert!(text.contains("version=\"40\"") && !text.contains("version=\"24\""), "{text}");
    }

    #[test]
    fn requests_that_reach_no_version_are_counted_too() {
        let (meters, exposition) = meters(Duration::ZERO);
        meters.note_unknown();
        meters.note_unavailable("wine");
        let line = |model: &str, outcome: &str| {
            format!(
                "flowgate_requests_total{{model=\"{model}\",outcome=\"{outcome}\",\
                 protocol=\"invocations\",version=\"\"}} 1"
            )
        };
        assert!(has(&exposition, &line("", "unknown")), "{}", exposition.text());
        assert!(has(&exposition, &line("wine", "unavailable")), "{}", exposition.text());
    }
}
