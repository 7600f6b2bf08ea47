use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::source::directory::look::{Look, Seen};
use crate::source::directory::settle::{Now, Settled, Watch};

const SETTLE: Duration = Duration::from_secs(1);
const OLD: Duration = Duration::from_hours(1000);

/// What the programs that copy do, and what passes between.
#[derive(Clone, Debug)]
enum Step {
    /// Some bytes more in a file.
    Write {
        file: u8,
        bytes: u64,
    },
    /// The file is complete and gets the time that its original has.
    Finish {
        file: u8,
    },
    /// It was written under another name.
    Rename {
        file: u8,
    },
    Look,
    Wait(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, 1..1000_u64).prop_map(|(file, bytes)| Step::Write { file, bytes }),
        1 => (0..4_u8).prop_map(|file| Step::Finish { file }),
        1 => (0..4_u8).prop_map(|file| Step::Rename { file }),
        4 => Just(Step::Look),
        4 => (0..900_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
    ]
}

/// A directory, as far as names, sizes and times tell.
struct Tree {
    files: BTreeMap<String, (u64, SystemTime)>,
    touched: SystemTime,
}

impl Tree {
    fn take(&mut self, step: &Step, wall: SystemTime) {
        if !matches!(step, Step::Look | Step::Wait(_)) {
            self.touched = wall;
        }
        let partial = |file: u8| format!(".{file}.part");
        match step {
            Step::Write { file, bytes } => {
                let name = partial(*file);
                let entry = self.files.entry(name).or_insert((0, wall));
                *entry = (entry.0 + bytes, wall);
            }
            Step::Finish { file } => {
                if let Some(entry) = self.files.get_mut(&partial(*file)) {
                    entry.1 = wall - OLD;
                }
            }
            Step::Rename { file } => {
                if let Some(entry) = self.files.remove(&partial(*file)) {
                    self.files.insert(file.to_string(), entry);
                }
            }
            Step::Look | Step::Wait(_) => {}
        }
    }

    fn look(&self) -> Look {
        let seen = self.files.iter().map(|(path, (bytes, changed))| Seen {
            path: path.into(),
            bytes: *bytes,
            changed: *changed,
        });
        Look::of(seen.collect(), self.touched)
    }
}

/// Puts a write into every wait that would be as long as the settle time.
fn busy(steps: &mut Vec<Step>) {
    let mut quiet = Duration::ZERO;
    let mut bytes = 0;
    let mut busy = Vec::new();
    for step in steps.drain(..) {
        match &step {
            Step::Wait(wait) if quiet + *wait >= SETTLE => {
                bytes += 1;
                busy.push(Step::Write { file: 0, bytes });
                quiet = *wait;
            }
            Step::Wait(wait) => quiet += *wait,
            Step::Write { .. } => quiet = Duration::ZERO,
            Step::Look | Step::Finish { .. } | Step::Rename { .. } => {}
        }
        busy.push(step);
    }
    *steps = busy;
}

proptest! {
    /// However files are written, finished and renamed, and whenever someone looks: while a write
    /// follows another within the settle time the directory does not count, and once nothing has
    /// been written for that long it does.
    #[test]
    fn a_directory_counts_only_after_the_last_write(
        mut steps in vec(step(), 1..40),
        skew in prop_oneof![Just(0_i64), -5000..5000_i64],
    ) {
        busy(&mut steps);
        let start = (SystemTime::now(), Instant::now());
        // The clock that files are stamped with may be another machine's.
        let stamps = |passed: Duration| {
            let skewed = start.0 + OLD + passed;
            let skew_by = Duration::from_millis(skew.unsigned_abs());
            if skew < 0 { skewed - skew_by } else { skewed + skew_by }
        };
        let now = |passed: Duration| Now { wall: start.0 + OLD + passed, steady: start.1 + passed };
        let mut tree = Tree { files: BTreeMap::new(), touched: stamps(Duration::ZERO) };
        let mut watch: Option<Watch> = None;
        let mut passed = Duration::ZERO;
        let mut look = |tree: &Tree, passed: Duration| {
            let update = Watch::update(watch.as_ref(), tree.look(), now(passed));
            let settled = update.settled(None, SETTLE, now(passed));
            watch = Some(update);
            settled
        };
        for step in &steps {
            tree.take(step, stamps(passed));
            match step {
                Step::Wait(wait) => passed += *wait,
                // A clock that lags makes the newest file look old.
                Step::Look if skew >= 0 => {
                    let settled = look(&tree, passed);
                    prop_assert!(settled != Settled::Yes, "after {passed:?} of {steps:?}");
                }
                Step::Look => drop(look(&tree, passed)),
                Step::Write { .. } | Step::Finish { .. } | Step::Rename { .. } => {}
            }
        }
        if let Settled::In(wait) = look(&tree, passed) {
            prop_assert!(wait <= SETTLE);
            prop_assert_eq!(look(&tree, passed + wait), Settled::Yes);
        }
    }
}

#[test]
fn what_was_found_whole_needs_no_waiting_and_anything_else_does() {
    let now = Now::read();
    let file = |bytes| Seen { path: "MLmodel".into(), bytes, changed: now.wall };
    let look = Look::of(vec![file(3)], now.wall);
    let verified = look.stamp.clone();
    let watch = Watch::update(None, look, now);
    assert_eq!(watch.settled(Some(&verified), SETTLE, now), Settled::Yes);
    assert_eq!(watch.settled(None, SETTLE, now), Settled::In(SETTLE));
    let other = Watch::update(Some(&watch), Look::of(vec![file(4)], now.wall), now);
    assert_eq!(other.settled(Some(&verified), SETTLE, now), Settled::In(SETTLE));
}

#[test]
fn a_stamp_tells_paths_sizes_and_times_apart() {
    let time = SystemTime::UNIX_EPOCH;
    let later = time + Duration::from_nanos(1);
    let stamp = |files: &[(&str, u64, SystemTime)]| {
        let seen = files.iter().map(|(path, bytes, changed)| Seen {
            path: path.into(),
            bytes: *bytes,
            changed: *changed,
        });
        Look::of(seen.collect(), time).stamp
    };
    let stamps = [
        stamp(&[]),
        stamp(&[("a", 1, time)]),
        stamp(&[("b", 1, time)]),
        stamp(&[("a", 2, time)]),
        stamp(&[("a", 1, later)]),
        stamp(&[("a", 1, time), ("b", 1, time)]),
        stamp(&[("a/b", 1, time)]),
    ];
    for (at, one) in stamps.iter().enumerate() {
        assert_eq!(one.len(), 32);
        assert!(stamps[..at].iter().all(|other| other != one), "{at}");
    }
    assert_eq!(stamp(&[("b", 1, time), ("a", 1, time)]), stamps[5], "in any order");
}
