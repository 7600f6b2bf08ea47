//! How a model version is run: found out by running it, unless it is configured.

use std::time::Duration;

use crate::backend::LoadedModel;
use crate::batch::{BatchLimits, Lane, LaneChoice, RunnerOptions, contain};
use crate::model::ModelId;
use crate::store::{ModelDir, TuneConditions, TuneKey};
use crate::tune::{
    Batching, Clock, Costs, Findings, Sampler, TuneOptions, WarmOptions, check_batching,
    choose_batch_rows_max, is_alike, is_outdone, measure,
};

use super::LoadOptions;

/// Rows that the tuner tries in one run, at most.
const ROWS_MAX: usize = 1024;
/// Where runs stay on the thread that calls them, unless they are given more.
const CPU_PROVIDER: &str = "CPUExecutionProvider";

/// What the user wants of the batcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Rows in one run; `None` is what the tuner finds best, 1 runs requests one by one.
    pub rows_max: Option<usize>,
    pub delay_max: Duration,
    pub lane: LaneChoice,
    /// Time that the tuner may take.
    pub tune_time_max: Duration,
}

/// How a version is run, and why.
#[derive(Clone, Debug)]
pub struct Tuning {
    pub batching: Batching,
    pub limits: BatchLimits,
    pub costs: Costs,
    /// Elements of a row of the samples that were measured.
    pub row_elements: usize,
    /// Rows of the largest runs that were measured at this start; 0 where none were.
    pub measured_rows: usize,
    pub source: TuneSource,
}

/// Where `batch_rows_max` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuneSource {
    /// The model was measured at this start.
    Measured,
    /// It was measured at an earlier start.
    Cache,
    /// The version that it replaces was measured, and two sizes of batches take as long as with
    /// that one.
    Predecessor,
    /// The user set it.
    Configured,
}

impl TuneSource {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Cache => "cache",
            Self::Predecessor => "predecessor",
            Self::Configured => "configured",
        }
    }
}

/// Finds out how a model is best run.
pub(super) struct Tuner<'a> {
    pub(super) dir: &'a ModelDir,
    /// Engine, version and provider.
    pub(super) engine: String,
    pub(super) options: &'a LoadOptions,
    /// What is known of the version that this one replaces.
    pub(super) predecessor: Option<&'a Findings>,
}

impl Tuner<'_> {
    /// Tries the model with samples, or remembers what came out the last time.
    pub(super) fn tune(&self, id: &ModelId, model: &dyn LoadedModel, sampler: &Sampler) -> Tuning {
        let wanted = &self.options.batch;
        let row_elements = sampler.row_elements();
        let (findings, found) = self.find(id, model, sampler);
        let rows_max = self.rows_max(&findings);
        let measured_rows = match (found, findings.costs.points().last()) {
            (TuneSource::Measured, Some((rows, _))) => *rows,
            (TuneSource::Predecessor, _) => rows_max,
            _ => 0,
        };
        let Findings { mut batching, costs } = findings;
        if wanted.rows_max == Some(1) {
            batching = Batching::Alone("batch_rows_max is set to 1".to_owned());
        }
        let limits = BatchLimits { rows_max, delay_max: wanted.delay_max };
        let source = match (&batching, wanted.rows_max) {
            (_, None) => found,
            (Batching::Alone(reason), Some(rows)) if rows > 1 => {
                tracing::warn!(model = %id, rows, reason, "batch_rows_max has no effect");
                found
            }
            (_, Some(_)) => TuneSource::Configured,
        };
        Tuning { batching, limits, costs, row_elements, measured_rows, source }
    }

    /// The most rows of a run, by what was found and what is wanted.
    fn rows_max(&self, findings: &Findings) -> usize {
        match (&findings.batching, self.options.batch.rows_max) {
            (Batching::Alone(_), _) => 1,
            (Batching::Merged, Some(rows_max)) => rows_max,
            (Batching::Merged, None) => choose_batch_rows_max(&findings.costs),
        }
    }

    fn find(
        &self,
        id: &ModelId,
        model: &dyn LoadedModel,
        sampler: &Sampler,
    ) -> (Findings, TuneSource) {
        let time_max = self.options.batch.tune_time_max;
        let clock = self.clock(model);
        let cache = self.options.tune_cache.as_ref().and_then(|cache| {
            let conditions = TuneConditions {
                engine: self.engine.clone(),
                intra_op_threads: self.options.intra_op_threads,
                cores: self.options.cores,
                rows_max: ROWS_MAX,
                time_max,
            };
            Some((cache, TuneKey::of(self.dir, &conditions).ok()?))
        });
        if let Some(kept) = cache.as_ref().and_then(|(cache, key)| Findings::recall(cache, key)) {
            let is_outdone = contain(id, || is_outdone(&kept.costs, model, sampler, clock));
            if !is_outdone.unwrap_or(false) {
                return (kept, TuneSource::Cache);
            }
            tracing::info!(model = %id, "runs are faster than they were: measured anew");
        }
        let tried = contain(id, || {
            let batching = check_batching(model, sampler);
            let options = TuneOptions { time_max, rows_max: ROWS_MAX, clock };
            // Meanwhile the predecessor answers: what need not be measured costs it no time.
            if let Some(known) = self.predecessor.filter(|known| known.batching == batching)
                && is_alike(&known.costs, self.rows_max(known), model, sampler, options)
            {
                return (known.clone(), TuneSource::Predecessor);
            }
            let costs = measure(model, sampler, &batching, options);
            (Findings { batching, costs }, TuneSource::Measured)
        });
        let (findings, source) = match tried {
            Ok(found) => found,
            Err(_panicked) => {
                let reason = "the engine panicked on sample rows".to_owned();
                let findings =
                    Findings { batching: Batching::Alone(reason), costs: Costs::default() };
                return (findings, TuneSource::Measured);
            }
        };
        if let (Some((cache, key)), TuneSource::Measured) = (&cache, source) {
            findings.keep(cache, key);
        }
        (findings, source)
    }

    /// The clock to measure by: runs of one thread are not held up by what else the machine does.
    fn clock(&self, model: &dyn LoadedModel) -> Clock {
        let session = &self.dir.onnx.session;
        let threads = session.intra_op_threads.unwrap_or(self.options.intra_op_threads);
        let is_parallel = session.parallel_execution.unwrap_or(false);
        if threads == 1 && !is_parallel && model.provider() == CPU_PROVIDER {
            Clock::Thread
        } else {
            Clock::Wall
        }
    }
}

