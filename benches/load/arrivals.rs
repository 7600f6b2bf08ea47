//! When requests are due, at a constant rate.
//!
//! Due times are exact: the `n`th request of the run is due `n` intervals after the start, in
//! integers, so that no rounding adds up. The threads take turns: request `n` belongs to thread
//! `n % threads`.

use std::num::NonZeroU64;
use std::time::Duration;

/// Picoseconds in a second: fine enough for a rate of a million a second to be kept to one part
/// in a million.
const SECOND_PS: f64 = 1e12;
const NANOSECOND_PS: u128 = 1_000;

/// One thread's part of the arrivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrivals {
    interval_ps: NonZeroU64,
    share: Share,
}

/// Which of the run's requests are a thread's: every `threads`th, from `thread` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) thread: u64,
    pub(crate) threads: NonZeroU64,
}

impl Share {
    /// The number within the run of the thread's `index`th request.
    pub(crate) fn number(self, index: u64) -> u64 {
        index * self.threads.get() + self.thread
    }
}

impl Arrivals {
    /// `rate` requests a second over all threads; `None` if it is out of range (one in eleven days
    /// to a million million).
    pub(crate) fn new(rate: f64, share: Share) -> Option<Self> {
        let interval_ps = (SECOND_PS / rate).round();
        let representable = (1.0..=1e18).contains(&interval_ps);
        let interval_ps = NonZeroU64::new(representable.then_some(interval_ps as u64)?)?;
        Some(Self { interval_ps, share })
    }

    /// When the thread's `index`th request is due, after the start of the run.
    pub(crate) fn due(&self, index: u64) -> Duration {
        let ps = u128::from(self.share.number(index)) * u128::from(self.interval_ps.get());
        nanoseconds(ps / NANOSECOND_PS)
    }

    /// How many of the thread's requests are due before `time` after the start.
    pub(crate) fn count_before(&self, time: Duration) -> u64 {
        let all = (time.as_nanos() * NANOSECOND_PS).div_ceil(u128::from(self.interval_ps.get()));
        let own = all
            .saturating_sub(u128::from(self.share.thread))
            .div_ceil(u128::from(self.share.threads.get()));
        u64::try_from(own).unwrap_or(u64::MAX)
    }
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(thread: u64, threads: u64) -> Share {
        Share { thread, threads: NonZeroU64::new(threads).unwrap() }
    }

    #[test]
    fn requests_are_due_at_equal_distances_from_the_start_on() {
        let arrivals = Arrivals::new(1_000.0, share(0, 1)).unwrap();
        let due: Vec<_> = (0..4).map(|index| arrivals.due(index).as_micros()).collect();
        assert_eq!(due, [0, 1_000, 2_000, 3_000]);
        // A third of a second cannot be written down, and the error does not add up.
        let arrivals = Arrivals::new(3.0, share(0, 1)).unwrap();
        let error = arrivals.due(3_000_000).abs_diff(Duration::from_secs(1_000_000));
        assert!(error < Duration::from_micros(2), "{error:?}");
    }

    #[test]
    fn threads_take_turns() {
        let [a, b] = [0, 1].map(|thread| Arrivals::new(10.0, share(thread, 2)).unwrap());
        let due = |arrivals: Arrivals| [0, 1, 2].map(|index| arrivals.due(index).as_millis());
        assert_eq!((due(a), due(b)), ([0, 200, 400], [100, 300, 500]));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-7, 1e13] {
            assert!(Arrivals::new(rate, share(0, 1)).is_none(), "{rate}");
        }
    }

    proptest! {
        #[test]
        fn a_count_is_the_number_of_requests_due_before(
            rate in 0.01..1e6_f64,
            threads in 1..9_u64,
            thread in 0..9_u64,
            time_ns in 0..100_000_000_000_u64,
        ) {
            let arrivals = Arrivals::new(rate, share(thread % threads, threads)).unwrap();
            let time = Duration::from_nanos(time_ns);
            let count = arrivals.count_before(time);
            prop_assert!(arrivals.due(count) >= time);
            prop_assert!(count == 0 || arrivals.due(count - 1) < time);
        }

        #[test]
        fn the_threads_together_have_every_request_once(
            rate in 1.0..1e4_f64, threads in 1..9_u64, time_ms in 0..5_000_u64,
        ) {
            let time = Duration::from_millis(time_ms);
            let counts = |threads: u64| -> u64 {
                let of = |thread| Arrivals::new(rate, share(thread, threads)).unwrap();
                (0..threads).map(|thread| of(thread).count_before(time)).sum()
            };
            prop_assert_eq!(counts(threads), counts(1));
        }
    }
}
