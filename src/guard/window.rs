//! The way `window`, for databases whose rows do not tell their transaction but which show since when the oldest open
//! writer is at it: what was visible between the low edge and the cursor is remembered, and what is not among it is late.
//! Neither loses nor repeats, never waits. More rows than an offset holds are stored as a sketch, from which they are had
//! again with what is there then: [`State::recovered`]. Where writers cannot be seen the low edge is assumed (`rescan`);
//! where rows cannot be told apart, none above it is read (`hold`).
//!
//! Between two polls this holds: every row at or below the cursor that is below the low edge, or is remembered, has been
//! emitted; every other one at or below the cursor has not.

use super::prints::{Print, Prints};
use super::sketch::Sketch;
use crate::model::Micros;

/// How many rows ride in an offset one by one: 64 KiB.
pub const STORED: usize = 4_096;

/// What is kept from poll to poll, and stored with the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    low: Micros,
    /// Stands for the columns whose content the prints are of.
    columns: u32,
    rows: Remembered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Remembered {
    Rows(Prints),
    /// They were too many to be stored one by one.
    Sketch(Sketch),
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
    known: Prints,
    next: Prints,
    low: Micros,
    columns: u32,
    columns_before: u32,
}

impl State {
    /// Begins a poll. Nothing open, and nothing that begins later, can write a time below `low`, observed before
    /// anything is read; `stepped_back` is the lowest time the clock has shown since the last poll, if it has stepped
    /// back; `columns` stands for what the rows hold.
    pub fn poll(state: Option<&Self>, low: Micros, stepped_back: Option<Micros>, columns: u32) -> Poll {
        // Nothing that was open at the last poll, and nothing since, can write below the low edge of then.
        let low = state.map_or(low, |state| low.max(state.low));
        let columns_before = state.map_or(columns, |state| state.columns);
        let known = match state.map(|state| &state.rows) {
            Some(Remembered::Rows(rows)) if columns != columns_before => rows.clone().by_place(),
            Some(Remembered::Rows(rows)) => rows.clone(),
            Some(Remembered::Sketch(_)) | None => Prints::default(),
        };
        Poll {
            from: state.map_or(low, |state| state.low),
            repeats: state.is_some_and(State::is_sketch),
            is_blind: state.is_some_and(|state| stepped_back.is_some_and(|lowest| lowest < state.low)),
            emits: state.is_some(),
            known,
            next: Prints::default(),
            low,
            columns,
            columns_before,
        }
    }

    /// Whether the rows have to be had again, or are not known: [`State::recovered`].
    pub fn is_sketch(&self) -> bool {
        matches!(self.rows, Remembered::Sketch(_))
    }

    /// The state before it was stored: `there` are the rows of the window, from the low edge to the position it was stored
    /// with, as they are now. None if too many have come or gone since, or if they hold other columns.
    pub fn recovered(&self, there: Prints, columns: u32) -> Option<Self> {
        let rows = match &self.rows {
            Remembered::Rows(rows) => rows.clone(),
            Remembered::Sketch(_) if columns != self.columns => return None,
            Remembered::Sketch(sketch) => sketch.clone().among(there)?,
        };
        Some(Self { low: self.low, columns, rows: Remembered::Rows(rows) })
    }

    /// The low edge.
    pub fn low(&self) -> Micros {
        self.low
    }

    /// How many rows are remembered.
    pub fn count(&self) -> usize {
        match &self.rows {
            Remembered::Rows(rows) => rows.len(),
            Remembered::Sketch(_) => 0,
        }
    }

    /// `low;columns;rows`, or `low;columns;;sketch` if they are too many.
    pub fn to_text(&self) -> String {
        self.to_text_of(STORED)
    }

    /// The same with a sketch if they are more than `most`.
    pub(super) fn to_text_of(&self, most: usize) -> String {
        let (low, columns) = (self.low, self.columns);
        let sketch = match &self.rows {
            Remembered::Rows(rows) if rows.len() <= most => return format!("{low};{columns:x};{}", rows.to_text()),
            Remembered::Rows(rows) => &Sketch::of(rows),
            Remembered::Sketch(sketch) => sketch,
        };
        format!("{low};{columns:x};;{}", sketch.to_text())
    }

