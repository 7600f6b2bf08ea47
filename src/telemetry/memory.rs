//! Memory that the process may use, and what is left of it: the machine's, and that of its cgroups
//! (v1 or v2), whichever is less.
//!
//! The process's own cgroup is asked for, with those above it, and the one at the usual mount
//! point. In a container both are as a rule the container's. On cgroup v2 without a namespace of
//! cgroups the mount point is the whole machine's, which has no limit, and only the first knows.

use sysinfo::{CGroupLimits, Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

/// The memory of the process at one moment, in bytes. `None`: nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMemory {
    /// What it may use.
    pub max: Option<u64>,
    /// How much of that nobody uses. Files that the system keeps in memory count as left: they go
    /// when they have to, and a version that was just fetched fills a container's limit with them.
    pub left: Option<u64>,
}

impl ProcessMemory {
    /// Reads it from the system.
    #[must_use]
    pub fn read() -> Self {
        let Ok(mut system) = System::new() else { return Self { max: None, left: None } };
        system.refresh_memory();
        let own = Pid::from_u32(std::process::id());
        let only_own = ProcessesToUpdate::Some(&[own]);
        system.refresh_processes_specifics(only_own, true, ProcessRefreshKind::nothing());
        let of_process = system.process(own).and_then(Process::cgroup_limits);
        let limits: Vec<_> = [of_process, system.cgroup_limits()].into_iter().flatten().collect();
        Self::least(system.total_memory(), system.available_memory(), &limits)
    }

    /// Zero of the machine's means that it does not tell.
    fn least(machine: u64, available: u64, limits: &[CGroupLimits]) -> Self {
        let known = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        let max = limits.iter().map(|limit| limit.total_memory).chain(known(machine)).min();
        let left = |limit: &CGroupLimits| limit.total_memory.saturating_sub(limit.rss);
        let left = limits.iter().map(left).chain(known(available)).min();
        Self { max, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(total_memory: u64, rss: u64) -> CGroupLimits {
        CGroupLimits { total_memory, free_memory: 0, free_swap: 0, rss }
    }

    #[test]
    fn the_least_of_machine_and_cgroups_counts() {
        let of = |max, left| ProcessMemory { max, left };
        for (machine, available, limits, expected) in [
            (100, 60, vec![], of(Some(100), Some(60))),
            (100, 60, vec![limit(50, 10)], of(Some(50), Some(40))),
            (100, 20, vec![limit(50, 10)], of(Some(50), Some(20))),
            (100, 60, vec![limit(50, 10), limit(40, 39)], of(Some(40), Some(1))),
            (100, 60, vec![limit(50, 51)], of(Some(50), Some(0))),
            (0, 0, vec![limit(50, 10)], of(Some(50), Some(40))),
            (0, 0, vec![], of(None, None)),
        ] {
            let found = ProcessMemory::least(machine, available, &limits);
            assert_eq!(found, expected, "{machine} {available} {limits:?}");
        }
    }

    #[test]
    fn this_machine_has_memory_left() {
        let ProcessMemory { max, left } = ProcessMemory::read();
        assert!(max.is_none_or(|max| max > 1 << 20));
        assert!(left.is_none_or(|left| left > 1 << 20));
    }
}
