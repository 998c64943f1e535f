//! The sink that makes a batch of a result's rows. It takes each row once, encodes it at once, and compares its cursor with
//! those before it, so that the batch can be cut between two cursors.

use std::cmp::Ordering;

use super::page::{CutRule, EncodeRow, LeftOut, Limits, Page};
use crate::dialect::{Flow, Row, RowSink, Undeliverable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Position, Sample, Value};

/// The number of rows at the beginning of a batch that are noted ([`Page::samples`]); of those behind them only that
/// part.
const SAMPLED: usize = 16;

/// The last sink of a page: encodes rows, and finds where the batch may end.
pub(super) struct Pager<'a> {
    encode: EncodeRow<'a>,
    rule: CutRule<'a>,
    limits: Limits,
    batch: EncodedBatch,
    left_out: Vec<LeftOut>,
    /// Bytes of their texts.
    left_out_bytes: usize,
    /// The cursor of the last row.
    last: Vec<CursorValue<'static>>,
    /// The cursor of the first row which may share it, and the place of that row in the batch and among the rows left
    /// out.
    first: Vec<CursorValue<'static>>,
    tie_start: (usize, usize),
    /// The cursor of the row before it; empty if there is none.
    before: Vec<CursorValue<'static>>,
    settled: Vec<CursorValue<'static>>,
    /// The place that the row being read would get.
    entering_at: (usize, usize),
    /// True if the limits are reached: the next row tells where the page ends.
    is_full: bool,
    /// True if the first row beyond the limits has another cursor than the last one within.
    ends_between: bool,
    /// Rows handed over, kept or not.
    pub(super) seen: usize,
    samples: Vec<Sample>,
    /// The number of records that the batch has with the next sample.
    next_sample: usize,
}

/// The fate of a row before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Taken,
    PassedOver,
    /// A row of the next page.
    Refused,
}

impl RowSink for Pager<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let cursor = match &row {
            Ok(row) => row.cursor,
            Err(row) => row.cursor,
        };
        // What is told beside the cursor's own columns orders nothing.
        let own = self.rule.page.as_ref().map_or(cursor.len(), |page| page.order.0.len());
        let cursor = &cursor[..own.min(cursor.len())];
        match self.enter(cursor)? {
            Entry::Taken => {}
            Entry::PassedOver => return Ok(Flow::Continue),
            Entry::Refused => return Ok(Flow::Pause),
        }
        match row {
            Ok(row) => self.encode(row)?,
            Err(row) => self.leave_out(row)?,
        }
        Ok(self.passed(cursor))
    }
}

impl<'a> Pager<'a> {
    pub(super) fn new(encode: EncodeRow<'a>, rule: CutRule<'a>, limits: Limits, batch: EncodedBatch) -> Self {
        Self {
            samples: Vec::new(),
            next_sample: batch.len() + 1,
            encode,
            rule,
            limits,
            batch,
            left_out: Vec::new(),
            left_out_bytes: 0,
            last: Vec::new(),
            first: Vec::new(),
            tie_start: (0, 0),
            before: Vec::new(),
            settled: Vec::new(),
            entering_at: (0, 0),
            is_full: false,
            ends_between: false,
            seen: 0,
        }
    }

    fn encode(&mut self, row: Row<'_>) -> Result<()> {
        if let Err(error) = (self.encode)(&row, &mut self.batch) {
            return self.leave_out(row.undeliverable(error));
        }
        if self.batch.len() >= self.next_sample {
            self.sample(row.values, row.cursor);
        }
        Ok(())
    }

    /// Leaves a row out where that is allowed.
    #[cold]
    fn leave_out(&mut self, row: Undeliverable<'_>) -> Result<()> {
        let tolerance = self.rule.tolerance;
        let is_tolerated = match row.error.kind() {
            ErrorKind::Value => tolerance.values,
            ErrorKind::RecordTooLarge => tolerance.too_large,
            _ => false,
        };
        if !is_tolerated {
            return Err(row.error);
        }
        let text = tolerance.texts.then(|| row.driver.text());
        let columns = text.iter().flatten();
        self.left_out_bytes += columns.map(|(_, text)| text.as_ref().map_or(0, String::len)).sum::<usize>();
        self.left_out.push(LeftOut { error: row.error, row: text });
        Ok(())
    }

    #[cold]
    fn sample(&mut self, values: &[Value<'_>], cursor: &[CursorValue<'_>]) {
        self.samples.push(Sample::of(self.batch.len(), values, cursor));
        self.next_sample = self.batch.len() + 1 + self.batch.len() / SAMPLED;
    }

