//! The history of handed out ids, in memory only: a transaction that begins later than a time gets ids beyond those
//! seen before it.

use crate::model::{CursorKind, CursorValue, Micros};

/// The number of observations remembered, to find the id that had been reached at a time.
const OBSERVATIONS: usize = 64;

/// The ids that had been reached at observations.
#[derive(Debug, Clone, Default)]
pub(super) struct IdHistory {
    observed: Vec<(Micros, u64)>,
    /// The greatest that was there when the connection was made.
    pub(super) greatest: Option<u64>,
}

/// An id in the unsigned range, order kept; none of a kind that has no next one.
pub(super) fn number(id: &CursorValue<'_>, kind: CursorKind) -> Option<u64> {
    match (kind, id) {
        (CursorKind::Integer, CursorValue::Integer(id)) => Some((*id as u64) ^ (1 << 63)),
        (CursorKind::Unsigned, CursorValue::Integer(id)) => u64::try_from(*id).ok(),
        (CursorKind::Unsigned, CursorValue::Unsigned(id)) => Some(*id),
        _ => None,
    }
}

/// The id of a [`number`].
pub(super) fn value(number: u64, kind: CursorKind) -> CursorValue<'static> {
    match (kind, i64::try_from(number)) {
        (CursorKind::Unsigned, Ok(number)) => CursorValue::Integer(number),
        (CursorKind::Unsigned, Err(_)) => CursorValue::Unsigned(number),
        _ => CursorValue::Integer((number ^ (1 << 63)) as i64),
    }
}

impl IdHistory {
    /// The history of a new connection.
    pub(super) fn new(greatest: Option<u64>) -> Self {
        Self { observed: Vec::new(), greatest }
    }

    /// The same after an observation at `clock`, with the cursor at an id.
    #[must_use]
    pub(super) fn at(&self, clock: Micros, cursor: Option<u64>) -> Self {
        let mut next = self.clone();
        let Some(reached) = self.greatest.max(cursor) else { return next };
        next.observed.push((clock, reached));
        if next.observed.len() > OBSERVATIONS {
            // For the distant past every second observation is enough.
            let mut index = 0;
            next.observed.retain(|_| {
                index += 1;
                index % 2 == 0 || index > OBSERVATIONS / 2
            });
        }
        next
    }

    /// The greatest id handed out before a time; none is counted that was handed out at the very same time.
    pub(super) fn before(&self, time: Micros) -> Option<u64> {
        self.observed.iter().filter(|(clock, _)| *clock < time).map(|(_, reached)| *reached).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_order_and_come_back() {
        let of = |id| number(&CursorValue::Integer(id), CursorKind::Integer).unwrap();
        for id in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(value(of(id), CursorKind::Integer), CursorValue::Integer(id));
        }
        assert!(of(i64::MIN) == 0 && of(-1) < of(0));
        let of = |id| number(&id, CursorKind::Unsigned);
        assert_eq!(of(CursorValue::Integer(5)), Some(5));
        assert_eq!(of(CursorValue::Unsigned(u64::MAX)), Some(u64::MAX));
        assert_eq!(value(u64::MAX, CursorKind::Unsigned), CursorValue::Unsigned(u64::MAX));
        assert_eq!(value(5, CursorKind::Unsigned), CursorValue::Integer(5));
        assert_eq!(number(&CursorValue::Text("1".into()), CursorKind::Text), None);
    }

    #[test]
    fn what_begins_later_than_a_time_gets_ids_beyond_those_seen_before_it() {
        let mut ids = IdHistory::new(Some(3));
        for clock in 1..=200 {
            ids = ids.at(clock * 10, Some(clock as u64));
        }
        assert_eq!(ids.before(10), None);
        assert_eq!(ids.before(2_001), Some(200));
        let reached = ids.before(1_801).unwrap();
        assert!((170..=180).contains(&reached), "{reached}: recent ones are all known");
    }
}
