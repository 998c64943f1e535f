//! Drives one row stream into one batch: encodes each row as it comes, watches the cursor, and ends the
//! batch where it can be resumed (P10). Knows when to stop by rows and bytes; never talks to Kafka.

use crate::dialect::{Flow, RowSink, RowStream, StreamEnd};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Position, Value};

/// Encodes one row to the end of a buffer; what the convert module's encoders are, without naming them.
pub type EncodeRow<'a> = &'a (dyn Fn(&[Value<'_>], &mut EncodedBatch) -> Result<()> + Sync);

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// How the cursor of the page works.
#[derive(Debug, Clone, Copy)]
pub struct CutRule {
    /// A batch may end after any row; else only where the first cursor value changes.
    pub anywhere: bool,
    /// A row without a cursor value stops the relation; else it is passed over.
    pub null_fails: bool,
}

/// What reading a page gave.
#[derive(Debug)]
pub struct Page {
    /// The rows, encoded; possibly none.
    pub batch: EncodedBatch,
    /// The last row's position; none if no row was kept or the relation has no cursor.
    pub position: Option<Position>,
    /// The last first-cursor-value all rows of which are in the batch or before it.
    pub settled: Option<CursorValue<'static>>,
    /// The result has ended.
    pub ended: bool,
    /// The rows of this one value fill the whole page, and there may be more of them: read it as a tie.
    pub unfinished_tie: Option<CursorValue<'static>>,
}

/// Reads from the stream until the limits, its end, or an error. With a rule that does not cut anywhere
/// rows after the last change of the first cursor value are dropped if the page was cut.
///
/// # Errors
/// Those of the stream and the encoder; `Cursor` for a row without a cursor value.
pub async fn read_page(
    stream: &mut dyn RowStream,
    encode: EncodeRow<'_>,
    rule: CutRule,
    limits: Limits,
    batch: EncodedBatch,
    statement_limit: Option<usize>,
) -> Result<Page> {
    let mut pager = Pager { encode, rule, limits, batch, last: Vec::new(), settled: None, tie_start: 0, seen: 0 };
    let end = stream.next_rows(&mut pager).await?;
    let cut = end == StreamEnd::Paused || statement_limit.is_some_and(|limit| pager.seen >= limit);
    Ok(pager.finish(cut))
}

struct Pager<'a> {
    encode: EncodeRow<'a>,
    rule: CutRule,
    limits: Limits,
    batch: EncodedBatch,
    /// The cursor of the last row.
    last: Vec<CursorValue<'static>>,
    settled: Option<CursorValue<'static>>,
    /// Index in the batch of the first row with the last row's first cursor value.
    tie_start: usize,
    /// Rows handed over, kept or not.
    seen: usize,
}

impl RowSink for Pager<'_> {
    fn row(&mut self, values: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Result<Flow> {
        self.seen += 1;
        if cursor.contains(&CursorValue::Null) {
            if self.rule.null_fails {
                return Err(null_cursor());
            }
            return Ok(Flow::Continue);
        }
        if let (Some(new), Some(last)) = (cursor.first(), self.last.first())
            && new != last
        {
            self.settled = Some(last.clone());
            self.tie_start = self.batch.len();
        }
        (self.encode)(values, &mut self.batch)?;
        remember(&mut self.last, cursor);
        let full = self.batch.len() >= self.limits.rows || self.batch.bytes() >= self.limits.bytes;
        Ok(if full { Flow::Pause } else { Flow::Continue })
    }
}

impl Pager<'_> {
    fn finish(mut self, cut: bool) -> Page {
        let mut unfinished_tie = None;
        let mut position = (!self.last.is_empty()).then_some(Position(self.last));
        if !cut {
            // Nothing follows, so the last value is settled too, as far as this poll can see.
            self.settled = position.as_ref().and_then(|position| position.0.first().cloned()).or(self.settled);
        } else if !self.rule.anywhere {
            unfinished_tie =
                if self.tie_start == 0 { position.as_ref().and_then(|p| p.0.first().cloned()) } else { None };
            self.batch.truncate(self.tie_start);
            position = self.settled.clone().map(|settled| Position(vec![settled]));
        }
        Page { batch: self.batch, position, settled: self.settled, ended: !cut, unfinished_tie }
    }
}

/// Copies a cursor into a buffer, keeping the allocations of its texts.
fn remember(last: &mut Vec<CursorValue<'static>>, cursor: &[CursorValue<'_>]) {
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

/// The error of a row (or a relation) with a NULL cursor.
pub fn null_cursor() -> Error {
    Error::new(ErrorKind::Cursor, "the cursor column holds NULL, so its row can never be polled").advise(
        "fill the column, or set cursor.null=ignore to go on without such rows (as Kafka Connect does in silence)",
    )
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;

    /// Rows of (timestamp, id) handed out as a driver would.
    struct Rows(std::vec::IntoIter<(i64, i64)>, usize);

    impl RowStream for Rows {
        fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
            Box::pin(async move {
                for (time, id) in self.0.by_ref() {
                    let cursor = [CursorValue::Timestamp(time), CursorValue::Integer(id)];
                    if sink.row(&[Value::Integer(id)], &cursor[..self.1])? == Flow::Pause {
                        return Ok(StreamEnd::Paused);
                    }
                }
                Ok(StreamEnd::Exhausted)
            })
        }
    }

    async fn page(times: &[i64], columns: usize, limit: usize, anywhere: bool) -> Page {
        let rows: Vec<_> = times.iter().zip(1..).map(|(time, id)| (*time, id)).collect();
        let mut stream = Rows(rows.into_iter(), columns);
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| -> Result<()> {
            let Value::Integer(id) = values[0] else { panic!("ids only") };
            batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, |out| {
                out.push(id as u8);
                Ok(())
            })
        };
        let rule = CutRule { anywhere, null_fails: true };
        let limits = Limits { rows: limit, bytes: usize::MAX };
        read_page(&mut stream, &encode, rule, limits, EncodedBatch::new("t".into(), "t".into(), 8, 8), Some(limit))
            .await
            .unwrap()
    }

    fn time(micros: i64) -> CursorValue<'static> {
        CursorValue::Timestamp(micros)
    }

    #[tokio::test]
    async fn a_total_order_may_be_cut_inside_a_tie_and_says_what_is_settled() {
        let page = page(&[10, 10, 11, 11, 11], 2, 4, true).await;
        assert_eq!(page.batch.len(), 4);
        assert_eq!(page.position, Some(Position(vec![time(11), CursorValue::Integer(4)])));
        assert_eq!(page.settled, Some(time(10)));
        assert!(!page.ended);
    }

    #[tokio::test]
    async fn an_ended_result_settles_its_last_timestamp() {
        let page = page(&[10, 10, 11], 2, 9, true).await;
        assert_eq!(page.settled, Some(time(11)));
        assert!(page.ended);
    }

    #[tokio::test]
    async fn without_a_key_a_page_ends_between_two_timestamps() {
        let page = page(&[10, 10, 11, 11, 11], 1, 4, false).await;
        assert_eq!(page.batch.records().map(|record| record.value[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(page.position, Some(Position(vec![time(10)])));
        assert_eq!(page.unfinished_tie, None);
    }

    #[tokio::test]
    async fn without_a_key_a_page_of_one_timestamp_asks_for_the_whole_tie() {
        let page = page(&[10, 10, 10, 10], 1, 3, false).await;
        assert_eq!((page.batch.len(), page.position), (0, None));
        assert_eq!(page.unfinished_tie, Some(time(10)));
    }
}
