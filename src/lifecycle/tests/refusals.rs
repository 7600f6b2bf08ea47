//! What is held against a version, and what serves in its place.

use super::*;

#[test]
fn a_refused_version_is_not_tried_again_until_the_registry_says_something_new() {
    let mut bench = Bench::promoted(policy());
    assert_eq!(bench.fail(2, false), "refused 2");
    assert_eq!(bench.aspire(2), "");
    assert_eq!(bench.state.wake_at(), None);
    let restamped = Aspired { stamp: "new".to_owned(), ..version(2) };
    assert_eq!(bench.answer(Answer::Version(restamped)), "load 3=2");
}

#[test]
fn a_version_that_is_wished_anew_waits_for_its_time() {
    let mut bench = Bench::promoted(policy());
    bench.fail(2, false);
    assert_eq!(bench.aspire(1), "");
    assert_eq!(bench.aspire(2), "");
    let soon = bench.state.wake_at().unwrap() - bench.now;
    assert!(soon >= SECOND / 2 && soon <= SECOND, "{soon:?}");
    assert_eq!(bench.wake(), "load 3=2");
    bench.fail(3, false);
    bench.aspire(1);
    bench.aspire(2);
    let later = bench.state.wake_at().unwrap() - bench.now;
    assert!(later >= SECOND && later <= SECOND * 2, "{later:?}");
}

#[test]
fn a_transient_failure_is_tried_again_for_ever_ever_more_rarely() {
    let mut bench = Bench::promoted(policy());
    let mut waits = Vec::new();
    for attempt in 2..22 {
        assert_eq!(bench.fail(attempt, true), "refused 2");
        waits.push(bench.state.wake_at().unwrap() - bench.now);
        assert_eq!(bench.wake(), format!("load {}=2", attempt + 1));
    }
    assert!(waits[0] <= SECOND && waits[3] > waits[0] && waits[19] >= SECOND * 150);
    assert!(waits.iter().all(|wait| *wait <= SECOND * 300));
    assert_eq!(bench.model().refusals()[&VersionId(2)].failures, 20);
    assert_eq!(bench.model().history().count(), 4, "repeated refusals are one");
}

#[test]
fn an_operator_asks_for_a_refused_version_again() {
    let mut bench = Bench::promoted(policy());
    bench.fail(2, false);
    assert_eq!(bench.feed(Event::Poll { model: name() }), "load 3=2");
}

#[test]
fn what_is_remembered_serves_while_the_registry_says_nothing_useful() {
    for answer in [Answer::Error("down".to_owned()), Answer::Nothing] {
        let mut bench = Bench::new(policy(), &[6, 7]);
        assert_eq!(bench.feed(Event::Tick), "", "the registry is asked first");
        assert_eq!(bench.answer(answer), "load 1=7");
        assert_eq!(bench.aspire(8), "", "to have one serve comes first");
        assert_eq!(bench.loaded(1), "publish 1, accepted 7, load 2=8");
    }
}

#[test]
fn when_the_first_version_is_refused_the_remembered_ones_are_tried() {
    let mut bench = Bench::new(policy(), &[6, 7]);
    assert_eq!(bench.aspire(8), "load 1=8");
    assert_eq!(bench.fail(1, false), "refused 8, load 2=7");
    assert_eq!(bench.fail(2, false), "refused 7, load 3=6");
    assert_eq!(bench.loaded(3), "publish 3, accepted 6");
    assert_eq!(bench.model().aspired(), Some(&version(8)));
}
