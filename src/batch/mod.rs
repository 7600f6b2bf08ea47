//! Requests into batches, batches into answers.
//!
//! A [`Request`] with its tensors is a [`Job`]. Jobs of one model version wait in its queue until
//! an inference thread is idle, which takes as many as fit into one run (`policy`), or they run
//! at once on the event loop that decoded them ([`ExpressLane`]). Either way a [`Runner`] lays
//! their rows end to end, runs the graph once, and hands every job its own rows.

mod assemble;
mod bodies;
mod contain;
mod express;
mod handover;
mod job;
mod lane;
mod policy;
mod queue;
mod runner;
mod schedule;
mod split;
mod threads;
mod turn;

pub use contain::{contain, message_of};
pub use express::ExpressLane;
pub use handover::Handover;
pub use job::{Computed, Failure, Job, Lap, Request, Stages};
pub use lane::{Lane, LaneChoice};
pub use policy::{BatchLimits, QueueLimits, Rejected};
pub use runner::{Runner, RunnerOptions};
pub use schedule::Waiting;
pub use threads::{BodySize, InferencePool, PoolOptions};

#[cfg(test)]
mod tests;
