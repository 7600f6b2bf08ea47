use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::source::{Hint, Watch};

/// Far more than any change takes to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a future on a runtime like that of the sources.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

/// Both ends of a watch, used as a source does that looks after each change.
struct Watched {
    hint: Hint,
    watch: Watch,
}

impl Watched {
    fn of(paths: Vec<PathBuf>) -> Self {
        let (hint, mut watch) = Hint::of(paths);
        watch.renew();
        Self { hint, watch }
    }

    async fn changed(&mut self) {
        self.hint.changed().await;
        self.watch.renew();
    }
}

async fn told(hint: &mut Watched, what: &str) {
    let told = tokio::time::timeout(PATIENCE, hint.changed()).await;
    assert!(told.is_ok(), "nothing was told of {what}");
}

/// Takes what is still under way, so that the next change is told by itself. Should something come
/// later still, the test proves less, but does not fail.
async fn quiet(hint: &mut Watched) {
    while tokio::time::timeout(Duration::from_millis(150), hint.changed()).await.is_ok() {}
}

#[test]
fn what_is_written_below_is_told() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("wine");
    fs::create_dir_all(folder.join("1")).unwrap();
    block_on(async {
        let mut hint = Watched::of(vec![folder.clone()]);
        fs::write(folder.join("registry.yaml"), "a").unwrap();
        told(&mut hint, "a file").await;
        quiet(&mut hint).await;
        fs::write(folder.join("1/MLmodel"), "b").unwrap();
        told(&mut hint, "a file in a folder").await;
        quiet(&mut hint).await;
        fs::create_dir(folder.join("2")).unwrap();
        told(&mut hint, "a folder").await;
        quiet(&mut hint).await;
        fs::write(folder.join("2/MLmodel"), "b").unwrap();
        told(&mut hint, "a file in a new folder").await;
        quiet(&mut hint).await;
    });
}

#[test]
fn a_path_may_come_go_and_come_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("models/wine");
    block_on(async {
        let mut hint = Watched::of(vec![folder.clone()]);
        for round in 0..3 {
            fs::create_dir_all(&folder).unwrap();
            told(&mut hint, "a path that comes").await;
            quiet(&mut hint).await;
            fs::write(folder.join("registry.yaml"), format!("{round}")).unwrap();
            told(&mut hint, "a file in it").await;
            quiet(&mut hint).await;
            fs::remove_dir_all(root.path().join("models")).unwrap();
            told(&mut hint, "a path that goes").await;
            quiet(&mut hint).await;
        }
    });
}

#[test]
fn links_that_are_swapped_are_told_and_followed() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let link = root.path().join("wine");
    symlink(&one, &link).unwrap();
    block_on(async {
        let mut hint = Watched::of(vec![link.clone()]);
        swap(&two, &link);
        told(&mut hint, "a link that leads elsewhere").await;
        quiet(&mut hint).await;
        fs::write(two.join("registry.yaml"), "a").unwrap();
        told(&mut hint, "a file where it leads now").await;
    });
}

/// As Kubernetes publishes a `ConfigMap`: the file is a link through `..data`, which is swapped.
#[test]
fn a_config_map_that_changes_is_told() {
    let root = tempfile::tempdir().unwrap();
    let volume = root.path();
    for (name, text) in [("..first", "a"), ("..second", "b")] {
        fs::create_dir(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("registry.yaml"), text).unwrap();
    }
    symlink("..first", volume.join("..data")).unwrap();
    symlink("..data/registry.yaml", volume.join("registry.yaml")).unwrap();
    block_on(async {
        for watched in [volume.join("registry.yaml"), volume.to_owned()] {
            let mut hint = Watched::of(vec![watched]);
            swap(Path::new("..second"), &volume.join("..data"));
            told(&mut hint, "a volume that is published anew").await;
            quiet(&mut hint).await;
        }
    });
}

#[test]
fn the_companions_of_a_database_count() {
    let root = tempfile::tempdir().unwrap();
    let database = root.path().join("mlflow.db");
    fs::write(&database, "").unwrap();
    block_on(async {
        let mut hint = Watched::of(vec![database]);
        fs::write(root.path().join("mlflow.db-wal"), "a").unwrap();
        told(&mut hint, "the log beside a database").await;
    });
}

#[test]
fn many_changes_are_one_and_none_is_lost_by_waiting_elsewhere() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let mut hint = Watched::of(vec![root.path().to_owned()]);
        for number in 0..500 {
            fs::write(root.path().join(format!("{number}")), "a").unwrap();
        }
        // Dropped while it gathers: the change is still there.
        let gathering = tokio::time::timeout(Duration::from_millis(10), hint.changed()).await;
        assert!(gathering.is_err());
        told(&mut hint, "what was dropped").await;
        quiet(&mut hint).await;
    });
}

#[test]
fn without_paths_nothing_is_ever_told() {
    block_on(async {
        let mut hint = Watched::of(Vec::new());
        assert!(tokio::time::timeout(Duration::from_millis(50), hint.changed()).await.is_err());
    });
}

fn swap(to: &Path, link: &Path) {
    let next = link.with_file_name("..next");
    symlink(to, &next).unwrap();
    fs::rename(next, link).unwrap();
}
