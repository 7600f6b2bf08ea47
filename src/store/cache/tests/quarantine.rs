use std::fs;
use std::path::PathBuf;

use super::{names, open};
use crate::model::VersionId;
use crate::store::{Cache, Quarantined};

const REGISTRY_KEY: &str = "http://registry churn@champion";

fn quarantined(version: u64) -> Quarantined {
    let cause = format!("version {version} failed 12 % of its requests");
    Quarantined { version: VersionId(version), stamp: format!("{version} READY"), cause }
}

fn file(cache: &Cache) -> PathBuf {
    let [name] = names(cache, "quarantine").try_into().unwrap();
    cache.options.dir.join("quarantine").join(name)
}

#[test]
fn what_is_in_quarantine_is_there_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    assert_eq!(cache.quarantined(REGISTRY_KEY), []);
    cache.keep_quarantined(REGISTRY_KEY, &[quarantined(3), quarantined(5)]).unwrap();
    cache.keep_quarantined("another", &[quarantined(1)]).unwrap();
    let again = open(dir.path());
    assert_eq!(again.quarantined(REGISTRY_KEY), [quarantined(3), quarantined(5)]);
    again.keep_quarantined(REGISTRY_KEY, &[quarantined(5)]).unwrap();
    assert_eq!(again.quarantined(REGISTRY_KEY), [quarantined(5)]);
    again.keep_quarantined(REGISTRY_KEY, &[]).unwrap();
    again.keep_quarantined(REGISTRY_KEY, &[]).unwrap();
    assert_eq!(again.quarantined(REGISTRY_KEY), []);
    assert_eq!(again.quarantined("another"), [quarantined(1)]);
}

#[test]
fn the_last_eight_are_kept_and_no_cause_is_endless() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let mut all: Vec<_> = (0..20).map(quarantined).collect();
    all[19].cause = "ü".repeat(100_000);
    cache.keep_quarantined(REGISTRY_KEY, &all).unwrap();
    let kept = cache.quarantined(REGISTRY_KEY);
    let versions: Vec<_> = kept.iter().map(|one| one.version.0).collect();
    assert_eq!(versions, (12..20).collect::<Vec<_>>());
    assert_eq!(kept[7].cause.chars().count(), 1024);
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    cache.keep_quarantined("x", &[quarantined(3)]).unwrap();
    let file = file(&cache);
    let text = fs::read_to_string(&file).unwrap();
    for damaged in [
        "",
        "{}",
        &text[..text.len() / 2],
        &text.replace("\"registry_key\":\"x\"", "\"registry_key\":\"y\""),
        &text.replace("\"format\":1", "\"format\":2"),
        &text.replace("\"version\":3", "\"version\":-3"),
    ] {
        assert_ne!(damaged, text);
        fs::write(&file, damaged).unwrap();
        assert_eq!(cache.quarantined("x"), [], "{damaged}");
    }
    cache.keep_quarantined("x", &[quarantined(3)]).unwrap();
    assert_eq!(cache.quarantined("x"), [quarantined(3)]);
}
