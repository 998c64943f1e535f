//! The deterministic model: a database with snapshots, subtransactions and prepared transactions, and random schedules of
//! writers. `task/tests/guarded.rs` runs every method against it through the real poller; here `snapshot` by itself, with a
//! clock that steps back, many schedules in little time. One that fails is shrunk.

mod snapshot;
pub(crate) mod store;

use chrono::FixedOffset;

use self::store::{TICK, Write};
use crate::guard::column_clock::ColumnClock;
use crate::model::{CursorKind, Micros};
use crate::zone::Zone;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Write),
    /// A poll; so many of the following steps happen between observation and view, and between view and answer.
    Poll(u8, u8),
    /// The process starts again with what it has stored.
    Restart,
}

/// A step at random.
pub(crate) fn step(random: &mut fastrand::Rng) -> Step {
    let (n, row) = (random.u8(..), random.u8(..));
    Step::Write(match random.u8(0..76) {
        0..6 => Write::Begin(n),
        6..18 => Write::Insert(n),
        18..26 => Write::Update(n, row, random.bool()),
        26..31 => Write::Savepoint(n),
        31..35 => Write::Release(n),
        35..37 => Write::RollbackTo(n),
        37..45 => Write::Commit(n),
        45..47 => Write::Abort(n),
        47..50 => Write::Prepare(n),
        50..58 => Write::Tick(1 + n % 40),
        58..60 => Write::StepBack(1 + n % 200),
        60..73 => return Step::Poll(n % 3, row % 3),
        _ => return Step::Restart,
    })
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    page: usize,
    shows_starts: bool,
    world: World,
}

/// The begin of a schedule, and the kind of times in the timestamp column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) start: Micros,
    pub(crate) clock: ColumnClock,
    pub(crate) zone: Zone,
}

impl World {
    pub(crate) fn instants() -> Self {
        Self { start: START, clock: ColumnClock::instants(), zone: Zone::UTC }
    }

    fn walls(start: Micros, zone: Zone) -> Self {
        Self { start, clock: ColumnClock::of(CursorKind::Timestamp { zoned: false, digits: 6 }, zone), zone }
    }

    /// Instants, wall clocks behind them, or wall clocks that are set back by an hour after a few steps.
    pub(crate) fn any(random: &mut fastrand::Rng) -> Self {
        match random.u8(..4) {
            0 => Self::walls(START, Zone::Fixed(FixedOffset::west_opt(60).unwrap())),
            1 => Self::walls(SET_BACK - i64::from(random.u8(..150)) * TICK, Zone::Named(chrono_tz::Europe::Berlin)),
            _ => Self::instants(),
        }
    }

    /// No time at or above it has been written before an instant.
    pub(crate) fn highest_until(&self, instant: Micros) -> Micros {
        if self.clock.is_wall() { self.zone.highest_wall_until(instant) } else { instant }
    }
}

const START: Micros = 1_000_000_000;
/// 2024-10-27 01:00 UTC, when 03:00 CEST is 02:00 CET.
const SET_BACK: Micros = 1_729_990_800_000_000;

fn schedule(seed: u64) -> (Vec<Step>, Setting) {
    let mut random = fastrand::Rng::with_seed(seed);
    let steps = random.usize(1..120);
    let steps = (0..steps).map(|_| step(&mut random)).collect();
    let world = World::any(&mut random);
    (steps, Setting { page: random.usize(1..6), shows_starts: random.bool(), world })
}

/// The least part of a failing schedule that is found by dropping steps, many at a time and then one by one.
fn shrunk<T: Clone>(mut steps: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut chunk = steps.len() / 2;
    while chunk > 0 {
        let before = steps.len();
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            if fails(&fewer) {
                steps = fewer;
            } else {
                at += chunk;
            }
        }
        // One by one until nothing more can go.
        if chunk > 1 || steps.len() == before {
            chunk /= 2;
        }
    }
    steps
}
