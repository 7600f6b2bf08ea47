//! How a model version is run: found out by running it, unless it is configured.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::LoadedModel;
use crate::batch::{BatchLimits, Lane, LaneChoice, RunnerOptions, contain};
use crate::tensor::Tensor;
use crate::tune::{
    Batching, Costs, Sampler, TuneOptions, check_batching, choose_batch_rows_max, measure,
};

/// Rows that the tuner tries in one run, at most.
const ROWS_MAX: usize = 1024;

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
    /// Whether the limit of rows is the user's.
    pub is_configured: bool,
}

/// Tries the model. `example` is the tensors of its own example request, if it has one.
pub(super) fn tune(
    name: &str,
    model: &Arc<dyn LoadedModel>,
    example: Option<Vec<Tensor>>,
    options: &BatchOptions,
) -> Tuning {
    let tried = contain(name, || {
        let sampler = Sampler::new(model.io(), example);
        let batching = match options.rows_max {
            Some(1) => Batching::Alone("batch_rows_max is set to 1".to_owned()),
            _ => check_batching(&**model, &sampler),
        };
        let rows_max = options.rows_max.unwrap_or(ROWS_MAX).min(ROWS_MAX);
        let limits = TuneOptions { time_max: options.tune_time_max, rows_max };
        let costs = measure(&**model, &sampler, &batching, limits);
        (batching, costs)
    });
    let (batching, costs) = tried.unwrap_or_else(|_panicked| {
        (Batching::Alone("the engine panicked on sample rows".to_owned()), Costs::default())
    });
    let rows_max = match &batching {
        Batching::Alone(_) => 1,
        Batching::Merged => options.rows_max.unwrap_or_else(|| choose_batch_rows_max(&costs)),
    };
    let limits = BatchLimits { rows_max, delay_max: options.delay_max };
    Tuning { batching, limits, costs, is_configured: options.rows_max.is_some() }
}

impl Tuning {
    /// What the runner has to know.
    pub(super) fn runner_options(&self, lane: LaneChoice) -> RunnerOptions {
        RunnerOptions {
            limits: self.limits,
            merges: matches!(self.batching, Batching::Merged),
            lane,
            costs: self.costs.clone(),
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
                if self.is_configured { "configured" } else { "measured best" },
                micros(1),
                micros(rows_max),
            ),
        }
    }
}
