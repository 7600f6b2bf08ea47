//! Where a model's batches run.

use std::time::Duration;

/// Where a batch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// On an inference thread, after a wait in the queue.
    Queue,
    /// On the event loop that decoded its requests, at the end of the same turn.
    Express,
}

impl Lane {
    /// The name in settings and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Express => "express",
        }
    }
}

/// How the lane is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneChoice {
    /// By what a run of one row takes.
    Auto,
    /// As configured.
    Always(Lane),
}

/// A model whose run of one row takes no longer enters the express lane: handing a request to
/// another thread and its answer back costs as much. What takes longer gains more from all cores
/// than from the hand-over that it is spared: the express lane has half of them.
const ENTER: Duration = Duration::from_micros(6);
/// It leaves when a run of one row takes longer than this, where it begins to hold up the other
/// connections of the event loop. Far above the other bound: a rare request finds cold caches, and
/// its run takes many times as long as when the model was measured.
const LEAVE: Duration = EXPRESS_RUN_MAX;
/// What it takes to wake another thread.
pub(super) const HAND_OVER: Duration = Duration::from_micros(30);
/// A run of the express lane is expected to keep the event loop no longer than this; what would
/// take longer goes to the queue, whatever the lane.
pub(super) const EXPRESS_RUN_MAX: Duration = Duration::from_micros(250);
/// A run that was expected to be that short and took this long ends the express lane at once.
pub(super) const EXPRESS_STALL: Duration = Duration::from_millis(1);

impl LaneChoice {
    /// The lane of a model whose run of one row takes `one_row`, now in lane `current`.
    pub(super) fn next(self, current: Lane, one_row: Duration) -> Lane {
        match (self, current) {
            (Self::Auto, Lane::Queue) if one_row <= ENTER => Lane::Express,
            (Self::Auto, Lane::Express) if one_row > LEAVE => Lane::Queue,
            (Self::Always(lane), _) | (Self::Auto, lane) => lane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_follows_the_time_of_a_run_and_does_not_flutter() {
        let us = Duration::from_micros;
        let (auto, queue, express) = (LaneChoice::Auto, Lane::Queue, Lane::Express);
        for (choice, current, one_row, want) in [
            (auto, queue, us(6), express),
            (auto, queue, us(7), queue),
            (auto, express, us(250), express),
            (auto, express, us(251), queue),
            (LaneChoice::Always(express), queue, us(1_000_000), express),
            (LaneChoice::Always(queue), express, us(1), queue),
        ] {
            assert_eq!(choice.next(current, one_row), want, "{choice:?} {current:?} {one_row:?}");
        }
    }
}