impl Tuning {
    /// What was found out about the version.
    #[must_use]
    pub fn findings(&self) -> Findings {
        Findings { batching: self.batching.clone(), costs: self.costs.clone() }
    }

    /// The runs that a session has not seen while it was measured: all that there can be, where
    /// what an earlier start measured is believed.
    pub(super) fn cold(&self, time_max: Duration) -> WarmOptions {
        let rows_max = match self.batching {
            Batching::Alone(_) => 1,
            Batching::Merged => self.limits.rows_max,
        };
        let rows_min = match self.measured_rows {
            0 => 1,
            measured if measured >= rows_max => rows_max + 1,
            measured => measured.saturating_mul(2).min(rows_max),
        };
        WarmOptions { rows_min, rows_max, time_max }
    }

    /// What the runner has to know.
    pub(super) fn runner_options(&self, lane: LaneChoice) -> RunnerOptions {
        RunnerOptions {
            limits: self.limits,
            is_tuned: self.source != TuneSource::Configured,
            merges: matches!(self.batching, Batching::Merged),
            lane,
            costs: self.costs.clone(),
            row_elements: self.row_elements,
        }
    }

    /// For people, in a line: `runs of up to 64 rows, express lane (1.5 us a row alone, ...)`.
    #[must_use]
    pub fn describe(&self, lane: Lane) -> String {
        let micros = |rows| self.costs.estimate(rows).as_secs_f64() * 1e6 / rows as f64;
        let rows_max = self.limits.rows_max;
        let lane = lane.name();
        match &self.batching {
            Batching::Alone(reason) => {
                format!("requests run alone ({reason}), {lane} lane ({:.1} us a run)", micros(1))
            }
            Batching::Merged => format!(
                "requests run together up to {rows_max} rows ({}), {lane} lane ({:.1} us a row \
                 alone, {:.2} us in such a batch)",
                self.source.name(),
                micros(1),
                micros(rows_max),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_at_this_start_is_cold() {
        let alone = || Batching::Alone("it is a test".to_owned());
        for (batching, rows_max, measured_rows, cold) in [
            // From the cache, or nothing could be measured.
            (Batching::Merged, 64, 0, Some((1, 64))),
            (alone(), 1, 0, Some((1, 1))),
            (Batching::Merged, 64, 64, None),
            (Batching::Merged, 64, 256, None),
            (alone(), 1, 1, None),
            // More rows than were worth measuring.
            (Batching::Merged, 1000, 256, Some((512, 1000))),
            (Batching::Merged, 100, 64, Some((100, 100))),
        ] {
            let limits = BatchLimits { rows_max, delay_max: Duration::ZERO };
            let (costs, source) = (Costs::default(), TuneSource::Configured);
            let tuning = Tuning { batching, limits, costs, row_elements: 1, measured_rows, source };
            let WarmOptions { rows_min, rows_max, .. } = tuning.cold(Duration::ZERO);
            let runs = (rows_min <= rows_max).then_some((rows_min, rows_max));
            assert_eq!(runs, cold, "{measured_rows}");
        }
    }
}
