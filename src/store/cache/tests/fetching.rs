use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Content, FakeRemote, about, content, key, names, open, options, version_file, whole};
use crate::store::{Cache, FetchError, RemoteError};

fn silent(_: u64, _: u64) {}

async fn refused(cache: &Cache, remote: &FakeRemote) -> FetchError {
    let error = cache.fetch(&key("a"), &about(), remote, silent).await.unwrap_err();
    assert_eq!(names(cache, "versions"), Vec::<String>::new(), "{error}");
    assert_eq!(names(cache, "partial"), Vec::<String>::new(), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    error
}

#[tokio::test]
async fn a_fetched_version_is_whole_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, remote) = (open(dir.path()), FakeRemote::model(1000));
    let mut told = Vec::new();
    let tell = |bytes, total| told.push((bytes, total));
    let held = cache.fetch(&key("a"), &about(), &remote, tell).await.unwrap();
    assert_eq!(fs::read(held.dir().join("model.onnx")).unwrap(), content(1000));
    assert_eq!(fs::read(held.dir().join("metadata/conda.yaml")).unwrap(), content(7));
    assert_eq!((held.bytes(), held.verify(), held.key()), (1017, Ok(()), &key("a")));
    assert_eq!(told.last(), Some(&(1017, 1017)));
    assert!(told.is_sorted());
    assert_eq!(remote.reading_most.get(), 2, "a few files at once");
    drop(held);
    assert_eq!(names(&cache, "partial"), Vec::<String>::new());

    let manifest = fs::read_to_string(version_file(&cache, &key("a"), "manifest.json")).unwrap();
    assert!(manifest.contains("churn") && manifest.contains("https://host/models/3"));
    assert!(!manifest.contains("secret"), "{manifest}");

    let again = open(dir.path());
    assert!(again.find(&key("a")).is_some());
    assert!(again.find(&key("b")).is_none());
    again.fetch(&key("a"), &about(), &remote, silent).await.unwrap();
    assert_eq!(remote.reads.get(), 3, "nothing is fetched twice");
}

#[tokio::test]
async fn sizes_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    for listed in [999, 1001, 0] {
        let remote = FakeRemote::model(1000).listed("model.onnx", Some(listed));
        let error = refused(&cache, &remote).await;
        assert!(matches!(error, FetchError::Size { listed: l, .. } if l == listed), "{error}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn sizes_that_are_not_told_are_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let remote = |bytes| FakeRemote::model(bytes).listed("model.onnx", None);
    let held = cache.fetch(&key("b"), &about(), &remote(5000), silent).await.unwrap();
    assert_eq!(held.bytes(), 5017);
    let error = cache.fetch(&key("a"), &about(), &remote(5001), silent).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    // What is held stays, so there is no room for another of that size, told or not.
    let error = cache.fetch(&key("a"), &about(), &remote(5000), silent).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { bytes: 5017, held: 5017, .. }), "{error}");
    drop(held);
    cache.fetch(&key("a"), &about(), &remote(5000), silent).await.unwrap();
    assert!(cache.find(&key("b")).is_none());

    let endless = ["x", "y", "z"].map(|path| (path, whole(4000)));
    let remote = FakeRemote::new([
        ("MLmodel", whole(1)),
        endless[0].clone(),
        endless[1].clone(),
        endless[2].clone(),
    ]);
    let remote = remote.listed("x", None).listed("y", None).listed("z", None);
    let error = cache.fetch(&key("c"), &about(), &remote, silent).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn paths_that_escape_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("cache"));
    for path in ["../../../x", "/tmp/x", "a/../../x", "a\\x"] {
        let remote = FakeRemote::new([("MLmodel", whole(1)), (path, whole(1))]);
        let error = refused(&cache, &remote).await;
        assert!(matches!(error, FetchError::Listing { .. }), "{error}");
        assert!(!error.is_transient());
        assert_eq!(remote.reads.get(), 0);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_directory_that_is_no_model_is_named_with_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let error = refused(&cache, &FakeRemote::new([("model/MLmodel", whole(1))])).await.to_string();
    assert!(error.starts_with("`https://host/models/3` is not fetched: it has no MLmodel"));
    assert!(error.contains("(it has model/MLmodel)"), "{error}");
}