    /// Reads [`State::to_text`] back; none if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(';').collect();
        let (low, columns, rows) = match fields[..] {
            [low, columns, rows] => (low, columns, Remembered::Rows(Prints::from_text(rows)?)),
            [low, columns, "", sketch] => (low, columns, Remembered::Sketch(Sketch::from_text(sketch)?)),
            _ => return None,
        };
        Some(Self { low: low.parse().ok()?, columns: u32::from_str_radix(columns, 16).ok()?, rows })
    }
}

impl Poll {
    /// The low edge of the next poll: a row at or above it is to be told to [`Poll::forward`].
    pub fn low(&self) -> Micros {
        self.low
    }

    /// A row after the cursor, at or above the low edge, which is emitted.
    pub fn forward(&mut self, row: Print) {
        self.next.add(row);
    }

    /// A row of the window; `stays` if it is at or above the low edge. Whether it is late and to be emitted.
    pub fn in_window(&mut self, row: Print, stays: bool) -> bool {
        if stays {
            self.forward(row);
        }
        let row = if self.columns == self.columns_before { row } else { row.by_place() };
        self.emits && !self.known.take(row)
    }

    /// The state once everything is read.
    pub fn finish(self) -> State {
        State { low: self.low, columns: self.columns, rows: Remembered::Rows(self.next) }
    }

    /// The state if the window is left for another poll; this one began with the low edge of the last.
    pub fn finish_without_window(mut self) -> State {
        self.next.extend(std::mem::take(&mut self.known));
        // What is known of rows is still as of the columns before.
        self.columns = self.columns_before;
        self.finish()
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
        for rows in [Remembered::Sketch(Sketch::of(&rows)), Remembered::Rows(rows), Remembered::Rows(Prints::default())]
        {
            let state = State { low: -5, columns: u32::MAX, rows };
            assert_eq!(State::from_text(&state.to_text()), Some(state));
        }
        for text in ["", "1", "1;1", "x;1;", "1;g;", "1;0;x", "1;0;;", "1;0;;;"] {
            assert_eq!(State::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn too_many_rows_are_stored_as_a_sketch_and_known_again() {
        let mut poll = State::poll(None, 0, None, 0);
        (0..=STORED as u64).for_each(|place| poll.forward(print(place)));
        let state = poll.finish();
        assert!(!State::poll(Some(&state), 5, None, 0).repeats, "they are known as long as the process runs");
        let stored = State::from_text(&state.to_text()).unwrap();
        assert!(stored.is_sketch());
        let mut there = Prints::default();
        (5..=STORED as u64 + 3).for_each(|place| there.add(print(place)));
        let mut poll = State::poll(stored.recovered(there.clone(), 0).as_ref(), 5, None, 0);
        let late = |poll: &mut Poll, place| poll.in_window(print(place), true);
        assert!(!poll.repeats && !late(&mut poll, STORED as u64) && late(&mut poll, STORED as u64 + 1));

        assert_eq!(stored.recovered(Prints::default(), 0), None, "too many have gone");
        assert_eq!(stored.recovered(there, 1), None, "rows of other columns do not look the same");
        let mut poll = State::poll(Some(&stored), 5, None, 0);
        assert!(poll.repeats && late(&mut poll, 1));
    }

    #[test]
    fn other_columns_are_no_other_rows() {
        let mut poll = State::poll(None, 0, None, 1);
        poll.forward(print(1));
        let state = poll.finish();
        let changed = Print { content: 8, ..print(1) };
        assert!(State::poll(Some(&state), 0, None, 1).in_window(changed, true), "the row was written again");
        assert!(!State::poll(Some(&state), 0, None, 2).in_window(changed, true));
        let left = State::poll(Some(&state), 0, None, 2).finish_without_window();
        assert!(!State::poll(Some(&left), 0, None, 2).in_window(changed, true), "also if the window was left once");
    }

    #[test]
    fn a_clock_that_steps_back_below_what_is_remembered_is_told() {
        let state = State::poll(None, 100, None, 0).finish();
        assert!(State::poll(Some(&state), 120, Some(99), 0).is_blind);
        assert!(!State::poll(Some(&state), 120, Some(100), 0).is_blind);
        assert!(!State::poll(None, 120, Some(0), 0).is_blind);
    }
}
