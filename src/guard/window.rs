//! The way `window`, for databases whose rows do not tell their transaction but which show since when the oldest open
//! writer is at it: what was visible between the low edge and the cursor is remembered, and what is not among it is late.
//! Neither loses nor repeats, never waits. Where writers cannot be seen the low edge is assumed (`rescan`); where rows
//! cannot be told apart, none above it is read (`hold`).
//!
//! Between two polls this holds: every row at or below the cursor that is below the low edge, or is remembered, has been
//! emitted; every other one at or below the cursor has not.

use super::prints::{Print, Prints};
use crate::model::Micros;

/// How many rows ride in an offset: 64 KiB.
pub const STORED: usize = 4_096;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    low: Micros,
    /// Stands for the columns whose content the prints are of.
    columns: u32,
    /// None if they were too many to be stored.
    rows: Option<Prints>,
}

/// One poll.
#[derive(Debug)]
pub struct Poll {
    /// Where the window to read begins; it ends with the cursor.
    pub from: Micros,
    /// It is not known any more what was emitted of the window: all of it comes again.
    pub repeats: bool,
    /// The clock has stepped back below what is remembered: rows written with such times may be missed.
    pub is_blind: bool,
    /// Rows of the window that are not remembered are late; else there is no memory yet, and they count as emitted.
    emits: bool,
    by_place: bool,
    known: Prints,
    next: State,
}

impl State {
    /// Begins a poll. Nothing open, and nothing that begins later, can write a time below `low`, observed before
    /// anything is read; `stepped_back` is the lowest time the clock has shown since the last poll, if it has stepped
    /// back; `columns` stands for what the rows hold.
    pub fn poll(state: Option<&Self>, low: Micros, stepped_back: Option<Micros>, columns: u32) -> Poll {
        // Nothing that was open at the last poll, and nothing since, can write below the low edge of then.
        let low = state.map_or(low, |state| low.max(state.low));
        let known = state.and_then(|state| state.rows.clone());
        Poll {
            from: state.map_or(low, |state| state.low),
            repeats: state.is_some() && known.is_none(),
            is_blind: state.is_some_and(|state| stepped_back.is_some_and(|lowest| lowest < state.low)),
            emits: state.is_some(),
            by_place: state.is_some_and(|state| state.columns != columns),
            known: known.unwrap_or_default(),
            next: State { low, columns, rows: Some(Prints::default()) },
        }
    }

    /// The low edge.
    pub fn low(&self) -> Micros {
        self.low
    }

    /// How many rows are remembered.
    pub fn count(&self) -> usize {
        self.rows.as_ref().map_or(0, Prints::len)
    }

    /// Whether all that is remembered is stored.
    pub fn fits(&self) -> bool {
        self.count() <= STORED
    }

    /// `low;columns;rows`, or without the rows if they are too many.
    pub fn to_text(&self) -> String {
        match self.rows.as_ref().filter(|_| self.fits()) {
            Some(rows) => format!("{};{:x};{}", self.low, self.columns, rows.to_text()),
            None => format!("{};{:x}", self.low, self.columns),
        }
    }

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut fields = text.split(';');
        let (low, columns) = (fields.next()?.parse().ok()?, u32::from_str_radix(fields.next()?, 16).ok()?);
        let rows = match fields.next() {
            Some(rows) => Some(Prints::from_text(rows)?),
            None => None,
        };
        fields.next().is_none().then_some(Self { low, columns, rows })
    }
}

impl Poll {
    /// The low edge of the next poll: a row at or above it is to be told to [`Poll::forward`].
    pub fn low(&self) -> Micros {
        self.next.low
    }

    /// A row after the cursor, at or above the low edge, which is emitted.
    pub fn forward(&mut self, row: Print) {
        if let Some(rows) = &mut self.next.rows {
            rows.add(row);
        }
    }

    /// What was told of rows after the cursor is not true: they are read anew.
    pub fn forget_forward(&mut self) {
        self.next.rows = Some(Prints::default());
    }

    /// A row of the window; `stays` if it is at or above the low edge. Whether it is late and to be emitted.
    pub fn in_window(&mut self, row: Print, stays: bool) -> bool {
        if stays {
            self.forward(row);
        }
        self.emits && !self.known.take(row, self.by_place)
    }

    /// The state once everything is read.
    pub fn finish(self) -> State {
        self.next
    }

    /// The state if the window is left for another poll; this one began with the low edge of the last.
    pub fn finish_without_window(mut self) -> State {
        if let Some(rows) = &mut self.next.rows {
            rows.extend(self.known);
        }
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(place: u64) -> Print {
        Print { place, content: 7 }
    }

    #[test]
    fn a_state_goes_round_and_nothing_else_is_one() {
        let mut rows = Prints::default();
        rows.add(print(1));
        for state in [
            State { low: -5, columns: 0xab, rows: Some(rows) },
            State { low: 5, columns: 0, rows: Some(Prints::default()) },
            State { low: 5, columns: u32::MAX, rows: None },
        ] {
            assert_eq!(State::from_text(&state.to_text()), Some(state));
        }
        for text in ["", "1", "x;1;", "1;g;", "1;0;x", "1;0;;"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn too_many_rows_are_not_stored_and_come_again() {
        let mut poll = State::poll(None, 0, None, 0);
        (0..=STORED as u64).for_each(|place| poll.forward(print(place)));
        let state = poll.finish();
        assert!(!state.fits());
        let stored = State::from_text(&state.to_text()).unwrap();
        assert!(!State::poll(Some(&state), 5, None, 0).repeats, "they are known as long as the process runs");
        let mut poll = State::poll(Some(&stored), 5, None, 0);
        assert!(poll.repeats && poll.in_window(print(1), true));
    }

    #[test]
    fn other_columns_are_no_other_rows() {
        let mut poll = State::poll(None, 0, None, 1);
        poll.forward(print(1));
        let state = poll.finish();
        let changed = Print { content: 8, ..print(1) };
        assert!(State::poll(Some(&state), 0, None, 1).in_window(changed, true), "the row was written again");
        assert!(!State::poll(Some(&state), 0, None, 2).in_window(changed, true));
    }

    #[test]
    fn a_clock_that_steps_back_below_what_is_remembered_is_told() {
        let state = State::poll(None, 100, None, 0).finish();
        assert!(State::poll(Some(&state), 120, Some(99), 0).is_blind);
        assert!(!State::poll(Some(&state), 120, Some(100), 0).is_blind);
        assert!(!State::poll(None, 120, Some(0), 0).is_blind);
    }
}
