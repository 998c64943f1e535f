//! Drives one row stream into one batch: encodes each row as it comes, watches the cursor, and ends the
//! batch where it can be resumed (P10). A row that cannot be encoded may be left out, if it is told so; the page
//! goes on behind it. Knows when to stop by rows and bytes; never talks to Kafka.

use crate::dialect::{Flow, RowSink, RowStream, StreamEnd};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Position, RowText, Value};

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
    /// Which rows are left out instead of stopping the relation.
    pub tolerance: Tolerance,
}

/// Which rows are left out of a page instead of stopping it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tolerance {
    /// Those with a value that cannot be represented.
    pub values: bool,
    /// Those whose record is too large.
    pub too_large: bool,
    /// The text of such a row is wanted.
    pub texts: bool,
}

/// A row that was left out.
#[derive(Debug)]
pub struct LeftOut {
    /// Why.
    pub error: Error,
    /// The row, if its text is wanted.
    pub row: Option<RowText>,
}

impl LeftOut {
    /// A value does not fit the schema that was described.
    pub fn is_misfit(&self) -> bool {
        self.error.kind() == ErrorKind::Value
    }
}

/// What reading a page gave.
#[derive(Debug)]
pub struct Page {
    /// The rows, encoded; possibly none.
    pub batch: EncodedBatch,
    /// The rows that were left out, which the position is behind of, too.
    pub left_out: Vec<LeftOut>,
    /// The last row's position; none if there was no row or the relation has no cursor.
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
    let mut pager = Pager::new(encode, rule, limits, batch);
    let end = stream.next_rows(&mut pager).await?;
    let cut = end == StreamEnd::Paused || statement_limit.is_some_and(|limit| pager.seen >= limit);
    Ok(pager.finish(cut))
}

struct Pager<'a> {
    encode: EncodeRow<'a>,
    rule: CutRule,
    limits: Limits,
    batch: EncodedBatch,
    left_out: Vec<LeftOut>,
    /// Bytes of their texts.
    left_out_bytes: usize,
    /// The cursor of the last row.
    last: Vec<CursorValue<'static>>,
    settled: Option<CursorValue<'static>>,
    /// Index in the batch, and in the rows left out, of the first row with the last row's first cursor value.
    tie_start: (usize, usize),
    /// Rows handed over, kept or not.
    seen: usize,
}

