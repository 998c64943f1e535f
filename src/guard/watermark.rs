//! The low watermark: no transaction that was open at the last observation, and none that began later, can still write
//! a time below it that the server assigned. Takes the open transactions of each observation of a database, gives a
//! lower bound for the start of each: the database time of the last observation at which it was *not* there. Serves all
//! tables of a connection. Lives as long as the connection: another server may use the same names for other
//! transactions.

use std::collections::HashMap;

use crate::model::{Micros, OpenTransactions};

/// The most by which the clock may step back between two observations and count as steady; less than every slack.
const STEADY: Micros = 200_000;
/// The number of steps back of the clock that are remembered; a table polled less often gets the lowest of them.
const JUMPS: usize = 16;

/// An observation of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// The open transactions.
    pub open: OpenTransactions,
    /// The time passed since the last observation, at least and at most, by a clock that only goes forward.
    pub passed: (Micros, Micros),
}

/// The low watermark as of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowWatermark {
    /// Counts the observations of this connection, from 1.
    pub number: u64,
    /// The database's clock then.
    pub clock: Micros,
    /// The least known start of the open transactions, and of all that came later.
    pub known: Micros,
    /// True if something was open that may have begun at any time before the first observation.
    pub has_unknown: bool,
    /// The oldest open transaction: its start at the latest, and its holder.
    pub oldest: Option<(Micros, Option<String>)>,
}

/// Tracker of the open transactions of a database.
#[derive(Debug, Default)]
pub struct WatermarkTracker {
    number: u64,
    clock: Option<Micros>,
    /// Lower bounds of the transactions' starts; none where it is not known.
    open: HashMap<String, Option<Micros>>,
    /// Steps back of the clock: at which observation, and the lowest time it may have shown since the one before.
    jumps: Vec<(u64, Micros)>,
}

impl WatermarkTracker {
    /// Takes in an observation.
    pub fn observe(&mut self, seen: &Observation) -> LowWatermark {
        if seen.open.is_stale {
            return self.unchanged(seen.open.clock);
        }
        self.number += 1;
        let stepped_back = self.clock.and_then(|last| self.step_back(last, seen));
        let lowest = stepped_back.unwrap_or(Micros::MAX);
        // A transaction that began between two observations took a time not below the earlier one, unless the clock
        // stepped back; then the open ones may write earlier times, too.
        let newcomer = self.clock.map(|last| last.min(lowest));
        let mut open = HashMap::new();
        for session in &seen.open.sessions {
            let before = self.open.get(&session.name).copied();
            let bound = match (before.flatten(), session.began) {
                (Some(before), Some(began)) => Some(before.min(began)),
                (Some(bound), None) | (None, Some(bound)) => Some(bound),
                (None, None) if before.is_some() => None,
                (None, None) => newcomer,
            };
            open.insert(session.name.clone(), bound.map(|bound| bound.min(lowest)));
        }
        // A prepared transaction has left its session.
        let vanished = self.open.iter().filter(|(name, _)| !open.contains_key(*name)).map(|(_, bound)| *bound);
        let of_prepared = vanished.fold(newcomer, |least, bound| Some(least?.min(bound?)));
        for prepared in &seen.open.prepared {
            let bound = self.open.get(&prepared.name).copied().unwrap_or(of_prepared);
            open.insert(prepared.name.clone(), bound);
        }
        self.open = open;
        self.clock = Some(seen.open.clock);
        let known = self.open.values().flatten().fold(seen.open.clock, |least, bound| least.min(*bound));
        let has_unknown = self.open.values().any(Option::is_none);
        let all = seen.open.sessions.iter().chain(&seen.open.prepared);
        let bounded = all.map(|one| (self.open[&one.name].unwrap_or(Micros::MIN), one.holder.clone()));
        let oldest = bounded.min_by_key(|(bound, _)| *bound);
        LowWatermark { number: self.number, clock: seen.open.clock, known, has_unknown, oldest }
    }

    /// The watermark after an observation that saw nothing: the one before still stands, for transactions that began
    /// since began later.
    fn unchanged(&self, clock: Micros) -> LowWatermark {
        let known = self.open.values().flatten().fold(self.clock.unwrap_or(clock), |least, bound| least.min(*bound));
        let has_unknown = self.clock.is_none() || self.open.values().any(Option::is_none);
        LowWatermark { number: self.number, clock, known, has_unknown, oldest: None }
    }

