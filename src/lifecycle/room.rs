//! Whether there is memory for one more version.
//!
//! A version that does not fit takes the whole process with it, and all that serves: the system
//! kills what has no room. So before a version is loaded, what it takes at most is estimated and
//! held against what is left. Where nobody knows what is left, nothing is refused.

use bytesize::ByteSize;

use crate::store::ModelDir;
use crate::telemetry::ProcessMemory;

/// What loading takes at its peak for each byte of weights: the file's, and the engine's own copy.
///
/// Measured on ONNX Runtime 1.31.1, growth of the peak (`VmHWM`) by a session and its first runs,
/// over the bytes of the model: dense layers of 29 MiB 2.0, of 107 MiB 1.5 within the graph and 1.5
/// beside it; weights that are transposed at load 2.1; weights of 16 bits 4.0, which count twice.
const WEIGHTS: u64 = 2;
/// The same for each byte of nodes: trees are written as lists of attributes, which the parser
/// unfolds and the engine then makes its own trees of. 100 trees of depth 10 took 14.2 times their
/// 8 MiB, and 500 of depth 11 11.8 times their 78 MiB; the fixed part is in the first of them.
const NODES: u64 = 14;
/// What any session takes, with the runs that try it.
const ALWAYS: u64 = 32 << 20;

/// Why a version is not loaded. Memory may be free later: when another version is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it may take {} of memory, and {} are left of what this process may use; give it more, or keep \
     fewer versions in memory (registry.keep_predecessor)",
    ByteSize(*.needed), ByteSize(*.left)
)]
pub(super) struct NoRoom {
    needed: u64,
    left: u64,
}

/// Whether a version fits beside all that is loaded.
///
/// # Errors
/// When it may take more than what is left.
pub(super) fn check(dir: &ModelDir) -> Result<(), NoRoom> {
    decide(estimate(dir), ProcessMemory::read().left)
}

/// What a version takes at most while it loads, in bytes.
pub(super) fn estimate(dir: &ModelDir) -> u64 {
    estimate_of(dir.weight_bytes, dir.node_bytes)
}

fn decide(needed: u64, left: Option<u64>) -> Result<(), NoRoom> {
    match left {
        Some(left) if needed > left => Err(NoRoom { needed, left }),
        Some(_) | None => Ok(()),
    }
}

fn estimate_of(weight_bytes: u64, node_bytes: u64) -> u64 {
    let parts = [weight_bytes.saturating_mul(WEIGHTS), node_bytes.saturating_mul(NODES), ALWAYS];
    parts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_was_measured_lies_within_the_estimate_and_not_far_below() {
        // Bytes of weights and of nodes, and the peak that was measured, in MiB.
        for (weights, nodes, peak) in
            [(29, 0, 58), (107, 0, 162), (78, 0, 165), (2 * 54, 0, 213), (0, 8, 107), (0, 78, 924)]
        {
            let estimate = estimate_of(weights * MIB, nodes * MIB) / MIB;
            assert!(peak <= estimate && estimate <= 2 * peak, "{peak} MiB: {estimate}");
        }
        assert_eq!(estimate_of(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn a_version_is_refused_only_where_it_is_known_not_to_fit() {
        for (needed, left, fits) in [
            (100 * MIB, None, true),
            (100 * MIB, Some(100 * MIB), true),
            (100 * MIB, Some(100 * MIB - 1), false),
            (0, Some(0), true),
        ] {
            assert_eq!(decide(needed, left).is_ok(), fits, "{needed} {left:?}");
        }
        let refused = decide(3 << 30, Some(1 << 30)).unwrap_err().to_string();
        assert!(refused.contains("3.0 GiB") && refused.contains("1.0 GiB"), "{refused}");
    }
}
