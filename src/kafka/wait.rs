//! A pause of a thread that waits for librdkafka: for room in its queue, for records to be delivered. rdkafka's `poll`
//! is no such wait: it takes what is left of its time in whole milliseconds, so the last of them is spun away, and it
//! does not return when something has come. The event that the thread waits for tells nobody either (a delivery that
//! succeeds is not reported), so it looks again and again: soon at first, then after a part of the time that it has
//! waited already. A wait is late by that part at most, and costs next to nothing however long it takes.

#![expect(clippy::disallowed_methods, reason = "on librdkafka's threads")]

use std::time::{Duration, Instant};

/// A small part of a broker's answer time.
const SHORTEST: Duration = Duration::from_micros(100);
/// The longest delay after which the end of a long wait, or its cancellation, is noticed.
const LONGEST: Duration = Duration::from_millis(100);
/// The part of the time waited that may be added to it.
const PART: u32 = 4;

/// One wait, of as many pauses as it takes.
pub(super) struct Wait(Instant);

impl Wait {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Sleeps until the next look.
    pub(super) fn pause(&self) {
        std::thread::sleep(next(self.0.elapsed()));
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn next(waited: Duration) -> Duration {
    (waited / PART).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_few_looks_and_late_by_a_quarter_at_most() {
        let looks = |needed: Duration| {
            let (mut waited, mut looks) = (Duration::ZERO, 0);
            while waited < needed {
                waited += next(waited);
                looks += 1;
            }
            (looks, waited - needed)
        };
        let (few, late) = looks(Duration::from_millis(3));
        assert!(few <= 16 && late <= Duration::from_micros(750), "{few} {late:?}");
        // An outage of a minute.
        let (few, late) = looks(Duration::from_secs(60));
        assert!(few < 640 && late <= LONGEST, "{few} {late:?}");
    }
}
