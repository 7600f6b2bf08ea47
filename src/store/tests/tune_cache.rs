use std::fs::{self, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::store::tune_cache::{ENTRIES_MAX, TuneCache, TuneConditions, TuneKey, TuneRecord};
use crate::store::{ModelDir, tests::wire};

/// A model with weights in a file of their own.
fn model() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let graph = wire::model(&[wire::external("weight", &[("location", "w.bin")])]);
    fs::write(dir.path().join("MLmodel"), "flavors:\n  onnx: {data: model.onnx}\n").unwrap();
    fs::write(dir.path().join("model.onnx"), graph).unwrap();
    fs::write(dir.path().join("w.bin"), [0; 48]).unwrap();
    dir
}

fn conditions() -> TuneConditions {
    TuneConditions {
        engine: "engine 1 (provider)".to_owned(),
        intra_op_threads: 1,
        cores: 2,
        rows_max: 1024,
        time_max: Duration::from_secs(2),
    }
}

fn record() -> TuneRecord {
    let points = vec![(1, Duration::from_nanos(9_250)), (2, Duration::from_micros(11))];
    TuneRecord { alone: None, points }
}

fn key(model: &ModelDir) -> TuneKey {
    TuneKey::of(model, &conditions()).unwrap()
}

/// The files in the cache.
fn entries(dir: &TempDir) -> Vec<PathBuf> {
    fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_key_follows_whatever_the_measurement_depends_on() {
    let dir = model();
    let opened = ModelDir::open(dir.path()).unwrap();
    let copy = model();
    let copied = ModelDir::open(copy.path()).unwrap();
    let mut keys = vec![key(&opened)];
    assert_eq!(key(&copied), keys[0], "a copy elsewhere is the same model");

    for change in [
        |conditions: &mut TuneConditions| conditions.engine.push('2'),
        |conditions: &mut TuneConditions| conditions.intra_op_threads = 2,
        |conditions: &mut TuneConditions| conditions.cores = 3,
        |conditions: &mut TuneConditions| conditions.rows_max = 2048,
        |conditions: &mut TuneConditions| conditions.time_max = Duration::from_secs(3),
    ] {
        let mut conditions = conditions();
        change(&mut conditions);
        keys.push(TuneKey::of(&opened, &conditions).unwrap());
    }
    keys.push(TuneKey::on("another processor", &opened, &conditions()).unwrap());
    let mut tuned = opened.clone();
    tuned.onnx.session.graph_optimization_level = Some(0);
    keys.push(key(&tuned));
    tuned.serving_input = Some(b"{}".to_vec());
    keys.push(key(&tuned));
    fs::write(dir.path().join("w.bin"), [1; 48]).unwrap();
    keys.push(key(&opened));
    let graph = fs::read(dir.path().join("model.onnx")).unwrap();
    fs::write(dir.path().join("model.onnx"), [graph, vec![0]].concat()).unwrap();
    keys.push(key(&opened));

    for (place, one) in keys.iter().enumerate() {
        assert!(!keys[..place].contains(one), "key {place} is an earlier one");
    }
    fs::remove_file(dir.path().join("w.bin")).unwrap();
    assert!(TuneKey::of(&opened, &conditions()).is_err());
}

#[test]
fn a_damaged_file_is_ignored_and_written_anew() {
    let (model, dir) = (model(), tempfile::tempdir().unwrap());
    let key = key(&ModelDir::open(model.path()).unwrap());
    let cache = TuneCache::new(dir.path().to_owned());
    cache.put(&key, &record());
    assert_eq!(cache.get(&key), Some(record()));
    let file = entries(&dir).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let other_format = String::from_utf8(whole.clone()).unwrap().replace("format\":", "format\":9");
    let huge = [vec![b' '; 1 << 20], whole.clone()].concat();
    for damaged in [&whole[..whole.len() / 2], b"", b"[]", other_format.as_bytes(), &huge] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(cache.get(&key), None, "{} bytes", damaged.len());
    }
    cache.put(&key, &record());
    assert_eq!(cache.get(&key), Some(record()));
    assert_eq!(entries(&dir), [file], "one file, and nothing temporary");
}

#[test]
fn the_oldest_files_of_ours_go_first() {
    let (model, dir) = (model(), tempfile::tempdir().unwrap());
    let key = key(&ModelDir::open(model.path()).unwrap());
    let old = |name: &str, age: u64| {
        let path = dir.path().join(name);
        let file = fs::File::create(&path).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age);
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        path
    };
    let foreign = old("notes.txt", 1_000_000);
    let oldest = old("tune-oldest.json", 100_000);
    let left_behind = old("tune-half", 99_999);
    let second = old("tune-second.json", 99_998);
    for other in 0..ENTRIES_MAX - 2 {
        old(&format!("tune-{other}.json"), 1000);
    }
    let cache = TuneCache::new(dir.path().to_owned());
    cache.put(&key, &record());
    assert!(!oldest.exists() && !left_behind.exists());
    assert!(second.exists() && foreign.exists());
    assert_eq!(entries(&dir).len(), ENTRIES_MAX + 1);
    assert_eq!(cache.get(&key), Some(record()));
}

#[test]
fn a_directory_that_cannot_be_used_is_no_error() {
    let (model, dir) = (model(), tempfile::tempdir().unwrap());
    let key = key(&ModelDir::open(model.path()).unwrap());
    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let cache = TuneCache::new(file.join("below"));
    cache.put(&key, &record());
    assert_eq!(cache.get(&key), None);
}
