//! Going back, by verdict or by an operator.

use super::*;

#[test]
fn a_version_that_does_worse_is_replaced_at_once_and_stays_out() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert_eq!(bench.worse(1), "", "that is the other one");
    assert_eq!(bench.worse(2), "publish 1, close 2, back from 2 to 1");
    assert_eq!(bench.drained(2), "unload 2");
    bench.unloaded(2);
    assert_eq!(bench.aspire(2), "");
    assert_eq!(bench.aspire(1), "");
    bench.now += SECOND * 3600;
    assert_eq!(bench.aspire(2), "", "moving away and back does not help");
    let restamped = Aspired { stamp: "new".to_owned(), ..version(2) };
    assert_eq!(bench.answer(Answer::Version(restamped)), "load 3=2");
}

#[test]
fn after_the_probation_nothing_is_taken_back() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.now += SECOND * 60;
    assert_eq!(bench.worse(2), "close 1");
    assert_eq!(bench.model().serving().unwrap().version, version(2));
}

#[test]
fn without_a_kept_predecessor_going_back_takes_a_load() {
    let mut bench = Bench::promoted(Policy { keeps_predecessor: false, ..policy() });
    assert_eq!(bench.loaded(2), "publish 2, close 1, accepted 2");
    bench.drained(1);
    bench.unloaded(1);
    assert_eq!(bench.worse(2), "load 3=1");
    assert_eq!(bench.loaded(3), "publish 3, close 2, back from 2 to 1");
}

#[test]
fn what_cannot_be_gone_back_to_leaves_what_serves() {
    let mut bench = Bench::promoted(Policy { keeps_predecessor: false, ..policy() });
    bench.loaded(2);
    bench.worse(2);
    assert_eq!(bench.fail(3, false), "refused 1");
    assert_eq!(bench.model().pin(), None);
    assert_eq!(bench.model().serving().unwrap().version, version(2));
}

#[test]
fn an_operators_rollback_holds_until_the_registry_says_something_else() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert_eq!(bench.rollback(), "publish 1, close 2, back from 2 to 1");
    assert_eq!(bench.aspire(2), "", "the same answer does not undo it");
    assert_eq!(bench.model().pin().unwrap().to, version(1));
    assert_eq!(bench.rollback(), "", "there is nothing before");
    assert_eq!(bench.aspire(3), "load 3=3");
    assert_eq!(bench.model().pin(), None);
}

#[test]
fn a_rollback_stops_a_load_and_goes_further_back_when_repeated() {
    let mut bench = Bench::new(policy(), &[1, 2]);
    bench.aspire(3);
    bench.loaded(1);
    assert_eq!(bench.aspire(4), "load 2=4");
    assert_eq!(bench.rollback(), "cancel 2");
    assert_eq!(bench.fail(2, true), "load 3=2");
    assert_eq!(bench.rollback(), "", "it is on its way");
    assert_eq!(bench.loaded(3), "publish 3, close 1, back from 3 to 2");
    assert_eq!(bench.rollback(), "load 4=1");
    assert_eq!(bench.feed(Event::Poll { model: name() }), "cancel 4");
}

#[test]
fn a_rollback_holds_when_the_registry_comes_back_with_what_it_was_from() {
    let mut bench = Bench::new(policy(), &[6, 7]);
    bench.answer(Answer::Error("down".to_owned()));
    bench.loaded(1);
    assert_eq!(bench.rollback(), "load 2=6");
    assert_eq!(bench.loaded(2), "publish 2, close 1, back from 7 to 6");
    assert_eq!(bench.aspire(7), "");
    assert_eq!(bench.aspire(8), "load 3=8");
}

#[test]
fn a_version_is_quarantined_by_what_the_registry_says_of_it_now() {
    let mut bench = Bench::promoted(policy());
    let restamped = Answer::Version(Aspired { stamp: "new".to_owned(), ..version(2) });
    assert_eq!(bench.answer(restamped.clone()), "", "its load goes on");
    bench.loaded(2);
    bench.worse(2);
    bench.drained(2);
    bench.unloaded(2);
    bench.aspire(1);
    assert_eq!(bench.answer(restamped), "");
}

#[test]
fn what_was_in_quarantine_before_the_process_began_stays_there() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.worse(2);
    let quarantined = bench.model().quarantined();
    assert_eq!(quarantined.len(), 1);

    let mut bench = Bench { state: Lifecycle::new(policy()), now: bench.now };
    let remembered = vec![version(1)];
    let start = Event::Start { model: name(), remembered, quarantined: quarantined.clone() };
    assert_eq!(bench.feed(start), "");
    assert_eq!(bench.aspire(2), "load 1=1", "the registry says the same as before");
    assert_eq!(bench.loaded(1), "publish 1, accepted 1");
    assert_eq!(bench.model().quarantined(), quarantined);
    let restamped = Answer::Version(Aspired { stamp: "new".to_owned(), ..version(2) });
    assert_eq!(bench.answer(restamped), "load 2=2");
    assert_eq!(bench.model().quarantined(), [], "it is another one now");
}

#[test]
fn a_quarantine_of_before_the_process_began_needs_something_else_to_serve() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.worse(2);
    let quarantined = bench.model().quarantined();
    let mut bench = Bench { state: Lifecycle::new(policy()), now: bench.now };
    let start = Event::Start { model: name(), remembered: Vec::new(), quarantined };
    assert_eq!(bench.feed(start), "");
    assert_eq!(bench.aspire(2), "load 1=2", "a doubtful version is better than none");
}

#[test]
fn what_serves_for_a_version_in_quarantine_is_no_fallback() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.worse(2);
    let quarantined = bench.model().quarantined();
    let mut bench = Bench { state: Lifecycle::new(policy()), now: bench.now };
    let remembered = vec![version(1)];
    let _ = bench.feed(Event::Start { model: name(), remembered, quarantined });
    bench.answer(Answer::Error("down".to_owned()));
    bench.loaded(1);
    assert!(bench.model().is_fallback(), "nobody knows what should serve");
    bench.aspire(2);
    assert!(!bench.model().is_fallback());
    bench.aspire(3);
    assert!(bench.model().is_fallback());
}

#[test]
fn a_version_that_has_served_before_is_not_judged_again() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert!(bench.model().is_judged());
    assert_eq!(bench.aspire(1), "publish 1, accepted 1");
    assert!(!bench.model().is_judged());
    assert_eq!(bench.worse(1), "");
    assert_eq!(bench.model().serving().unwrap().version, version(1));
}

#[test]
fn what_the_registry_named_before_a_version_did_worse_is_followed_again() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert_eq!(bench.aspire(3), "load 3=3");
    assert_eq!(bench.worse(2), "cancel 3, publish 1, close 2, back from 2 to 1");
    assert_eq!(bench.fail(3, true), "");
    bench.drained(2);
    bench.unloaded(2);
    assert_eq!(bench.aspire(3), "load 4=3", "nothing is held against it");
}
