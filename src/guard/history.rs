//! The way `history`, for databases that can be read as of a time in the past: late rows are those of the window as of
//! now that were not in it as of the last poll. Both are exact views, so nothing is guessed and nothing remembered but
//! the time. A row is known by a fingerprint of all that is sent of it.

use std::collections::HashSet;

use crate::model::Micros;

/// A statement takes its time a moment before its transaction can be seen, and clocks of several nodes differ.
pub const SLACK: Micros = 1_000_000;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    as_of: Micros,
    low: Micros,
}

/// One poll: everything is read as of `now`.
#[derive(Debug)]
pub struct Poll {
    /// The window is read as of this time first, where there is one that the database still knows.
    pub before: Option<Micros>,
    /// Where the window begins; it ends with the cursor.
    pub from: Micros,
    /// The time before is forgotten: rows of the window may be repeated.
    pub repeats: bool,
    is_first: bool,
    known: HashSet<u64>,
    next: State,
}

impl State {
    /// Begins a poll as of `now`. `oldest` is the start of the oldest open writer, as far as it is known, observed
    /// before; `horizon` the earliest time the database still knows.
    pub fn poll(state: Option<Self>, now: Micros, oldest: Micros, horizon: Micros) -> Poll {
        let next = State { as_of: now, low: oldest.min(now).saturating_sub(SLACK) };
        let before = state.map(|state| state.as_of).filter(|before| *before >= horizon);
        Poll {
            before,
            from: state.map_or(next.low, |state| state.low),
            repeats: state.is_some() && before.is_none(),
            is_first: state.is_none(),
            known: HashSet::new(),
            next,
        }
    }

    /// `as of;low`.
    pub fn to_text(self) -> String {
        format!("{};{}", self.as_of, self.low)
    }

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let (as_of, low) = text.split_once(';')?;
        Some(Self { as_of: as_of.parse().ok()?, low: low.parse().ok()? })
    }
}

impl Poll {
    /// A row of the window as of the time before.
    pub fn was_there(&mut self, row: u64) {
        self.known.insert(row);
    }

    /// Whether a row of the window as of now is late and to be emitted.
    pub fn is_late(&self, row: u64) -> bool {
        !self.is_first && !self.known.contains(&row)
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
    fn a_time_the_database_has_forgotten_repeats_rows_and_says_so() {
        let state = State::from_text("500;400").unwrap();
        assert_eq!(state.to_text(), "500;400");
        let known = State::poll(Some(state), 900, 800, 500);
        assert_eq!((known.before, known.repeats, known.from), (Some(500), false, 400));
        let forgotten = State::poll(Some(state), 900, 800, 501);
        assert_eq!((forgotten.before, forgotten.repeats), (None, true));
        assert!(forgotten.is_late(1));
        assert!(!State::poll(None, 900, 800, 0).is_late(1), "what is there at first counts as emitted");
        for text in ["", "1", "1;", "1;2;3"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }
}
