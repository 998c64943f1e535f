//! The deterministic model: a database with snapshots, subtransactions and prepared transactions, a poller that drives
//! the state machines as `task` does, and random schedules of both, shrunk when one fails.

mod gaps;
mod snapshot;
mod store;
mod window;

use self::store::Write;
use crate::model::Micros;

#[derive(Debug, Clone)]
enum Step {
    Write(Write),
    /// Polls; so many of the following steps happen between observation and view, and between view and answer.
    Poll(u8, u8),
    /// The process starts again with what it has stored.
    Restart,
}

/// A step at random.
fn step(random: &mut fastrand::Rng) -> Step {
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
    zone: Micros,
}

fn schedule(seed: u64) -> (Vec<Step>, Setting) {
    let mut random = fastrand::Rng::with_seed(seed);
    let steps = random.usize(1..120);
    let steps = (0..steps).map(|_| step(&mut random)).collect();
    let zone = if random.u8(..4) == 0 { 60_000_000 } else { 0 };
    (steps, Setting { page: random.usize(1..6), shows_starts: random.bool(), zone })
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
