//! The schedule of a table's polls: its interval, the backoff of failures, and its turn among the tables of its task.

use std::time::Duration;

use tokio::time::Instant as Clock;

use crate::error::Error;
use crate::retry::Backoff;

/// The schedule of a table's polls.
pub(super) struct Schedule {
    due: Clock,
    /// The number of its last turn: of those that are due at the same time the one goes first that has waited longest.
    turn: u64,
    pub(super) backoff: Backoff,
    /// The time since which the table, which was there, is missing.
    pub(super) missed: Option<Clock>,
    /// The error it was given up with.
    pub(super) failed: Option<Error>,
    /// True if nothing more is to be read (`--once`).
    pub(super) done: bool,
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
        Self { due: Clock::now(), turn: 0, backoff: Backoff::default(), missed: None, failed: None, done: false }
    }

    /// The time it is due, and its rank among those that are due at the same time.
    pub(super) fn rank(&self) -> (Clock, u64) {
        (self.due, self.turn)
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

    /// Makes it due after an interval, at the nearest beat of a rhythm.
    pub(super) fn due_at_beat(&mut self, rhythm: Rhythm, interval: Duration) {
        self.due = rhythm.beat_near(interval, Clock::now() + interval);
    }

    /// A poll has succeeded. True if the ones before had failed.
    pub(super) fn recovered(&mut self) -> bool {
        let had_failed = self.failed.take().is_some() || self.backoff.failures() > 0;
        self.backoff.reset();
        self.missed = None;
        had_failed
    }
}
