//! The lifecycle in virtual time: registries that promote, roll back, flap and fail, a loader that
//! is slow and unlucky, operators, verdicts of the probation, restarts. After every step a checker
//! that keeps its own books compares what was done with what may be done.
//!
//! A failure names its seed. `FLOWGATE_SIM_SEED=N` runs that seed alone and prints every step;
//! `FLOWGATE_SIM_SEEDS=N` runs so many of each kind.
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]
#![expect(clippy::print_stderr, reason = "a seed that is run alone tells its story")]

mod books;
mod checker;
mod registry;
mod view;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flowgate::lifecycle::SwapPolicy;
use world::World;

/// Each runs for about 1,200 steps.
const SEEDS: u64 = 120;
const TURNS: usize = 600;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Runs the seeds of one kind of world and returns the steps they took.
fn run(swap: SwapPolicy, end: fn(&mut World)) -> u64 {
    let alone = number("FLOWGATE_SIM_SEED");
    let seeds = number("FLOWGATE_SIM_SEEDS").unwrap_or(SEEDS);
    let seeds = alone.map_or(0..seeds, |seed| seed..seed + 1);
    let (mut steps, mut swaps, mut rollbacks) = (0, 0, 0);
    for seed in seeds {
        let mut world = World::new(seed, swap, alone.is_some());
        let result = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..TURNS {
                world.turn();
            }
            end(&mut world);
        }));
        assert!(result.is_ok(), "seed {seed} failed: replay it with FLOWGATE_SIM_SEED={seed}");
        let (published, returned) = world.seen();
        steps += world.steps;
        swaps += published;
        rollbacks += returned;
    }
    eprintln!("{steps} steps, {swaps} versions published, {rollbacks} rollbacks");
    if alone.is_none() {
        assert!(swaps > steps / 100 && rollbacks > steps / 1000, "the worlds are too quiet");
    }
    steps
}

#[test]
fn what_serves_is_never_lost_and_the_world_catches_up_when_it_is_quiet() {
    run(SwapPolicy::AvailabilityPreserving, World::calm_down);
}

#[test]
fn without_room_for_two_versions_one_comes_after_the_other() {
    run(SwapPolicy::ResourcePreserving, World::calm_down);
}

#[test]
fn after_a_stop_nothing_begins_and_everything_but_what_serves_ends() {
    run(SwapPolicy::AvailabilityPreserving, World::stop);
}

#[test]
fn a_restart_without_a_registry_serves_what_was_remembered() {
    run(SwapPolicy::AvailabilityPreserving, World::restart_alone);
}
