use std::fs;
use std::time::{Duration, SystemTime};

use super::{FakeRemote, about, key, names, open, options, version_file};
use crate::store::cache::held::set_used;
use crate::store::{Cache, FetchError, Held};

async fn fetch(cache: &Cache, name: &str, graph_bytes: usize) -> Result<Held, FetchError> {
    cache.fetch(&key(name), &about(), &FakeRemote::model(graph_bytes), |_, _| {}).await
}

/// Versions that were taken so many seconds ago.
async fn stock(cache: &Cache, versions: &[(&str, u64)]) {
    for (name, ago) in versions {
        fetch(cache, name, 2000).await.unwrap();
        let at = SystemTime::now() - Duration::from_secs(*ago);
        set_used(&cache.version(&key(name)), at).unwrap();
    }
}

fn there(cache: &Cache, names: &[&str]) -> Vec<bool> {
    names.iter().map(|name| cache.version(&key(name)).exists()).collect()
}

#[tokio::test]
async fn what_was_taken_longest_ago_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    stock(&cache, &[("b", 200), ("a", 300), ("c", 100), ("d", 400)]).await;
    // Taken now, so it is the last to go.
    drop(cache.find(&key("d")).unwrap());
    let held = fetch(&cache, "e", 2000).await.unwrap();
    assert_eq!(there(&cache, &["a", "b", "c", "d", "e"]), [false, true, true, true, true]);
    fetch(&cache, "f", 4900).await.unwrap();
    assert_eq!(there(&cache, &["b", "c", "d", "e", "f"]), [false, false, true, true, true]);
    assert_eq!(names(&cache, "partial"), Vec::<String>::new());
    drop(held);
}

#[tokio::test]
async fn what_somebody_holds_stays() {
    let dir = tempfile::tempdir().unwrap();
    let [cache, other] = [(); 2].map(|()| open(dir.path()));
    stock(&cache, &[("a", 300), ("b", 200), ("c", 100), ("d", 50)]).await;
    let a = other.find(&key("a")).unwrap();
    set_used(&cache.version(&key("a")), SystemTime::UNIX_EPOCH).unwrap();
    fetch(&cache, "e", 2000).await.unwrap();
    assert_eq!(there(&cache, &["a", "b", "c", "d", "e"]), [true, false, true, true, true]);
    assert_eq!(a.verify(), Ok(()));
    drop(a);
    fetch(&cache, "f", 2000).await.unwrap();
    assert_eq!(there(&cache, &["a", "c", "d", "e", "f"]), [false, true, true, true, true]);
}

#[tokio::test]
async fn nothing_goes_for_a_version_that_would_not_fit_anyway() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    stock(&cache, &[("a", 400), ("b", 300), ("c", 200), ("d", 100)]).await;
    let held = ["b", "c", "d"].map(|name| cache.find(&key(name)).unwrap());
    let error = fetch(&cache, "e", 4900).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { bytes: 4917, held: 6051, .. }), "{error}");
    assert!(error.to_string().contains("cache.bytes_max"));
    let all = there(&cache, &["a", "b", "c", "d", "e"]);
    assert_eq!(all, [true, true, true, true, false]);
    drop(held);
}

#[tokio::test]
async fn room_that_another_fetch_has_reserved_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let partial = cache.partial(&key("other"));
    fs::create_dir_all(partial.join("version")).unwrap();
    fs::write(partial.join("reserved"), "9000").unwrap();
    let error = fetch(&cache, "a", 2000).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { held: 9000, .. }), "{error}");
    // As it is between the rename of what was fetched and the end of its partial directory.
    fs::remove_dir(partial.join("version")).unwrap();
    fetch(&cache, "a", 2000).await.unwrap();
}

#[tokio::test]
async fn a_damaged_version_is_removed_and_fetched_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let file = |path: &str| version_file(&cache, &key("a"), path);
    let manifest = |text: &str| fs::write(file("manifest.json"), text).unwrap();
    let damages: [(&str, &dyn Fn()); 9] = [
        ("truncated", &|| fs::write(file("model/model.onnx"), "short").unwrap()),
        ("missing", &|| fs::remove_file(file("model/MLmodel")).unwrap()),
        ("another kind", &|| {
            fs::remove_file(file("model/MLmodel")).unwrap();
            fs::create_dir(file("model/MLmodel")).unwrap();
        }),
        ("no manifest", &|| fs::remove_file(file("manifest.json")).unwrap()),
        ("empty", &|| manifest("")),
        ("garbage", &|| manifest("{\"format\": 1, \"files\": 7}")),
        ("cut off", &|| {
            let text = fs::read_to_string(file("manifest.json")).unwrap();
            manifest(&text[..text.len() - 9]);
        }),
        ("of a later format", &|| {
            let text = fs::read_to_string(file("manifest.json")).unwrap();
            manifest(&text.replace("\"format\":1", "\"format\":2"));
        }),
        ("reaches outside", &|| {
            let text = fs::read_to_string(file("manifest.json")).unwrap();
            manifest(&text.replace("\"model.onnx\"", "\"../../../../etc/passwd\""));
        }),
    ];
    for (name, damage) in damages {
        fetch(&cache, "a", 100).await.unwrap();
        damage();
        assert!(cache.find(&key("a")).is_none(), "{name}");
        assert!(!cache.version(&key("a")).exists(), "{name}");
    }
    assert_eq!(fetch(&cache, "a", 100).await.unwrap().verify(), Ok(()));
}

#[tokio::test]
async fn content_that_changed_in_place_is_seen_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let held = fetch(&cache, "a", 100).await.unwrap();
    fs::write(held.dir().join("model.onnx"), [1; 100]).unwrap();
    let damage = held.verify().unwrap_err().to_string();
    assert!(damage.contains("`model.onnx`") && damage.contains("has changed"), "{damage}");
}

#[tokio::test]
async fn what_dead_fetches_left_goes_at_the_next_start_and_what_is_not_ours_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let dead = cache.partial(&key("dead")).join("version/model");
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join("MLmodel"), "half").unwrap();
    fs::create_dir(cache.partials().join(format!("{}.gone", key("evicted")))).unwrap();
    for place in ["partial", "versions", "known", "locks"] {
        fs::write(dir.path().join(place).join("notes.txt"), "mine").unwrap();
    }
    let again = open(dir.path());
    for place in ["partial", "versions", "known", "locks"] {
        assert_eq!(names(&again, place), ["notes.txt"]);
    }
    fetch(&again, "a", 100).await.unwrap();
}

#[test]
fn a_place_that_cannot_be_a_cache_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let error = Cache::open(options(&file)).unwrap_err().to_string();
    assert!(error.starts_with("cannot make the directory") && error.contains("file"), "{error}");
}

#[test]
fn many_at_once_stay_under_the_limit_and_have_what_they_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir;
    let work = |thread: u64| {
        let cache = open(dir.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut random = fastrand::Rng::with_seed(thread);
        for _ in 0..15 {
            let name = random.u8(0..8).to_string();
            // Four versions are held at most, so there is room for each.
            let held = runtime.block_on(fetch(&cache, &name, 2000)).unwrap();
            assert_eq!(held.verify(), Ok(()), "{name}");
            let bytes: usize = names(&cache, "versions").len() * 2017;
            assert!(bytes <= 10_000, "{bytes}");
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    let cache = open(dir.path());
    assert_eq!(names(&cache, "partial"), Vec::<String>::new());
    assert!(
        names(&cache, "locks").iter().all(|name| name.parse::<crate::store::CacheKey>().is_ok())
    );
}
