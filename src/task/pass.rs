//! Passes of a bulk load: each is all rows of a table as they are now. Consumers know where it begins and ends by headers
//! of its first and last record, also where it is too large for one transaction. Steps come in, marked ones go
//! out one step later, because only the next one tells whether there is a next one.

use super::handoff::{Step, StepEnd};
use crate::model::{Header, Instant};
use crate::status::now_millis;

/// The header of a pass's first record; its value is the pass's id.
const BEGIN: &str = "rowtide.bulk.begin";
/// The header of a pass's last record; its value is the pass's id.
const END: &str = "rowtide.bulk.end";
/// The header with the number of the pass's rows, also on the last record.
const ROWS: &str = "rowtide.bulk.rows";

/// A pass that is under way.
pub(super) struct Pass {
    /// The time it began: later passes have greater ids.
    id: String,
    rows: usize,
    held: Option<Step>,
}

impl Default for Pass {
    fn default() -> Self {
        Self { id: Instant::from_millis(now_millis()).to_rfc3339(), rows: 0, held: None }
    }
}

impl Pass {
    /// Takes a step behind which more may come; gives the one before it.
    pub(super) fn add(&mut self, mut step: Step) -> Option<Step> {
        step.end = StepEnd::InPass;
        if step.rows.is_empty() {
            // Nothing to mark, only rows that were left out.
            return Some(step);
        }
        if self.rows == 0 {
            step.rows.add_header(0, Header::text(BEGIN, self.id.as_str()));
        }
        self.rows += step.rows.len();
        self.held.replace(step)
    }

    /// The held step, marked as the end; none if the pass has no record.
    pub(super) fn end(self) -> Option<Step> {
        let mut last = self.held?;
        let at = last.rows.len().saturating_sub(1);
        last.rows.add_header(at, Header::text(END, self.id));
        last.rows.add_header(at, Header::text(ROWS, self.rows.to_string()));
        last.end = StepEnd::CaughtUp;
        Some(last)
    }
}

/// The number of times that a pass which begins anew each time may run into a time limit that rowtide does not set.
const MOST_BROKEN: u32 = 3;

/// The passes of one table.
#[derive(Default)]
pub(super) struct Passes {
    /// The one that is under way, of a table that is read in pages.
    pub(super) open: Option<Pass>,
    /// True while a pass is under way that cannot be resumed: the table is read in one statement.
    pub(super) in_one: bool,
    /// True if such passes have come to their end until now, and none has broken off since.
    pub(super) have_ended: bool,
    /// The number of times in a row that such a pass ran into a time limit.
    broken: u32,
}

impl Passes {
    /// A pass in one statement begins.
    pub(super) fn begins(&mut self) {
        self.in_one = true;
    }

    /// Notes that the pass has come to its end.
    pub(super) fn ended(&mut self) {
        (self.in_one, self.have_ended, self.broken) = (false, true, 0);
    }

    /// A poll has failed. True if that broke off a pass in one statement.
    pub(super) fn broke_off(&mut self) -> bool {
        let was_in_one = std::mem::take(&mut self.in_one);
        self.have_ended &= !was_in_one;
        was_in_one
    }

    /// A time limit has ended such a pass; an error if that has happened too often, for each begins anew.
    pub(super) fn timed_out(&mut self) -> Option<String> {
        self.broken += 1;
        let is_too_often = self.broken >= MOST_BROKEN;
        is_too_often.then(|| format!("a pass was ended by a time limit {MOST_BROKEN} times, and each begins anew"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EncodedBatch;

    fn step(records: usize) -> Step {
        let mut rows = EncodedBatch::new("t".into(), records, 1);
        for _ in 0..records {
            rows.push(None::<fn(&mut Vec<u8>) -> Result<(), ()>>, Some(|_: &mut Vec<u8>| Ok(()))).unwrap();
        }
        Step { end: StepEnd::More, ..Step::torn("t".into(), rows, None) }
    }

    fn marks(step: &Step) -> Vec<(usize, &str)> {
        step.rows.headers().iter().map(|own| (own.record, &*own.header.name)).collect()
    }

    #[test]
    fn the_first_and_the_last_record_of_a_pass_are_marked_wherever_its_batches_end() {
        let mut pass = Pass::default();
        assert!(pass.add(step(3)).is_none(), "it may be the last");
        let left_out = pass.add(step(0)).unwrap();
        assert_eq!((left_out.rows.len(), left_out.end), (0, StepEnd::InPass));
        let first = pass.add(step(2)).unwrap();
        assert_eq!((marks(&first), first.end), (vec![(0, BEGIN)], StepEnd::InPass));
        let last = pass.end().unwrap();
        assert_eq!((marks(&last), last.end), (vec![(1, END), (1, ROWS)], StepEnd::CaughtUp));
        assert_eq!(last.rows.headers()[1].header, Header::text(ROWS, "5"));
        let mut alone = Pass::default();
        assert!(alone.add(step(1)).is_none());
        assert_eq!(marks(&alone.end().unwrap()), [(0, BEGIN), (0, END), (0, ROWS)]);
        assert!(Pass::default().end().is_none());
    }
}
