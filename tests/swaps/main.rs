//! Versions that are swapped thousands of times while requests run: no request fails, and nothing
//! is left behind, no memory, no thread and no open file.
//!
//! `FLOWGATE_SWAPS` is the number of swaps in place of 2,000. The first half of them is for the
//! allocators to have seen everything: memory is measured over the later half.
#![cfg(all(feature = "ort", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "in a test a failed expectation is the report")]
#![expect(clippy::print_stdout, reason = "the slope is worth seeing when it is good, too")]

mod footprint;
mod leak;
mod load;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flowgate::model::{Selector, Stage, VersionId};
use flowgate::source::promote_directory;

use footprint::{Footprint, resident_bytes, slope};
use load::{Course, Load};
use support::asking::Asking;
use support::process::{Server, binary};

/// Versions 1 and 2 of one model, which answer different things.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/wine-quality");

/// Longest wait for one swap, or for what should be gone to be gone.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What resident memory may gain with a swap, by least squares over the later half of them. It
/// wanders by a megabyte now and then, which is less than this over a thousand swaps; versions that
/// are never freed take many times as much.
const SLOPE_BYTES_MAX: f64 = 4096.0;

/// Swaps before threads and files are counted for the first time: the server has done everything
/// once by then.
const SETTLED_AFTER: u64 = 4;

fn swaps() -> u64 {
    std::env::var("FLOWGATE_SWAPS").map_or(2000, |text| text.parse().unwrap())
}

/// A folder of the model's two versions.
fn folder(at: &Path) -> PathBuf {
    let folder = at.join("wine");
    for version in ["1", "2"] {
        fs::create_dir_all(folder.join(version)).unwrap();
        for entry in fs::read_dir(Path::new(MODEL).join(version)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(version).join(entry.file_name())).unwrap();
        }
    }
    fs::write(folder.join("registry.yaml"), "stages: {Production: 1}\n").unwrap();
    folder
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WAIT_MAX, "after a minute it is not so that {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Swaps back and forth under load, and says by how many bytes a swap the server has grown.
fn swap(keep_predecessor: &str, count: u64) -> f64 {
    let scratch = tempfile::tempdir().unwrap();
    let folder = folder(scratch.path());
    let path = folder.to_str().unwrap();
    let cache = scratch.path().join("cache");
    let arguments = [path, "--admin-port", "0", "--keep-predecessor", keep_predecessor];
    // Few sizes of batches, each of which every load runs until it is warm.
    let more = ["--cache-dir", cache.to_str().unwrap(), "--batch-rows-max", "8"];
    let arguments = arguments.into_iter().chain(more);
    let server = Server::launch(&mut Command::new(binary()), arguments).unwrap();
    let admin = server.admin();
    let pid = server.pid();

    let body = fs::read(folder.join("1/serving_input_example.json")).unwrap();
    let course = Course::default();
    let mut watching = Asking::connect(server.address(), &body);
    let mut operator = Asking::connect(admin, b"").to("/v1/models/wine/poll");
    let production = Selector::Stage(Stage::Production);
    let mut promote = |watching: &mut Asking| {
        let (number, version) = course.begin();
        promote_directory(path, VersionId(version), &production).unwrap();
        // The folder is watched, but changes of 50 ms are taken together.
        assert_eq!(operator.ask().status, 202);
        until("the promoted version answers", || watching.ask().version == Some(version));
        course.complete(number);
    };
    let expected = [1, 2].map(|version| {
        if version == 2 {
            promote(&mut watching);
        }
        watching.ask().body
    });
    assert_ne!(expected[0], expected[1]);

    let load = Load::start(server.address(), &body, &expected, &course);
    let mut resident = Vec::new();
    let mut before = None;
    for done in 1..=count {
        promote(&mut watching);
        resident.push(resident_bytes(pid));
        if done == SETTLED_AFTER {
            before = Some(Footprint::of(pid));
        }
    }
    let before = before.expect("there are more swaps than that");
    let mut after = Footprint::of(pid);
    let start = Instant::now();
    // A version may be on its way in or out.
    while after != before && start.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(20));
        after = Footprint::of(pid);
    }
    let answered = load.stop();
    assert_eq!(after, before, "threads and open files after {count} swaps, and before");
    let grown = slope(&resident[resident.len() / 2..]);
    println!(
        "{count} swaps, keep_predecessor {keep_predecessor}: {answered} answers, none wrong; \
         {} threads, {} open files; {:.1} MiB, {grown:+.0} bytes a swap",
        after.threads.len(),
        after.files.len(),
        resident[resident.len() - 1] / f64::from(1 << 20),
    );
    grown
}

#[test]
fn thousands_of_loads_lose_no_request_and_leave_nothing_behind() {
    let grown = swap("0s", swaps());
    assert!(grown < SLOPE_BYTES_MAX, "{grown} bytes a swap");
}

#[test]
fn swaps_to_a_kept_predecessor_lose_no_request_and_leave_nothing_behind() {
    let grown = swap("60s", swaps());
    assert!(grown < SLOPE_BYTES_MAX, "{grown} bytes a swap");
}

#[test]
fn a_version_that_is_never_freed_shows_in_resident_memory() {
    // What leaks, leaks from the first swap on: fewer show it.
    let count = (swaps() / 8).max(40);
    let [sound, leaking] = [leak::Kept::Nothing, leak::Kept::EveryVersion]
        .map(|kept| slope(&leak::swap(&folder(tempfile::tempdir().unwrap().path()), count, kept)));
    println!("{count} swaps: {sound:+.0} bytes a swap, and with a leak {leaking:+.0}");
    assert!(leaking > 10.0 * SLOPE_BYTES_MAX, "a leak of {leaking} bytes a swap is not seen");
    assert!(sound < leaking / 10.0, "{sound} bytes a swap without a leak");
}
