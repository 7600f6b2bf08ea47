//! Text to values. `None` says that the text is not one; the setting knows what would be.

use std::time::Duration;

use bytesize::ByteSize;

/// A year: longer than anything waits, short enough to be added to any instant.
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// A number within bounds.
pub(super) fn number(text: &str, min: usize, max: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

/// `true`, `false`, or MLflow's `1` and `0`, whatever their case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A time of at least `min`: seconds, possibly with a fraction, or numbers with units.
pub(super) fn duration(text: &str, min: Duration) -> Option<Duration> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => humantime::parse_duration(text).ok()?,
    };
    (min..=DURATION_MAX).contains(&duration).then_some(duration)
}

/// A number of bytes within bounds: a number, or one with a unit.
pub(super) fn bytes(text: &str, min: ByteSize, max: ByteSize) -> Option<usize> {
    let size: ByteSize = text.parse().ok()?;
    (min..=max).contains(&size).then_some(())?;
    size.as_u64().try_into().ok()
}

/// The value of the word.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// Words separated by commas, at least one.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    let words: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
    words.iter().all(|word| !word.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_units() {
        let min = Duration::from_millis(1);
        assert_eq!(duration("60", min), Some(Duration::from_mins(1)));
        assert_eq!(duration("0.5", min), Some(Duration::from_millis(500)));
        assert_eq!(duration("1m30s", min), Some(Duration::from_secs(90)));
        for bad in ["0", "-1", "nan", "inf", "1e300", "soon", ""] {
            assert_eq!(duration(bad, min), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_units() {
        let (min, max) = (ByteSize::b(1), ByteSize::gib(16));
        assert_eq!(bytes("1024", min, max), Some(1024));
        assert_eq!(bytes("64MiB", min, max), Some(64 << 20));
        assert_eq!(bytes("17GiB", min, max), None);
        assert_eq!(bytes("-1", min, max), None);
    }
}
