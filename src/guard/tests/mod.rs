//! The deterministic model: a database with snapshots, subtransactions and prepared transactions, a poller that drives
//! the state machines as `task` does, and random schedules of both, shrunk when one fails.

mod snapshot;
mod store;

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
