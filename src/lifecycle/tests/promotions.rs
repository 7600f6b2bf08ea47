//! What becomes of a new version.

use super::*;

#[test]
fn a_promotion_is_loaded_beside_what_serves_and_proves_itself() {
    let mut bench = Bench::promoted(policy());
    let progress = |state| Event::Progress { model: name(), attempt: AttemptId(2), state };
    assert_eq!(bench.feed(progress(VersionState::WarmingUp)), "");
    assert_eq!(bench.feed(progress(VersionState::Loading)), "");
    assert_eq!(bench.model().loading().unwrap().state, VersionState::WarmingUp);
    assert_eq!(bench.loaded(2), "publish 2, accepted 2");
    assert_eq!(bench.model().kept().unwrap().version, version(1));
    assert_eq!(bench.state.wake_at(), Some(bench.now + SECOND * 60));
    assert_eq!(bench.wake(), "close 1");
    assert_eq!(bench.drained(1), "unload 1");
    assert_eq!(bench.unloaded(1), "");
    assert_eq!(bench.model().attempts().len(), 1);
    let history: Vec<_> = bench.model().history().map(|note| note.happening.clone()).collect();
    assert_eq!(
        history,
        [
            Happening::Aspired,
            Happening::Published(Purpose::Wish),
            Happening::Aspired,
            Happening::Published(Purpose::Wish),
            Happening::Confirmed
        ]
    );
}

#[test]
fn an_answer_without_a_version_changes_nothing() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.wake();
    assert_eq!(bench.answer(Answer::Nothing), "");
    assert_eq!(bench.answer(Answer::Error("down".to_owned())), "");
    assert_eq!(bench.aspire(2), "");
    assert_eq!(bench.model().serving().unwrap().version, version(2));
}

#[test]
fn the_newest_wish_wins_and_the_load_before_is_cancelled() {
    let mut bench = Bench::promoted(policy());
    assert_eq!(bench.aspire(3), "cancel 2");
    assert_eq!(bench.aspire(3), "", "once");
    assert_eq!(bench.loaded(2), "unload 2, load 3=3", "it was too late to stop");
    assert_eq!(bench.unloaded(2), "");
    assert_eq!(bench.loaded(3), "publish 3, accepted 3");

    let mut bench = Bench::promoted(policy());
    bench.aspire(1);
    assert_eq!(bench.fail(2, false), "", "what was cancelled is not refused");
    assert!(bench.model().refusals().is_empty());
}

#[test]
fn the_registry_goes_back_to_what_is_kept_without_a_load() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert_eq!(bench.aspire(1), "publish 1, accepted 1");
    assert_eq!(bench.aspire(2), "publish 2, accepted 2");
    assert_eq!(bench.model().kept().unwrap().version, version(1));
}

#[test]
fn a_promotion_during_the_probation_ends_it_when_it_serves() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    assert_eq!(bench.aspire(3), "load 3=3");
    assert_eq!(bench.fail(3, false), "refused 3");
    assert_eq!(bench.model().kept().unwrap().version, version(1), "nothing came of it");
    assert_eq!(bench.aspire(4), "load 4=4");
    assert_eq!(bench.loaded(4), "publish 4, close 1, accepted 4");
    assert_eq!(bench.aspire(5), "", "three are in memory");
    bench.drained(1);
    assert_eq!(bench.unloaded(1), "load 5=5");
}

#[test]
fn without_room_for_two_the_old_version_goes_first() {
    let swap = SwapPolicy::ResourcePreserving;
    let mut bench = Bench::new(Policy { swap, ..policy() }, &[]);
    bench.aspire(1);
    bench.loaded(1);
    assert_eq!(bench.aspire(2), "withdraw 1, close 1");
    assert_eq!(bench.drained(1), "unload 1");
    assert_eq!(bench.unloaded(1), "load 2=2");
    assert_eq!(bench.fail(2, true), "refused 2, load 3=1", "the old one serves again");
    assert_eq!(bench.loaded(3), "publish 3, accepted 1");
    assert_eq!(bench.state.wake_at(), Some(bench.now + SECOND * 300), "retries are rare");
    assert_eq!(bench.wake(), "withdraw 3, close 3");
}

#[test]
fn models_take_turns_to_load() {
    let mut state = Lifecycle::new(policy());
    let now = Instant::now();
    let names = ["a", "b"].map(|name| ModelName::new(name).unwrap());
    for model in &names {
        let _ = step(
            &mut state,
            Event::Start { model: model.clone(), remembered: vec![], quarantined: vec![] },
            now,
        );
        let answer = Answer::Version(version(1));
        let _ = step(&mut state, Event::Aspired { model: model.clone(), answer }, now);
    }
    let mut loads = Vec::new();
    for attempt in 1..5 {
        let attempt = AttemptId(attempt);
        let loading = |(name, model): (&ModelName, &ModelState)| {
            model.loading().map(|one| (name.clone(), one.id))
        };
        let (model, id) = state.models().find_map(loading).unwrap();
        assert_eq!(id, attempt);
        loads.push(model.to_string());
        // The registry says something new about it with every failure.
        let stamp = attempt.0.to_string();
        let answer = Answer::Version(Aspired { stamp, ..version(1) });
        let _ = step(&mut state, Event::Aspired { model: model.clone(), answer }, now);
        let (at, cause) = (VersionState::Loading, String::new());
        let failed = Event::Failed { model, attempt, at, cause, is_transient: false };
        let _ = step(&mut state, failed, now);
    }
    assert_eq!(loads, ["a", "b", "a", "b"]);
}

#[test]
fn a_stop_ends_loads_and_keeps_what_serves() {
    let mut bench = Bench::promoted(policy());
    bench.loaded(2);
    bench.aspire(3);
    assert_eq!(bench.feed(Event::Stop), "cancel 3, close 1");
    assert_eq!(bench.fail(3, true), "");
    assert_eq!(bench.aspire(4), "");
    assert_eq!(bench.model().serving().unwrap().version, version(2));
    assert_eq!(bench.state.wake_at(), None);
}

#[test]
fn lists_are_bounded() {
    let mut bench = Bench::new(policy(), &[]);
    for number in 1..100 {
        let attempt = bench.aspire(number);
        assert_eq!(attempt, format!("load {number}={number}"));
        if number % 3 == 0 {
            bench.fail(number, false);
        } else {
            bench.loaded(number);
            for attempt in 1..number {
                bench.drained(attempt);
                bench.unloaded(attempt);
            }
        }
    }
    assert_eq!(bench.model().refusals().len(), 32);
    assert_eq!(bench.model().history().count(), 16);
    assert_eq!(bench.model().predecessors.len(), 8);
}