#[tokio::test]
async fn a_store_that_breaks_off_or_has_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let broken = FakeRemote::new([("MLmodel", whole(1)), ("x", Content::Breaks(content(500)))]);
    let error = refused(&cache, &broken).await;
    assert!(error.to_string().contains("hung up") && error.is_transient());
    let missing = FakeRemote::model(1);
    missing.listings.borrow_mut().push(RemoteError::Missing("`s3://bucket/churn`".to_owned()));
    let error = refused(&cache, &missing).await;
    assert_eq!(error.to_string(), "`s3://bucket/churn` does not exist");
}

#[tokio::test]
async fn a_fetch_that_is_dropped_half_way_leaves_nothing_and_can_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let remote = FakeRemote::new([("MLmodel", whole(1)), ("x", Content::Hangs(content(100)))]);
    let (key, about) = (key("a"), about());
    let half_way = Notify::new();
    let tell = |bytes, _| {
        if bytes == 101 {
            assert_eq!(names(&cache, "partial"), [key.to_string()]);
            assert!(cache.find(&key).is_none(), "nothing is found before it is whole");
            half_way.notify_one();
        }
    };
    tokio::select! {
        fetched = cache.fetch(&key, &about, &remote, tell) => panic!("it hangs: {fetched:?}"),
        () = half_way.notified() => {}
    }
    assert_eq!(names(&cache, "partial"), Vec::<String>::new());
    let held = cache.fetch(&key, &about, &FakeRemote::model(1000), silent).await.unwrap();
    assert_eq!(held.verify(), Ok(()));
}

#[tokio::test]
async fn a_store_that_stops_sending_or_trickles_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.stall_time_max = Duration::from_millis(50);
    options.stall_bytes_min = 10_000;
    let cache = Cache::open(options).unwrap();
    for content in [Content::Hangs(content(100)), Content::Hangs(Vec::new()), Content::Trickles] {
        let remote = FakeRemote::new([("MLmodel", whole(1)), ("x", content)]);
        let error = refused(&cache, &remote).await;
        assert!(matches!(error, FetchError::Stalled { .. }), "{error}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_whole_fetch_has_a_deadline_however_steadily_it_trickles() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.fetch_time_max = Duration::from_millis(100);
    let cache = Cache::open(options).unwrap();
    let remote = FakeRemote::new([("MLmodel", whole(1)), ("x", Content::Trickles)]);
    let error = refused(&cache, &remote).await;
    assert!(matches!(error, FetchError::TooSlow(_)), "{error}");
}

#[tokio::test]
async fn of_two_that_fetch_the_same_one_fetches_and_both_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = [(); 2].map(|()| open(dir.path()));
    let gate = Rc::new(Notify::new());
    let gated = Content::Gated(content(1000), gate.clone());
    let remote = FakeRemote::new([("MLmodel", whole(10)), ("x", gated)]);
    let (key, about) = (key("a"), about());
    let told = RefCell::new(Vec::new());
    let first = one.fetch(&key, &about, &remote, silent);
    let second = two.fetch(&key, &about, &remote, |bytes, total| {
        told.borrow_mut().push((bytes, total));
        gate.notify_one();
    });
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().dir(), second.unwrap().dir());
    assert_eq!(remote.reads.get(), 2);
    let told = told.into_inner();
    assert!(!told.is_empty() && told.iter().all(|(bytes, total)| bytes <= total), "{told:?}");
}

#[tokio::test]
async fn the_version_of_who_was_faster_is_taken() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cache, other) = (open(dir.path()), open(elsewhere.path()));
    let (key, about) = (key("a"), about());
    let held = other.fetch(&key, &about, &FakeRemote::model(10), silent).await.unwrap();
    let gate = Rc::new(Notify::new());
    let gated = Content::Gated(content(1000), gate.clone());
    let remote = FakeRemote::new([("MLmodel", whole(10)), ("x", gated)]);
    let theirs = held.dir().parent().unwrap().to_owned();
    let ours = cache.version(&key);
    let fetched = cache.fetch(&key, &about, &remote, |bytes, _| {
        // Without the lock, as on a file system whose locks end at the host.
        if bytes > 300 && !ours.exists() {
            fs::rename(&theirs, &ours).unwrap();
            gate.notify_one();
        }
    });
    assert_eq!(fetched.await.unwrap().bytes(), 27);
}

#[tokio::test]
async fn a_full_disk_is_seen_before_anything_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.free_bytes_min = u64::MAX - 1_000_000;
    let cache = Cache::open(options).unwrap();
    let remote = FakeRemote::model(1000);
    let error = refused(&cache, &remote).await;
    assert!(matches!(error, FetchError::DiskFull { bytes: 1017, .. }), "{error}");
    assert_eq!(remote.reads.get(), 0);
}