    /// The lowest time the clock may have shown since the last observation, if it has stepped back.
    fn step_back(&mut self, last: Micros, seen: &Observation) -> Option<Micros> {
        let (at_least, at_most) = seen.passed;
        if seen.open.clock.saturating_sub(last) >= at_least.saturating_sub(STEADY) {
            return None;
        }
        let lowest = last.min(seen.open.clock.saturating_sub(at_most));
        self.jumps.push((self.number, lowest));
        if self.jumps.len() > JUMPS {
            let (_, forgotten) = self.jumps.remove(0);
            self.jumps[0].1 = self.jumps[0].1.min(forgotten);
        }
        Some(lowest)
    }

    /// The lowest time a transaction can have taken that began after observation `number`, where the clock has stepped
    /// back since then.
    pub fn stepped_back_since(&self, number: u64) -> Option<Micros> {
        self.jumps.iter().filter(|(at, _)| *at > number).map(|(_, lowest)| *lowest).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OpenTransaction;

    fn open(name: &str) -> OpenTransaction {
        OpenTransaction { name: name.into(), holder: None, began: None }
    }

    fn seen(clock: Micros, sessions: &[&str], prepared: &[&str]) -> Observation {
        let all = |names: &[&str]| names.iter().copied().map(open).collect();
        let open = OpenTransactions { clock, sessions: all(sessions), prepared: all(prepared), is_stale: false };
        Observation { open, passed: (0, 0) }
    }

    #[test]
    fn a_transaction_began_after_the_last_time_it_was_not_there() {
        let mut edge = WatermarkTracker::default();
        let low = edge.observe(&seen(100, &["a"], &[]));
        assert!(low.has_unknown, "it may have been open for long");
        assert_eq!(edge.observe(&seen(200, &["a", "b"], &[])).known, 100);
        let low = edge.observe(&seen(300, &["b"], &[]));
        assert_eq!((low.known, low.has_unknown), (100, false));
        assert_eq!(edge.observe(&seen(400, &["c"], &[])).known, 300);
        assert_eq!(edge.observe(&seen(500, &[], &[])).known, 500);
    }

    #[test]
    fn a_prepared_transaction_is_as_old_as_the_oldest_that_has_vanished() {
        let mut edge = WatermarkTracker::default();
        edge.observe(&seen(100, &[], &[]));
        edge.observe(&seen(200, &["a"], &[]));
        edge.observe(&seen(300, &["a", "b"], &[]));
        assert_eq!(edge.observe(&seen(400, &["b"], &["p"])).known, 100, "a began after 100");
        assert_eq!(edge.observe(&seen(500, &[], &["p"])).known, 100, "it stays");
        assert_eq!(edge.observe(&seen(600, &[], &["q"])).known, 100, "b or p may be q");
        assert!(WatermarkTracker::default().observe(&seen(100, &[], &["p"])).has_unknown);
    }

    #[test]
    fn a_start_that_may_be_seen_counts() {
        let mut edge = WatermarkTracker::default();
        let mut first = seen(100, &["a"], &[]);
        first.open.sessions[0].began = Some(40);
        let low = edge.observe(&first);
        assert_eq!((low.known, low.has_unknown, low.oldest), (40, false, Some((40, None))));
    }

    #[test]
    fn where_nothing_can_be_seen_what_was_known_stands() {
        let mut edge = WatermarkTracker::default();
        let mut stale = seen(100, &[], &[]);
        stale.open.is_stale = true;
        assert!(edge.observe(&stale).has_unknown, "anything may be open");
        edge.observe(&seen(200, &[], &[]));
        edge.observe(&seen(300, &["a"], &[]));
        let low = edge.observe(&stale);
        assert_eq!((low.known, low.has_unknown, low.number), (200, false, 2));
        assert_eq!(edge.observe(&seen(500, &[], &[])).known, 500);
    }

    #[test]
    fn a_clock_that_steps_back_lowers_what_began_since() {
        let mut edge = WatermarkTracker::default();
        edge.observe(&seen(10_000_000, &[], &[]));
        let mut second = seen(6_000_000, &["a"], &[]);
        second.passed = (900_000, 1_000_000);
        assert_eq!(edge.observe(&second).known, 5_000_000);
        assert_eq!(edge.stepped_back_since(1), Some(5_000_000));
        assert_eq!(edge.stepped_back_since(2), None);
    }
}