impl RowSink for Pager<'_> {
    fn row(&mut self, values: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Result<Flow> {
        if !self.enter(cursor)? {
            return Ok(Flow::Continue);
        }
        (self.encode)(values, &mut self.batch)?;
        Ok(self.passed(cursor))
    }

    fn left_out(&mut self, error: Error, cursor: &[CursorValue<'_>], text: &dyn Fn() -> RowText) -> Result<Flow> {
        let tolerance = self.rule.tolerance;
        let is_tolerated = match error.kind() {
            ErrorKind::Value => tolerance.values,
            ErrorKind::RecordTooLarge => tolerance.too_large,
            _ => false,
        };
        if !is_tolerated {
            return Err(error);
        }
        if !self.enter(cursor)? {
            return Ok(Flow::Continue);
        }
        let row = tolerance.texts.then(text);
        let columns = row.iter().flatten();
        self.left_out_bytes += columns.map(|(_, text)| text.as_ref().map_or(0, String::len)).sum::<usize>();
        self.left_out.push(LeftOut { error, row });
        Ok(self.passed(cursor))
    }
}

impl<'a> Pager<'a> {
    fn new(encode: EncodeRow<'a>, rule: CutRule, limits: Limits, batch: EncodedBatch) -> Self {
        Self {
            encode,
            rule,
            limits,
            batch,
            left_out: Vec::new(),
            left_out_bytes: 0,
            last: Vec::new(),
            settled: None,
            tie_start: (0, 0),
            seen: 0,
        }
    }

    /// Looks at a row's cursor before the row is taken; entering the same row twice changes nothing. False if
    /// the row is passed over.
    fn enter(&mut self, cursor: &[CursorValue<'_>]) -> Result<bool> {
        if cursor.contains(&CursorValue::Null) {
            if self.rule.null_fails {
                return Err(null_cursor());
            }
            self.seen += 1;
            return Ok(false);
        }
        if let (Some(new), Some(last)) = (cursor.first(), self.last.first())
            && new != last
        {
            self.settled = Some(last.clone());
            self.tie_start = (self.batch.len(), self.left_out.len());
        }
        Ok(true)
    }

    /// A row was taken, encoded or left out.
    fn passed(&mut self, cursor: &[CursorValue<'_>]) -> Flow {
        self.seen += 1;
        remember(&mut self.last, cursor);
        let rows = self.batch.len() + self.left_out.len();
        let bytes = self.batch.bytes() + self.left_out_bytes;
        if rows >= self.limits.rows || bytes >= self.limits.bytes { Flow::Pause } else { Flow::Continue }
    }

    fn finish(mut self, cut: bool) -> Page {
        let mut unfinished_tie = None;
        let mut position = (!self.last.is_empty()).then_some(Position(self.last));
        if !cut {
            // Nothing follows, so the last value is settled too, as far as this poll can see.
            self.settled = position.as_ref().and_then(|position| position.0.first().cloned()).or(self.settled);
        } else if !self.rule.anywhere {
            unfinished_tie =
                if self.settled.is_none() { position.as_ref().and_then(|p| p.0.first().cloned()) } else { None };
            self.batch.truncate(self.tie_start.0);
            self.left_out.truncate(self.tie_start.1);
            position = self.settled.clone().map(|settled| Position(vec![settled]));
        }
        Page {
            batch: self.batch,
            left_out: self.left_out,
            position,
            settled: self.settled,
            ended: !cut,
            unfinished_tie,
        }
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
                    let text = || vec![("id".to_owned(), Some(id.to_string()))];
                    let flow = sink
                        .row(&[Value::Integer(id)], &cursor[..self.1])
                        .or_else(|error| sink.left_out(error, &cursor[..self.1], &text))?;
                    if flow == Flow::Pause {
                        return Ok(StreamEnd::Paused);
                    }
                }
                Ok(StreamEnd::Exhausted)
            })
        }
    }

    async fn page(times: &[i64], columns: usize, limit: usize, anywhere: bool) -> Page {
        page_without(&[], times, columns, limit, anywhere).await.unwrap()
    }

    /// The rows with the ids of `poison` cannot be encoded.
    async fn page_without(poison: &[i64], times: &[i64], columns: usize, limit: usize, anywhere: bool) -> Result<Page> {
        let rows: Vec<_> = times.iter().zip(1..).map(|(time, id)| (*time, id)).collect();
        let mut stream = Rows(rows.into_iter(), columns);
        let encode = |values: &[Value<'_>], batch: &mut EncodedBatch| -> Result<()> {
            let Value::Integer(id) = values[0] else { panic!("ids only") };
            if poison.contains(&id) {
                return Err(Error::new(ErrorKind::Value, "poison"));
            }
            batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, |out| {
                out.push(id as u8);
                Ok(())
            })
        };
        let tolerance = Tolerance { values: !poison.is_empty(), texts: true, ..Tolerance::default() };
        let rule = CutRule { anywhere, null_fails: true, tolerance };
        let limits = Limits { rows: limit, bytes: usize::MAX };
        read_page(&mut stream, &encode, rule, limits, EncodedBatch::new("t".into(), "t".into(), 8, 8), Some(limit))
            .await
    }

    fn ids(page: &Page) -> (Vec<u8>, Vec<String>) {
        let left_out = page.left_out.iter().map(|row| row.row.as_ref().unwrap()[0].1.clone().unwrap());
        (page.batch.records().map(|record| record.value[0]).collect(), left_out.collect())
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

    #[tokio::test]
    async fn a_row_left_out_counts_for_the_page_and_its_position() {
        let page = page_without(&[2, 4], &[10, 10, 11, 11, 11], 2, 4, true).await.unwrap();
        assert_eq!(ids(&page), (vec![1, 3], vec!["2".to_owned(), "4".to_owned()]));
        assert_eq!(page.position, Some(Position(vec![time(11), CursorValue::Integer(4)])));
        assert_eq!((page.settled.clone(), page.ended), (Some(time(10)), false));
        let page = page_without(&[1, 2, 3], &[10, 10, 11], 2, 9, true).await.unwrap();
        assert_eq!((page.batch.len(), page.left_out.len(), page.ended), (0, 3, true));
        assert_eq!(page.position, Some(Position(vec![time(11), CursorValue::Integer(3)])), "E6");
    }

    #[tokio::test]
    async fn without_a_key_rows_left_out_of_a_cut_tie_come_again_with_it() {
        let page = page_without(&[1, 2, 4], &[10, 10, 11, 11, 11], 1, 4, false).await.unwrap();
        assert_eq!(ids(&page), (vec![], vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!((page.position, page.unfinished_tie), (Some(Position(vec![time(10)])), None));
        let page = page_without(&[2, 3], &[10, 10, 10, 10], 1, 3, false).await.unwrap();
        assert_eq!((ids(&page), page.position), ((vec![], vec![]), None));
        assert_eq!(page.unfinished_tie, Some(time(10)));
    }

    #[tokio::test]
    async fn a_row_is_left_out_only_where_that_is_allowed() {
        let rule = CutRule { anywhere: true, null_fails: true, tolerance: Tolerance::default() };
        let encode = |_: &[Value<'_>], _: &mut EncodedBatch| -> Result<()> { Ok(()) };
        let limits = Limits { rows: 9, bytes: usize::MAX };
        for (values, too_large, kind, tolerated) in [
            (false, true, ErrorKind::Value, false),
            (true, false, ErrorKind::Value, true),
            (true, false, ErrorKind::RecordTooLarge, false),
            (false, true, ErrorKind::RecordTooLarge, true),
            (true, true, ErrorKind::Cursor, false),
        ] {
            let rule = CutRule { tolerance: Tolerance { values, too_large, texts: false }, ..rule };
            let mut pager = Pager::new(&encode, rule, limits, EncodedBatch::new("t".into(), "t".into(), 1, 1));
            let text = || panic!("not asked for");
            let outcome = pager.left_out(Error::new(kind, "scripted"), &[time(1)], &text);
            assert_eq!(outcome.is_ok(), tolerated, "{kind:?}");
            assert!(values || pager.left_out(Error::new(kind, "scripted"), &[CursorValue::Null], &text).is_err());
        }
    }
}
