use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{key, names, open};
use crate::model::{ModelName, VersionId};
use crate::store::{Cache, LastKnown};

fn last(version: u64) -> LastKnown {
    LastKnown {
        model: ModelName::new("churn").unwrap(),
        version: VersionId(version),
        stamp: "3 READY 1795189805274".to_owned(),
        key: key("a"),
        origin: "s3://bucket/churn".to_owned(),
    }
}

fn files(cache: &Cache) -> Vec<PathBuf> {
    names(cache, "known").iter().map(|name| cache.knowns().join(name)).collect()
}

#[test]
fn what_a_model_was_last_is_there_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    assert_eq!(cache.recall("http://registry churn@champion"), None);
    cache.remember("http://registry churn@champion", &last(3)).unwrap();
    cache.remember("http://registry churn@champion", &last(2)).unwrap();
    cache.remember("http://registry other", &last(7)).unwrap();
    let again = open(dir.path());
    assert_eq!(again.recall("http://registry churn@champion"), Some(last(2)));
    assert_eq!(again.recall("http://registry other"), Some(last(7)));
    assert_eq!(files(&again).len(), 2);
}

#[test]
fn credentials_of_the_origin_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let origin = "https://me:secret@host/a?sig=secret".to_owned();
    cache.remember("x", &LastKnown { origin, ..last(1) }).unwrap();
    assert_eq!(cache.recall("x").unwrap().origin, "https://host/a");
    assert!(!fs::read_to_string(&files(&cache)[0]).unwrap().contains("secret"));
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    cache.remember("x", &last(1)).unwrap();
    let file = files(&cache).pop().unwrap();
    let text = fs::read_to_string(&file).unwrap();
    for damaged in [
        "",
        "{}",
        &text[..text.len() / 2],
        &text.replace("\"registry_key\":\"x\"", "\"registry_key\":\"y\""),
        &text.replace("\"format\":1", "\"format\":2"),
        &text.replace("\"churn\"", "\"a/b\""),
        &text.replace(key("a").as_str(), "../../x"),
    ] {
        assert_ne!(damaged, text);
        fs::write(&file, damaged).unwrap();
        assert_eq!(cache.recall("x"), None, "{damaged}");
    }
    cache.remember("x", &last(1)).unwrap();
    assert_eq!(cache.recall("x"), Some(last(1)));
}

#[test]
fn those_remembered_longest_ago_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        cache.remember(name, &last(1)).unwrap();
        let at = SystemTime::now() - Duration::from_secs(1000 - place as u64);
        let file = fs::File::options().write(true).open(cache.known(name)).unwrap();
        file.set_modified(at).unwrap();
    }
    cache.remember("d", &last(1)).unwrap();
    let known = ["a", "b", "c", "d"].map(|name| cache.recall(name).is_some());
    assert_eq!(known, [false, true, true, true]);
}
