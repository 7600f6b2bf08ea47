//! A process that ends while it fetches a version, without a warning or with one.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::fake::{Answer, Pace};
use crate::registry::Registry;
use crate::serving::Serving;

/// Files below a directory, by how large they are.
fn files_below(dir: &Path) -> Vec<u64> {
    let Ok(listed) = fs::read_dir(dir) else { return Vec::new() };
    let each = listed.flatten().flat_map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => files_below(&entry.path()),
        Ok(found) => vec![found.len()],
        Err(_) => Vec::new(),
    });
    each.collect()
}

/// A server of version 1 of which a part of version 2 is there, and the rest is on its way.
fn fetching(registry: &mut Registry, cache: &Path) -> Serving {
    let serving = Serving::start(registry, cache);
    serving.until_version(1);
    registry.slow_down(2, "model.onnx", Pace::Pause(Duration::from_millis(10)));
    registry.promote(2);
    registry.answer_champion();
    let partial = cache.join("models/partial");
    serving.until("a part of version 2 is there", |now| {
        let loading = &now.lifecycle()["loading"];
        loading["state"] == "Fetching" && files_below(&partial).iter().any(|bytes| *bytes > 0)
    });
    assert_eq!(serving.version(), 1);
    serving
}

/// The cache of a server that was killed while it fetched.
fn killed(registry: &mut Registry, cache: &Path) {
    let serving = fetching(registry, cache);
    // By SIGKILL.
    drop(serving);
    let partial = cache.join("models/partial");
    assert!(!files_below(&partial).is_empty(), "nobody had time to clear up");
}

#[test]
fn told_to_end_within_a_fetch_it_ends_in_order() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    let serving = fetching(&mut registry, cache.path());
    let start = Instant::now();
    assert_eq!(serving.terminate(), Some(0));
    // The rest would take longer than this.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn killed_within_a_fetch_it_starts_again_with_the_new_version() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    killed(&mut registry, cache.path());
    registry.mend();
    let serving = Serving::start(&registry, cache.path());
    serving.until_version(2);
    assert_eq!(files_below(&cache.path().join("models/partial")), [0; 0]);
    assert_eq!(serving.stop(), [2]);
}

#[test]
fn killed_within_a_fetch_it_starts_with_what_served_last_while_the_rest_cannot_be_had() {
    let cache = tempfile::tempdir().unwrap();
    let mut registry = Registry::start();
    killed(&mut registry, cache.path());
    registry.mend();
    registry.answer_fetches(2, &Answer::new(503, "text/plain", "away"));
    let serving = Serving::start(&registry, cache.path());
    serving.until_version(1);
    assert!(serving.log().contains("the last known version serves"), "{}", serving.log());
    registry.mend();
    serving.until_version(2);
    assert_eq!(serving.stop(), [1, 2]);
}
