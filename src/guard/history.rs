//! The way `snapshot` of databases that can be read as of a time in the past: late rows are those of the window as of now
//! that were not in it as of the last poll. Both are exact views, so nothing is guessed and nothing remembered but the
//! time.

use super::prints::{Print, Prints};
use crate::model::Micros;

/// A statement takes its time a moment before its transaction can be seen, and clocks of several nodes differ.
pub const SLACK: Micros = 1_000_000;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    as_of: Micros,
    /// Where the window begins: a time, or an id.
    low: i128,
}

/// One poll.
#[derive(Debug)]
pub struct Poll {
    /// What the window was at this time is to be known first, where the database still knows it.
    pub before: Option<Micros>,
    /// Where the window begins; it ends with the cursor.
    pub from: i128,
    /// The time before is forgotten: rows of the window may be repeated.
    pub repeats: bool,
    is_first: bool,
    known: Prints,
    low: i128,
}

impl State {
    /// Begins a poll. No row can come any more below `low`; `horizon` is the earliest time the database still knows.
    pub fn poll(state: Option<Self>, low: i128, horizon: Micros) -> Poll {
        let before = state.map(|state| state.as_of).filter(|before| *before >= horizon);
        // Nothing that was open at the last poll, and nothing since, can write below the low edge of then.
        let low = state.map_or(low, |state| low.max(state.low));
        Poll {
            before,
            from: state.map_or(low, |state| state.low),
            repeats: state.is_some() && before.is_none(),
            is_first: state.is_none(),
            known: Prints::default(),
            low,
        }
    }

    /// The time everything was read as of.
    pub fn as_of(self) -> Micros {
        self.as_of
    }

    /// Where the window begins.
    pub fn low(self) -> i128 {
        self.low
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
    pub fn was_there(&mut self, row: Print) {
        self.known.add(row);
    }

    /// The database has forgotten the time before after all.
    pub fn is_forgotten(&mut self) {
        self.repeats |= self.before.take().is_some();
        self.known = Prints::default();
    }

    /// Whether a row of the window as of now is late and to be emitted.
    pub fn is_late(&mut self, row: Print) -> bool {
        !self.is_first && !self.known.take(row)
    }

    /// The state once everything is read as of a time.
    pub fn finish(self, as_of: Micros) -> State {
        State { as_of, low: self.low }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_the_database_has_forgotten_repeats_rows_and_says_so() {
        let (state, row) = (State::from_text("500;400").unwrap(), Print { place: 1, content: 0 });
        assert_eq!(state.to_text(), "500;400");
        let known = State::poll(Some(state), 800, 500);
        assert_eq!((known.before, known.repeats, known.from), (Some(500), false, 400));
        let mut forgotten = State::poll(Some(state), 800, 501);
        assert_eq!((forgotten.before, forgotten.repeats), (None, true));
        assert!(forgotten.is_late(row));
        let mut refused = State::poll(Some(state), 800, 500);
        refused.was_there(row);
        refused.is_forgotten();
        assert!(refused.repeats && refused.is_late(row));
        assert!(!State::poll(None, 800, 0).is_late(row), "what is there at first counts as emitted");
        for text in ["", "1", "1;", "1;2;3"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }
}
