//! The times of a step's statements: the whole, and the part in which rows were encoded, which is between its reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One row of so many is timed: a clock costs as much as a small column.
const EVERY: u64 = 16;

/// The times of a read that has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReadTimes {
    /// The whole.
    pub(super) took: Duration,
    /// The part in which rows were encoded.
    pub(super) encoding: Duration,
}

impl ReadTimes {
    /// The part of the database.
    pub(super) fn query(&self) -> Duration {
        self.took.saturating_sub(self.encoding)
    }
}

/// The clock of the encoding of rows, for one task at a time.
#[derive(Debug, Default)]
pub(super) struct EncodeClock {
    rows: AtomicU64,
    timed: AtomicU64,
    nanos: AtomicU64,
}

impl EncodeClock {
    /// Encodes a row.
    pub(super) fn time<T>(&self, encode: impl FnOnce() -> T) -> T {
        let row = self.rows.load(Ordering::Relaxed);
        self.rows.store(row + 1, Ordering::Relaxed);
        if !row.is_multiple_of(EVERY) {
            return encode();
        }
        let began = Instant::now();
        let encoded = encode();
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.timed.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        encoded
    }

    /// The time of all rows so far.
    pub(super) fn total(&self) -> Duration {
        let (rows, timed) = (self.rows.load(Ordering::Relaxed), self.timed.load(Ordering::Relaxed));
        let all = u128::from(self.nanos.load(Ordering::Relaxed)) * u128::from(rows) / u128::from(timed.max(1));
        Duration::from_nanos(u64::try_from(all).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_all_rows_is_that_of_those_that_are_timed_and_as_many_times_more() {
        let clock = EncodeClock::default();
        assert_eq!(clock.total(), Duration::ZERO);
        for row in 0..EVERY * 2 {
            let time = if row % EVERY == 0 { Duration::from_millis(2) } else { Duration::ZERO };
            clock.time(|| std::thread::sleep(time));
        }
        assert!(clock.total() >= Duration::from_millis(2) * 32, "{:?}", clock.total());
    }
}
