//! The way `window`, for databases whose rows do not tell their transaction but which show when the oldest open writer
//! began: what was visible between the low edge and the cursor is remembered, and what is not among it is late. Exact,
//! never waits. A row is known by a fingerprint of all that is sent of it.
//!
//! Between two polls this holds: every row at or below the cursor that is below the low edge, or is remembered, has been
//! emitted; every other one at or below the cursor has not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::model::Micros;

/// A statement takes its time a moment before its transaction begins in the engine.
pub const SLACK: Micros = 200_000;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    low: Micros,
    rows: BTreeSet<u64>,
}

/// One poll.
#[derive(Debug)]
pub struct Poll {
    /// Where the window to read begins; it ends with the cursor.
    pub from: Micros,
    /// Rows of the window that are not remembered are late; else there is no memory yet, and they count as emitted.
    emits: bool,
    known: BTreeSet<u64>,
    next: State,
}

impl State {
    /// Begins a poll. `clock` is the database's, and `oldest` the start of its oldest open writer, none if there is
    /// none, both observed before the view was taken. Where writers cannot be seen `oldest` is as far back as rows are
    /// looked for.
    pub fn poll(state: Option<&Self>, clock: Micros, oldest: Option<Micros>) -> Poll {
        let low = oldest.map_or(clock, |oldest| oldest.min(clock)).saturating_sub(SLACK);
        // Nothing that was open at the last poll, and nothing since, can write below the low edge of then.
        let low = state.map_or(low, |state| low.max(state.low));
        Poll {
            from: state.map_or(low, |state| state.low),
            emits: state.is_some(),
            known: state.map(|state| state.rows.clone()).unwrap_or_default(),
            next: State { low, rows: BTreeSet::new() },
        }
    }

    /// The low edge.
    pub fn low(&self) -> Micros {
        self.low
    }

    /// How many rows are remembered.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// `low;` and the fingerprints, 16 digits each.
    pub fn to_text(&self) -> String {
        let mut text = format!("{};", self.low);
        for row in &self.rows {
            // Writing to a String cannot fail.
            let _ = write!(text, "{row:016x}");
        }
        text
    }

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let (low, rows) = text.split_once(';')?;
        let chunks = rows.as_bytes().chunks(16);
        let row = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
            u64::from_str_radix(digits, 16).ok()
        };
        Some(Self { low: low.parse().ok()?, rows: chunks.map(row).collect::<Option<_>>()? })
    }
}

impl Poll {
    /// A row after the cursor, which is emitted.
    pub fn forward(&mut self, time: Micros, row: u64) {
        if time >= self.next.low {
            self.next.rows.insert(row);
        }
    }

    /// A row of the window; whether it is late and to be emitted.
    pub fn in_window(&mut self, time: Micros, row: u64) -> bool {
        self.forward(time, row);
        self.emits && !self.known.contains(&row)
    }

    /// The state once everything is read.
    pub fn finish(self) -> State {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let state = State { low: -5, rows: BTreeSet::from([1, u64::MAX]) };
        assert_eq!(state.to_text(), "-5;0000000000000001ffffffffffffffff");
        assert_eq!(State::from_text(&state.to_text()), Some(state));
        for text in ["", "1", "x;", "1;0", "1;000000000000000g", "1;00000000000000010"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }
}
