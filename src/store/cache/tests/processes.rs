//! Several processes share a cache. The others are this test program again, with one test that
//! does nothing unless it is told what to be.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Content, FakeRemote, about, content, key, names, open, options, whole};
use crate::store::cache::partial::bytes_below;
use crate::store::{Cache, FetchError};

const ROLE: &str = "CACHE_TEST_ROLE";
const DIR: &str = "CACHE_TEST_DIR";
const READY: &str = "the child is ready";

/// Another process; ends when this is dropped, as `kill -9` ends one.
struct Other(Child);

impl Other {
    /// Starts it and waits until it is where its role takes it.
    fn start(role: &str, cache: &Cache) -> Self {
        // A disk that is full after a few blocks; the signal that comes with it is ignored.
        let limit = if role == "is full" { "trap '' XFSZ; ulimit -f 8; " } else { "" };
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit}exec \"$@\""), "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "store::cache::tests::processes::other_process", "--nocapture"])
            .env(ROLE, role)
            .env(DIR, &cache.options.dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let other = Self(child);
        assert!(lines.map_while(Result::ok).any(|line| line.contains(READY)), "{role}");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut options = options(std::env::var_os(DIR).unwrap().as_ref());
    options.file_bytes_max = 10_000;
    let cache = Cache::open(options).unwrap();
    if role == "holds" {
        let _held = cache.find(&key("a")).unwrap();
        println!("{READY}");
        std::future::pending::<()>().await;
    }
    if role == "is full" {
        // 8 blocks of 512 or 1024 bytes.
        let remote = FakeRemote::model(9000);
        let error = cache.fetch(&key("a"), &about(), &remote, |_, _| {}).await.unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("cannot write `") && message.contains("ulimit"), "{message}");
        assert!(error.is_transient());
        assert_eq!(names(&cache, "partial"), Vec::<String>::new());
        println!("{READY}");
        return;
    }
    let remote = FakeRemote::new([("MLmodel", whole(1)), ("x", Content::Hangs(content(500)))]);
    let tell = |bytes, _| {
        if bytes == 501 {
            println!("{READY}");
        }
    };
    let fetched = cache.fetch(&key("a"), &about(), &remote, tell).await;
    panic!("a fetch that hangs came to an end: {fetched:?}");
}

#[tokio::test]
async fn a_fetch_that_is_killed_leaves_only_what_the_next_start_removes() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let other = Other::start("fetches", &cache);
    open(dir.path());
    assert_eq!(names(&cache, "partial"), [key("a").to_string()], "it lives, so it is left alone");
    drop(other);
    assert!(bytes_below(&cache.partial(&key("a"))) > 500);
    assert!(cache.find(&key("a")).is_none());
    assert_eq!(names(&open(dir.path()), "partial"), Vec::<String>::new());
}

#[tokio::test]
async fn who_waits_for_a_fetch_takes_over_when_it_dies() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let mut other = Some(Other::start("fetches", &cache));
    let remote = FakeRemote::model(1000);
    let mut told = Vec::new();
    let held = cache
        .fetch(&key("a"), &about(), &remote, |bytes, total| {
            told.push((bytes, total));
            other = None;
        })
        .await
        .unwrap();
    assert_eq!(held.verify(), Ok(()));
    assert_eq!(fs::read(held.dir().join("model.onnx")).unwrap(), content(1000));
    assert!(told[0].0 > 500, "what the other had fetched was seen: {told:?}");
}

#[tokio::test]
async fn what_another_process_serves_is_not_evicted_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let fetch = async |name, bytes| {
        cache.fetch(&key(name), &about(), &FakeRemote::model(bytes), |_, _| {}).await
    };
    fetch("a", 4900).await.unwrap();
    fetch("b", 4900).await.unwrap();
    let other = Other::start("holds", &cache);
    fetch("c", 4900).await.unwrap();
    assert!(cache.find(&key("b")).is_none() && cache.version(&key("a")).exists());
    let held = cache.find(&key("c")).unwrap();
    let error = fetch("d", 4900).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { .. }), "{error}");
    drop(other);
    fetch("d", 4900).await.unwrap();
    assert!(!cache.version(&key("a")).exists());
    assert_eq!(held.verify(), Ok(()));
}

#[tokio::test]
async fn a_write_that_the_disk_refuses_ends_the_fetch_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    drop(Other::start("is full", &cache));
    assert_eq!(names(&cache, "versions"), Vec::<String>::new());
    let held = cache.fetch(&key("a"), &about(), &FakeRemote::model(100), |_, _| {}).await.unwrap();
    assert_eq!(held.verify(), Ok(()));
}
