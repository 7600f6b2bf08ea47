//! Settings of what the process tells about itself.

use std::time::Duration;

use crate::drift::{DriftOptions, WINDOWS_MAX, WindowLength};
use crate::telemetry::{MeterOptions, names};

use super::{Check, SWITCH};
use crate::config::{parse, setting};

/// Buckets of durations, at most: each is a series for every version, outcome and stage.
const BUCKETS_MAX: usize = 64;

impl Check<'_> {
    pub(super) fn meters(&mut self) -> MeterOptions {
        MeterOptions {
            duration_buckets: self.get(&setting::DURATION_BUCKETS, duration_buckets),
            retention: self.get(&setting::RETENTION, |text| parse::duration(text, Duration::ZERO)),
        }
    }

    pub(super) fn series_max(&mut self) -> usize {
        self.get(&setting::SERIES_MAX, |text| parse::number(text, 1000, 10_000_000))
    }

    pub(super) fn drift(&mut self) -> DriftOptions {
        DriftOptions {
            is_on: self.get(&setting::DRIFT, |text| parse::word(text, SWITCH)),
            windows: self.get(&setting::DRIFT_WINDOWS, windows),
            rows_min: self
                .get(&setting::DRIFT_ROWS_MIN, |text| parse::number(text, 1, 1_000_000_000))
                as u64,
            features_max: self
                .get(&setting::DRIFT_FEATURES_MAX, |text| parse::number(text, 1, 1024)),
            features_exported_max: self.get(&setting::DRIFT_FEATURES_EXPORTED_MAX, |text| {
                if text == "all" { Some(usize::MAX) } else { parse::number(text, 1, 1024) }
            }),
            has_bins: self.get(&setting::DRIFT_BINS, |text| parse::word(text, SWITCH)),
            live_rows: self.get(&setting::DRIFT_LIVE_ROWS, |text| {
                if text == "off" { Some(None) } else { parse::number(text, 500, 100_000).map(Some) }
            }),
        }
    }
}

/// Ascending times, or the usual ones.
fn duration_buckets(text: &str) -> Option<Vec<f64>> {
    if text == "auto" {
        return Some(names::DURATION_SECONDS.to_vec());
    }
    let time = |text: String| parse::duration(&text, Duration::from_micros(1));
    let ends: Vec<f64> = parse::list(text)?
        .into_iter()
        .map(|text| time(text).map(|time| time.as_secs_f64()))
        .collect::<Option<_>>()?;
    (ends.len() <= BUCKETS_MAX && ends.is_sorted_by(|a, b| a < b)).then_some(ends)
}

/// Ascending windows of whole minutes.
fn windows(text: &str) -> Option<Vec<WindowLength>> {
    let windows: Vec<_> = parse::list(text)?
        .into_iter()
        .map(|text| WindowLength::new(parse::duration(&text, Duration::from_mins(1))?))
        .collect::<Option<_>>()?;
    let is_list = windows.len() <= WINDOWS_MAX && windows.is_sorted_by(|a, b| a < b);
    is_list.then_some(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ascending_times() {
        assert_eq!(duration_buckets("1ms,0.5,2s"), Some(vec![0.001, 0.5, 2.0]));
        assert_eq!(duration_buckets("auto").map(|ends| ends.len()), Some(22));
        for bad in ["", "2,1", "1,1", "0", "1,,2", "soon"] {
            assert_eq!(duration_buckets(bad), None, "{bad}");
        }
    }

    #[test]
    fn windows_are_ascending_whole_minutes() {
        let minutes = |minutes: u64| WindowLength::new(Duration::from_mins(minutes)).unwrap();
        assert_eq!(windows("5m,1h"), Some(vec![minutes(5), minutes(60)]));
        for bad in ["", "90s", "1h,5m", "5m,5m", "8d", "1m,2m,3m,4m,5m", "30s"] {
            assert_eq!(windows(bad), None, "{bad}");
        }
    }
}
