//! Metrics of versions and registries.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use crate::model::ModelName;
use crate::telemetry::{Exposition, Metric, names};

use super::{
    Answer, Happening, ModelState, PinCause, Purpose, Reports, Verdict, VersionOrigin, VersionState,
};

/// What is counted as it happens.
pub(super) struct Metrics {
    promotions: IntCounterVec,
    polls: IntCounterVec,
    last_success: GaugeVec,
    load_seconds: HistogramVec,
    swap_seconds: HistogramVec,
}

impl Metrics {
    /// Adds them, and what can be read off the reports, to what is scraped.
    pub(super) fn new(exposition: &Exposition, reports: Reports) -> Self {
        let metrics = Self {
            promotions: names::PROMOTIONS.counters(),
            polls: names::SOURCE_POLLS.counters(),
            last_success: names::SOURCE_LAST_SUCCESS.float_gauges(),
            load_seconds: names::MODEL_LOAD_SECONDS.histograms(),
            swap_seconds: names::SWAP_SECONDS.histograms(),
        };
        exposition.add(metrics.promotions.clone());
        exposition.add(metrics.polls.clone());
        exposition.add(metrics.last_success.clone());
        exposition.add(metrics.load_seconds.clone());
        exposition.add(metrics.swap_seconds.clone());
        exposition.add(States::new(reports));
        metrics
    }

    /// A registry was asked.
    pub(super) fn polled(&self, model: &ModelName, answer: &Answer) {
        let result = match answer {
            Answer::Version(_) => "version",
            Answer::Nothing => "nothing",
            Answer::Soon => "soon",
            Answer::Error(_) => "error",
        };
        self.polls.with_label_values(&[model.as_str(), result]).inc();
        if !matches!(answer, Answer::Error(_)) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.last_success.with_label_values(&[model.as_str()]).set(now.as_secs_f64());
        }
    }

    /// A load has left a state in which it was since then.
    pub(super) fn left(&self, model: &ModelName, state: VersionState, since: Instant) {
        if let Some(phase) = phase(state) {
            let seconds = since.elapsed().as_secs_f64();
            self.load_seconds.with_label_values(&[model.as_str(), phase]).observe(seconds);
        }
    }

    /// Something became of a version; `state` is the model's after it.
    pub(super) fn told(&self, model: &ModelName, verdict: &Verdict, state: &ModelState) {
        let (result, reason) = match verdict {
            Verdict::Accepted => ("swapped", purpose(state)),
            Verdict::Refused { at, retry_at: None, .. } => {
                ("rejected", phase(*at).unwrap_or("load"))
            }
            Verdict::Refused { at, .. } => ("failed", phase(*at).unwrap_or("load")),
            Verdict::RolledBack { .. } => {
                let is_worse =
                    state.pin().is_some_and(|pin| matches!(pin.cause, PinCause::Worse(_)));
                ("rolled_back", if is_worse { "worse" } else { "operator" })
            }
        };
        self.promotions.with_label_values(&[model.as_str(), result, reason]).inc();
    }

    /// Requests reach another version than before. Where its registry wanted it so, it is known
    /// since when.
    pub(super) fn published(&self, model: &ModelName, state: &ModelState) {
        let Some(serving) = state.serving().filter(|one| one.purpose == Purpose::Wish) else {
            return;
        };
        let named = state.history().filter(|note| {
            note.version == serving.version.version && note.happening == Happening::Aspired
        });
        if let Some(named) = named.last() {
            let seconds = named.at.elapsed().as_secs_f64();
            self.swap_seconds.with_label_values(&[model.as_str()]).observe(seconds);
        }
    }
}

fn purpose(state: &ModelState) -> &'static str {
    match state.serving().map(|serving| serving.purpose) {
        Some(Purpose::Fallback) => "fallback",
        // What is gone back to is told as such.
        Some(Purpose::Wish | Purpose::Return) | None => "registry",
    }
}

/// The part of a load that a state stands for.
fn phase(state: VersionState) -> Option<&'static str> {
    match state {
        VersionState::Fetching => Some("fetch"),
        VersionState::Verifying => Some("verify"),
        VersionState::Loading => Some("load"),
        VersionState::WarmingUp => Some("warm_up"),
        VersionState::New
        | VersionState::Available
        | VersionState::Draining
        | VersionState::Unloading
        | VersionState::Ended
        | VersionState::Failed => None,
    }
}

/// What is read off the reports at each scrape: series of versions that are gone are gone with
/// them.
struct States {
    reports: Reports,
    /// Never filled: what is collected is made anew each time.
    empty: [IntGaugeVec; 5],
}

impl States {
    fn new(reports: Reports) -> Self {
        let metrics = [
            &names::MODEL_VERSION_INFO,
            &names::MODEL_STATE,
            &names::MODEL_FALLBACK,
            &names::MEMORY_BYTES,
            &names::SESSIONS,
        ];
        Self { reports, empty: metrics.map(Metric::gauges) }
    }
}

impl Collector for States {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let info = names::MODEL_VERSION_INFO.gauges();
        let states = names::MODEL_STATE.gauges();
        let fallback = names::MODEL_FALLBACK.gauges();
        let memory = names::MEMORY_BYTES.gauges();
        let sessions = names::SESSIONS.gauges();
        for report in self.reports.models() {
            let model = report.name.as_str();
            if let Some(version) = &report.version {
                let number = version.servable.id().version.to_string();
                let VersionOrigin { selected_by, run_id, memory_bytes } = &version.origin;
                let labels =
                    [model, &number, selected_by, &version.engine, &version.provider, run_id];
                info.with_label_values(&labels).set(1);
                let labels = [model, &number];
                memory
                    .with_label_values(&labels)
                    .set(i64::try_from(*memory_bytes).unwrap_or(i64::MAX));
                sessions.with_label_values(&labels).set(1);
            }
            for version in report.state.refusals().keys() {
                let labels = [model, &version.to_string(), "Failed"];
                states.with_label_values(&labels).set(1);
            }
            for attempt in report.state.attempts() {
                let state = format!("{:?}", attempt.state);
                let labels = [model, &attempt.version.version.to_string(), &state];
                states.with_label_values(&labels).set(1);
            }
            let is_fallback = i64::from(report.state.is_fallback());
            fallback.with_label_values(&[model]).set(is_fallback);
        }
        [info, states, fallback, memory, sessions].iter().flat_map(Collector::collect).collect()
    }
}
