//! What a server costs: CPU time and resident memory of a process and its descendants, from
//! `/proc`. Servers that start a process a core are measured whole.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

/// Use of the machine, up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    /// User and system time of all threads, in the kernel's ticks (10 ms as a rule).
    pub(crate) cpu: Duration,
    /// Resident memory; what several processes share counts once for each.
    pub(crate) memory_bytes: u64,
    /// The most memory that was ever resident, summed over the processes.
    pub(crate) memory_peak_bytes: u64,
}

impl Usage {
    /// Of the process `root` and the descendants that it has now.
    ///
    /// # Errors
    /// When there is no such process, or no `/proc`.
    pub(crate) fn of_tree(root: u32) -> io::Result<Self> {
        let gone = |error| io::Error::other(format!("process {root} cannot be measured: {error}"));
        let mut usage = Self::of(root).map_err(gone)?;
        for pid in descendants(root, &parents()?) {
            // One that ended in the meantime has no use any more.
            let Ok(more) = Self::of(pid) else { continue };
            usage.cpu += more.cpu;
            usage.memory_bytes += more.memory_bytes;
            usage.memory_peak_bytes += more.memory_peak_bytes;
        }
        Ok(usage)
    }

    /// Of one process.
    ///
    /// # Errors
    /// When there is no such process, or no `/proc`.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let unread = || io::Error::other("its lines in /proc are not understood");
        let Stat { ticks, .. } = Stat::parse(&stat).ok_or_else(unread)?;
        Ok(Self {
            at: Instant::now(),
            cpu: Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64),
            memory_bytes: memory(&status, "VmRSS:").unwrap_or(0),
            memory_peak_bytes: memory(&status, "VmHWM:").unwrap_or(0),
        })
    }
}

/// What a line of `/proc/PID/stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time.
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The command's name stands in brackets and may hold brackets and blanks.
        let fields: Vec<_> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks: ticks(11)? + ticks(12)? })
    }
}

/// A size in a `/proc/PID/status`, in bytes.
fn memory(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The parent of every process.
fn parents() -> io::Result<HashMap<u32, u32>> {
    let entries = fs::read_dir("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, Stat::parse(&stat)?.parent))
    };
    Ok(pids.filter_map(parent).collect())
}

fn descendants(root: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        let children = parents.iter().filter(|(pid, of)| **of == parent && !found.contains(pid));
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        at += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_any_command_name() {
        let line = "812 (a (b) c) S 700 812 812 0 -1 4194560 912 0 0 0 71 29 5 6 20 0 9 0 1";
        assert_eq!(Stat::parse(line), Some(Stat { parent: 700, ticks: 100 }));
        assert_eq!(Stat::parse("812 (a) S 700"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     3 kB\n";
        assert_eq!(memory(status, "VmRSS:"), Some(3 * 1024));
        assert_eq!(memory(status, "VmHWM:"), Some(2048 * 1024));
        assert_eq!(memory(status, "VmSwap:"), None);
    }

    #[test]
    fn descendants_are_children_and_theirs_and_never_the_root() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 10), (13, 12), (20, 1)].into();
        let mut found = descendants(10, &parents);
        found.sort_unstable();
        assert_eq!(found, [11, 12, 13]);
        assert_eq!(descendants(20, &parents), [] as [u32; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_can_be_measured() {
        let usage = Usage::of_tree(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 0 && usage.memory_peak_bytes >= usage.memory_bytes);
        assert!(Usage::of_tree(u32::MAX).is_err());
    }
}