    /// Looks at a row's cursor before the row is taken.
    fn enter(&mut self, cursor: &[CursorValue<'_>]) -> Result<Entry> {
        if cursor.contains(&CursorValue::Null) {
            if self.rule.null_fails {
                return Err(null_cursor());
            }
            self.seen += 1;
            return Ok(Entry::PassedOver);
        }
        self.entering_at = (self.batch.len(), self.left_out.len());
        let Some(page) = self.rule.page else { return Ok(Entry::Taken) };
        if self.last.is_empty() {
            if let Some(after) = page.after
                && page.order.compare(cursor, &after.0).is_some_and(Ordering::is_le)
            {
                return Err(out_of_order("the first row of a page does not come after the position it was asked for"));
            }
            return Ok(Entry::Taken);
        }
        if page.order.compare(cursor, &self.last) == Some(Ordering::Less) {
            return Err(out_of_order("the rows of a page do not ascend by the cursor"));
        }
        let told = page.told_len.min(cursor.len());
        if told < cursor.len() && !page.order.is_tie(&self.last[..told], &cursor[..told]) {
            remember(&mut self.settled, &self.last[..told]);
        }
        if self.is_full {
            self.ends_between = !page.order.is_tie(&self.first, cursor);
            return Ok(Entry::Refused);
        }
        Ok(Entry::Taken)
    }

    /// A row was taken, encoded or left out.
    fn passed(&mut self, cursor: &[CursorValue<'_>]) -> Flow {
        self.seen += 1;
        if let Some(page) = self.rule.page {
            if self.last.is_empty() || !page.order.is_tie(&self.first, cursor) {
                std::mem::swap(&mut self.before, &mut self.last);
                remember(&mut self.first, cursor);
                self.tie_start = self.entering_at;
            }
            remember(&mut self.last, cursor);
        }
        let rows = self.batch.len() + self.left_out.len();
        let bytes = self.batch.bytes() + self.left_out_bytes;
        self.is_full = rows >= self.limits.rows || bytes >= self.limits.bytes;
        if self.is_full && self.rule.page.is_none() { Flow::Pause } else { Flow::Continue }
    }

    pub(super) fn finish(mut self, cut: bool) -> Page {
        let told = self.rule.page.map_or(0, |page| page.told_len).min(self.last.len());
        let is_told = told == self.last.len();
        let mut unfinished_tie = None;
        if !cut {
            // Nothing follows, so the last value is settled too, as far as this poll can see.
            remember(&mut self.settled, &self.last[..told]);
        } else if self.rule.page.is_some() && !self.ends_between {
            self.batch.truncate(self.tie_start.0);
            self.left_out.truncate(self.tie_start.1);
            if self.before.is_empty() && !self.first.is_empty() {
                unfinished_tie = Some(Position(self.first));
            }
            self.last = self.before;
        }
        self.samples.retain(|sample| sample.records <= self.batch.len());
        Page {
            samples: self.samples,
            batch: self.batch,
            left_out: self.left_out,
            position: (!self.last.is_empty()).then_some(Position(self.last)),
            settled: (!is_told && !self.settled.is_empty()).then_some(self.settled),
            ended: !cut,
            unfinished_tie,
        }
    }
}

/// Copies a cursor into a buffer, keeping the allocations of its texts.
pub(crate) fn remember(last: &mut Vec<CursorValue<'static>>, cursor: &[CursorValue<'_>]) {
    if last.len() != cursor.len() {
        *last = cursor.iter().map(|value| value.clone().into_owned()).collect();
        return;
    }
    for (slot, value) in last.iter_mut().zip(cursor) {
        match (&mut *slot, value) {
            (CursorValue::Text(kept), CursorValue::Text(text)) => {
                let kept = kept.to_mut();
                kept.clear();
                kept.push_str(text);
            }
            (_, value) => *slot = value.clone().into_owned(),
        }
    }
}

/// The error of rows that the database gave in another order than asked for: going on would lose rows or repeat them.
fn out_of_order(what: &str) -> Error {
    Error::new(ErrorKind::Cursor, what).advise(
        "remove the clause that changes the order of the statement (in query.suffix, or in the query itself); if there \
         is none, please report it with the types of the cursor columns: nothing was read past it",
    )
}

/// The error of a row with a NULL cursor.
fn null_cursor() -> Error {
    Error::new(ErrorKind::Cursor, "the cursor column holds NULL, so its row can never be polled")
        .advise("fill the column, or set cursor.null=ignore to go on without such rows (as Kafka Connect does)")
}
