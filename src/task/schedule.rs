//! The schedule of a table's polls: its interval, the backoff of failures, and its turn among the tables of its task.

use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::config::spec::PollSpec;
use crate::error::Error;
use crate::retry::Backoff;

/// The polls in a row that find nothing before the pause grows.
const EMPTY_AT_FULL_PACE: u32 = 3;
/// The time a table is due, and its rank among those that are due at the same time.
pub(super) type Rank = (Clock, u64);

/// The schedule of a table's polls.
pub(super) struct Schedule {
    due: Clock,
    /// The number of its last turn: of those that are due at the same time the one goes first that has waited longest.
    turn: u64,
    /// The number of polls in a row that found nothing.
    empty: u32,
    pub(super) backoff: Backoff,
    /// The time since which the table, which was there, is missing.
    pub(super) missed: Option<Clock>,
    /// The error it was given up with.
    pub(super) failed: Option<Error>,
    /// True if nothing more is to be read (`--once`).
    pub(super) done: bool,
    /// True if it rests until an operator lets it go on.
    pub(super) paused: bool,
}

/// The beats at which all tables of a task are due that share an observation of the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    start: Clock,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        Self { start: Clock::now() }
    }

    /// The beat that is nearest to a time.
    fn beat_near(self, interval: Duration, time: Clock) -> Clock {
        let beats = (time - self.start).as_secs_f64() / interval.as_secs_f64();
        if beats.is_finite() { self.start + interval.mul_f64(beats.round()) } else { time }
    }
}

impl Schedule {
    /// A schedule that is due at once.
    pub(super) fn new() -> Self {
        let (due, backoff) = (Clock::now(), Backoff::default());
        Self { due, turn: 0, empty: 0, backoff, missed: None, failed: None, done: false, paused: false }
    }

    /// The time it is due, and its rank among those that are due at the same time.
    pub(super) fn rank(&self) -> Rank {
        (self.due, self.turn)
    }

    /// True if no poll has failed yet.
    pub(super) fn is_new(&self) -> bool {
        self.failed.is_none() && self.missed.is_none() && self.backoff.failures() == 0
    }

    /// True if it is to be polled again.
    pub(super) fn is_open(&self) -> bool {
        !self.done && !self.paused
    }

    /// Notes that it is polled now.
    pub(super) fn takes_turn(&mut self, turn: u64) {
        self.turn = turn;
    }

    pub(super) fn due_at_once(&mut self) {
        self.due = Clock::now();
    }

    pub(super) fn due_after(&mut self, pause: Duration) {
        self.due = Clock::now() + pause;
    }

    /// Makes it due after a pause at the latest.
    pub(super) fn due_within(&mut self, pause: Duration) {
        self.due = self.due.min(Clock::now() + pause);
    }

    /// Makes it due after an interval, at the nearest beat of a rhythm.
    pub(super) fn due_at_beat(&mut self, rhythm: Rhythm, interval: Duration) {
        self.due = rhythm.beat_near(interval, Clock::now() + interval);
    }

    /// Notes whether a poll has found anything.
    pub(super) fn found(&mut self, anything: bool) {
        self.empty = if anything { 0 } else { self.empty.saturating_add(1) };
    }

    /// The pause after a poll that has read to the end: `poll.interval.ms`, and where `poll.interval.max.ms` is more, twice
    /// as long with each poll in a row that finds nothing, from the fourth.
    pub(super) fn pause(&self, polling: &PollSpec) -> Duration {
        if polling.longest_interval <= polling.interval {
            return polling.interval;
        }
        let doublings = self.empty.saturating_sub(EMPTY_AT_FULL_PACE).min(30);
        let pause = polling.interval.max(Duration::from_millis(1)).saturating_mul(1 << doublings);
        if doublings == 0 { polling.interval } else { pause.min(polling.longest_interval) }
    }

    /// A poll has succeeded. True if the ones before had failed.
    pub(super) fn recovered(&mut self) -> bool {
        let had_failed = self.failed.take().is_some() || self.backoff.failures() > 0;
        self.backoff.reset();
        self.missed = None;
        had_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::{LoadOrder, PlanGuard, PollWindows};
    use crate::retry::RetryPolicy;

    fn polling(interval: u64, longest: u64) -> PollSpec {
        PollSpec {
            interval: Duration::from_millis(interval),
            longest_interval: Duration::from_millis(longest),
            table_interval: Duration::ZERO,
            batch_max_rows: 1,
            delay: Duration::ZERO,
            lead: Duration::ZERO,
            suffix: None,
            load_order: LoadOrder::Auto,
            load_rate: 0,
            plan_guard: PlanGuard::Off,
            windows: PollWindows::default(),
            replica_lag_max: Duration::ZERO,
            retry: RetryPolicy::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_of_a_table_that_stays_empty_doubles_up_to_the_longest_and_rows_end_that() {
        let pauses = |schedule: &mut Schedule, polling: &PollSpec| {
            let next = |_| {
                schedule.found(false);
                schedule.pause(polling).as_millis()
            };
            (0..7).map(next).collect::<Vec<_>>()
        };
        let mut schedule = Schedule::new();
        assert_eq!(pauses(&mut schedule, &polling(100, 1000)), [100, 100, 100, 200, 400, 800, 1000]);
        schedule.found(true);
        assert_eq!(schedule.pause(&polling(100, 1000)).as_millis(), 100);
        assert_eq!(pauses(&mut schedule, &polling(100, 0)), [100; 7], "no longest");
        assert_eq!(pauses(&mut Schedule::new(), &polling(0, 5)), [0, 0, 0, 2, 4, 5, 5]);
    }
}
