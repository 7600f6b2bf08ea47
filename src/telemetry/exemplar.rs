//! Exemplars: requests by their traces, that show what is in a bucket.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::meter::Outcome;

/// The trace of a request, as `traceparent` names it: 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// Of a `traceparent` (W3C Trace Context, level 1) that says that its trace is kept; `None` of
    /// any other text.
    #[must_use]
    pub fn of_kept(traceparent: &[u8]) -> Option<Self> {
        // 00-<32 digits of the trace>-<16 digits of the parent>-<2 digits of flags>
        let is_hex = |bytes: &[u8]| {
            bytes.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
        };
        let rest = traceparent.strip_prefix(b"00-")?;
        let (trace, rest) = rest.split_first_chunk::<32>()?;
        let (parent, flags) = rest.strip_prefix(b"-")?.split_first_chunk::<16>()?;
        let [b'-', high, low] = flags else { return None };
        let is_whole = is_hex(trace) && is_hex(parent) && is_hex(&[*high, *low]);
        let is_kept = char::from(*low).to_digit(16).is_some_and(|bits| bits & 1 == 1);
        (is_whole && is_kept && trace.iter().any(|digit| *digit != b'0')).then_some(Self(*trace))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }
}

/// A request that is in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    pub trace: TraceId,
    pub took: Duration,
    /// When it ended, in seconds since 1970.
    pub at: f64,
}

/// The latest exemplar of each bucket, for each outcome. Takes no memory before the first.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<Vec<Vec<Option<Exemplar>>>>);

impl Exemplars {
    /// Keeps a request, unless somebody is looking: another will come. There are so many buckets.
    pub(super) fn keep(
        &self,
        outcome: Outcome,
        [bucket, buckets]: [usize; 2],
        trace: TraceId,
        took: Duration,
    ) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let Ok(mut kept) = self.0.try_lock() else { return };
        if kept.is_empty() {
            *kept = vec![vec![None; buckets]; Outcome::ALL.len()];
        }
        kept[outcome as usize][bucket] = Some(Exemplar { trace, took, at });
    }

    /// Those of all buckets; nothing where there is none.
    pub(super) fn of(&self, outcome: Outcome) -> Vec<Option<Exemplar>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(outcome as usize).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_kept_trace_of_the_known_form_is_one() {
        let trace = TraceId::of_kept(KEPT.as_bytes()).unwrap();
        assert_eq!(trace.as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00",
            &KEPT.replace("-01", "-00"),
            &KEPT.replace("00-4", "01-4"),
            &KEPT.replace("4bf9", "4BF9"),
            &KEPT.replace("4bf9", "\"}\\n"),
            &format!("{KEPT}-x"),
            &KEPT[..54],
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        ] {
            assert_eq!(TraceId::of_kept(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_bucket_has_its_latest() {
        let exemplars = Exemplars::default();
        assert!(exemplars.of(Outcome::Ok).is_empty());
        let trace = TraceId::of_kept(KEPT.as_bytes()).unwrap();
        for millis in [3, 4] {
            exemplars.keep(Outcome::Ok, [5, 8], trace, Duration::from_millis(millis));
        }
        let kept = exemplars.of(Outcome::Ok);
        assert_eq!(kept[5].unwrap().took, Duration::from_millis(4));
        assert_eq!(kept.iter().flatten().count(), 1);
        assert!(exemplars.of(Outcome::Failed).iter().all(Option::is_none));
    }
}
