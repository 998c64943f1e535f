//! One pass of a bulk load: all rows of a table as they are now. Consumers know where it begins and ends by headers
//! of its first and last record, also where it is too large for one transaction. Batches come in, marked ones go
//! out one step later, because only the next one tells whether there is a next one.

use crate::model::{EncodedBatch, Instant, Joins};
use crate::status::now_millis;

/// The header of a pass's first record; its value is the pass's id.
const BEGIN: &str = "rowtide.bulk.begin";
/// The header of a pass's last record; its value is the pass's id.
const END: &str = "rowtide.bulk.end";
/// Also on the last record: how many the pass has.
const ROWS: &str = "rowtide.bulk.rows";

/// A pass that is under way.
pub(super) struct Pass {
    /// When it began: later passes have greater ids.
    id: String,
    rows: usize,
    held: Option<EncodedBatch>,
}

impl Default for Pass {
    fn default() -> Self {
        Self { id: Instant::from_millis(now_millis()).to_rfc3339(), rows: 0, held: None }
    }
}

impl Pass {
    /// Takes a batch behind which more may come; gives the one before it.
    pub(super) fn add(&mut self, mut batch: EncodedBatch) -> Option<EncodedBatch> {
        (batch.joins, batch.exhausted) = (Joins::Should, false);
        if batch.is_empty() {
            // Nothing to mark, only rows that were left out.
            return Some(batch);
        }
        if self.rows == 0 {
            batch.add_header(0, BEGIN, self.id.as_str());
        }
        self.rows += batch.len();
        self.held.replace(batch)
    }

    /// The held batch, marked as the end.
    pub(super) fn end(self) -> Option<EncodedBatch> {
        let mut last = self.held?;
        let at = last.len().saturating_sub(1);
        last.add_header(at, END, self.id);
        last.add_header(at, ROWS, self.rows.to_string());
        last.joins = Joins::Free;
        last.exhausted = true;
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize) -> EncodedBatch {
        let mut batch = EncodedBatch::new("t".into(), "t".into(), records, 1);
        for _ in 0..records {
            batch.push(None::<fn(&mut Vec<u8>) -> Result<(), ()>>, |_| Ok(())).unwrap();
        }
        batch
    }

    fn marks(batch: &EncodedBatch) -> Vec<(usize, &'static str)> {
        batch.headers().iter().map(|header| (header.record, header.name)).collect()
    }

    #[test]
    fn the_first_and_the_last_record_of_a_pass_are_marked_wherever_its_batches_end() {
        let mut pass = Pass::default();
        assert!(pass.add(batch(3)).is_none(), "it may be the last");
        let left_out = pass.add(batch(0)).unwrap();
        assert_eq!((left_out.len(), left_out.joins), (0, Joins::Should));
        let first = pass.add(batch(2)).unwrap();
        assert_eq!((marks(&first), first.joins, first.exhausted), (vec![(0, BEGIN)], Joins::Should, false));
        let last = pass.end().unwrap();
        assert_eq!((marks(&last), last.joins, last.exhausted), (vec![(1, END), (1, ROWS)], Joins::Free, true));
        assert_eq!(last.headers()[1].value, "5");
        let mut alone = Pass::default();
        assert!(alone.add(batch(1)).is_none());
        assert_eq!(marks(&alone.end().unwrap()), [(0, BEGIN), (0, END), (0, ROWS)]);
        assert!(Pass::default().end().is_none());
    }
}
