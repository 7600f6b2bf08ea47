//! What a process holds of the machine, as `/proc` tells.

use std::fs;

/// Threads and open files: by kind, in order, so that two of them can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Their names.
    pub(crate) threads: Vec<String>,
    /// Where they lead: a path, or `socket`, `anon_inode`, `pipe`.
    pub(crate) files: Vec<String>,
}

impl Footprint {
    pub(crate) fn of(pid: u32) -> Self {
        // What ends while it is looked at is not there.
        let entries = |kind: &str| {
            let listed = fs::read_dir(format!("/proc/{pid}/{kind}")).unwrap();
            listed.map(|entry| entry.unwrap().path())
        };
        let mut threads: Vec<_> = entries("task")
            .filter_map(|task| fs::read_to_string(task.join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect();
        let mut files: Vec<_> = entries("fd")
            .filter_map(|file| fs::read_link(file).ok())
            .map(|target| target.to_string_lossy().split(":[").next().unwrap().to_owned())
            .collect();
        threads.sort_unstable();
        files.sort_unstable();
        Self { threads, files }
    }
}

/// Resident memory.
pub(crate) fn resident_bytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// By how much the values grow from one to the next: the slope of the straight line that is
/// nearest to them, by least squares.
pub(crate) fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (mean_x, mean_y) = ((count - 1.0) / 2.0, values.iter().sum::<f64>() / count);
    let (mut both, mut square) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let x = index as f64 - mean_x;
        both += x * (value - mean_y);
        square += x * x;
    }
    both / square
}

#[test]
fn a_slope_is_that_of_the_nearest_line() {
    assert_eq!(slope(&[7.0, 7.0, 7.0]), 0.0);
    assert_eq!(slope(&[1.0, 3.0, 5.0, 7.0]), 2.0);
    // 3 more at every step, and noise that is even on both sides.
    assert_eq!(slope(&[1.0, 2.0, 7.0, 8.0, 13.0]), 3.0);
}
