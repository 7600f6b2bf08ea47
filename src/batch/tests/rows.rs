//! Every request gets its own rows, whatever it ran beside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{BAD, LIMITS, Numbered, Outcome, UGLY, expected, feed, multiplying};
use crate::batch::{
    BodySize, ExpressLane, InferencePool, Job, Lane, PoolOptions, Request as _, Runner,
};

/// A request of the tests: numbers in rows of some width.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    width: usize,
    numbers: Vec<f32>,
    /// Whether it is pushed as a body.
    undecoded: bool,
    second_model: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let number = prop_oneof![
        60 => (0..1000_i16).prop_map(f32::from),
        1 => Just(BAD),
        1 => Just(UGLY),
    ];
    (1..12_usize, 1..3_usize, any::<bool>(), any::<bool>()).prop_flat_map(
        move |(rows, width, undecoded, second_model)| {
            prop::collection::vec(number.clone(), rows * width).prop_map(move |numbers| Case {
                rows,
                width,
                numbers,
                undecoded,
                second_model,
            })
        },
    )
}

/// What the models multiply with.
const FACTORS: [f32; 2] = [2.0, 3.0];

type Received = flume::Receiver<(usize, Outcome)>;

/// The runners of both models, and each case as a request.
fn requests(
    cases: &[Case],
    rows_max: usize,
    lane: Lane,
) -> (Vec<(Arc<Runner>, Numbered)>, Received) {
    let models = FACTORS.map(|factor| multiplying(factor, rows_max, Duration::ZERO, lane));
    let (outcomes, received) = flume::unbounded();
    let requests = cases.iter().enumerate().map(|(number, case)| {
        let request = Numbered {
            number,
            feeds: feed(case.rows, case.width, &case.numbers),
            deadline: Instant::now() + Duration::from_secs(1000),
            room: usize::MAX,
            outcomes: outcomes.clone(),
        };
        (Arc::clone(&models[usize::from(case.second_model)]), request)
    });
    (requests.collect(), received)
}

/// Every case ended once, as it would have on its own.
fn check(cases: &[Case], received: &Received) -> Result<(), TestCaseError> {
    let mut ended: Vec<_> = received.try_iter().collect();
    ended.sort_by_key(|(number, _)| *number);
    let numbers: Vec<_> = ended.iter().map(|(number, _)| *number).collect();
    prop_assert_eq!(numbers, (0..cases.len()).collect::<Vec<_>>());
    for ((number, outcome), case) in ended.iter().zip(cases) {
        // Parts of a large request may meet either number first.
        if case.numbers.contains(&BAD) && case.numbers.contains(&UGLY) {
            prop_assert!(matches!(outcome, Outcome::Refused | Outcome::Panicked));
            continue;
        }
        let factor = FACTORS[usize::from(case.second_model)];
        prop_assert_eq!(
            outcome,
            &expected(factor, case.width, &case.numbers),
            "request {}",
            number
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn through_the_queue(
        cases in prop::collection::vec(case(), 1..40),
        rows_max in 1..20_usize,
        threads in 1..4_usize,
    ) {
        let pool = InferencePool::start(PoolOptions { threads, queue: LIMITS }).unwrap();
        let (requests, received) = requests(&cases, rows_max, Lane::Queue);
        for ((runner, mut request), case) in requests.into_iter().zip(&cases) {
            let now = Instant::now();
            if case.undecoded {
                let body = BodySize { bytes: case.rows, is_packed: case.rows == 7 };
                pool.push_undecoded(&runner, request, body, now).unwrap();
            } else {
                let feeds = request.decode().unwrap();
                pool.push(&runner, Job::new(request, feeds, now)).unwrap();
            }
        }
        prop_assert_eq!(pool.close(Instant::now() + Duration::from_secs(100)), 0);
        check(&cases, &received)?;
    }

    #[test]
    fn through_the_express_lane(
        cases in prop::collection::vec(case(), 1..40),
        rows_max in 1..20_usize,
    ) {
        let (requests, received) = requests(&cases, rows_max, Lane::Express);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let lane = ExpressLane::new();
            for (i, (runner, mut request)) in requests.into_iter().enumerate() {
                let feeds = request.decode().unwrap();
                lane.push(&runner, Job::new(request, feeds, Instant::now()));
                if i % 7 == 6 {
                    // The turn ends.
                    tokio::task::yield_now().await;
                }
            }
            while received.len() < cases.len() {
                tokio::task::yield_now().await;
            }
        });
        check(&cases, &received)?;
    }
}
