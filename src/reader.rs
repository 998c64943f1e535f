//! Drives one row stream into one batch: encodes each row as it comes, watches the cursor, and ends the
//! batch where it can be resumed (P10): between two rows that cannot be told to share a cursor. A row that cannot be
//! encoded may be left out, if it is told so; the page goes on behind it. Knows when to stop by rows and bytes; never
//! talks to Kafka.

use std::cmp::Ordering;

use crate::dialect::{Flow, Row, RowSink, RowStream, StreamEnd, Undeliverable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CursorValue, EncodedBatch, Position, RowText, Sample, TupleOrder, Value};

/// Encodes one row to the end of a buffer; what the convert module's encoders are, without naming them.
pub type EncodeRow<'a> = &'a (dyn Fn(&[Value<'_>], &mut EncodedBatch) -> Result<()> + Sync);

/// So many rows at the beginning of a batch are noted ([`Page::samples`]); of those behind them every so manieth part.
const SAMPLED: usize = 16;

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// How a result is read.
#[derive(Debug, Clone, Copy)]
pub struct CutRule<'a> {
    /// It is a page, behind which reading goes on from a position; else its batches are parts of one whole, which may end
    /// after any row.
    pub page: Option<Ordered<'a>>,
    /// A row without a cursor value stops the relation; else it is passed over.
    pub null_fails: bool,
    /// Which rows are left out instead of stopping the relation.
    pub tolerance: Tolerance,
}

/// The order a page is in.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'a> {
    /// How the values of its cursor compare.
    pub order: &'a TupleOrder,
    /// All its rows come after this position.
    pub after: Option<&'a Position>,
    /// How many values of the cursor make [`Page::settled`].
    pub told_len: usize,
    /// The result may end by itself between rows that share a cursor.
    pub is_cut_blindly: bool,
}

impl CutRule<'_> {
    /// The same for a result whose batches are parts of one whole.
    pub fn whole(self) -> CutRule<'static> {
        CutRule { page: None, null_fails: self.null_fails, tolerance: self.tolerance }
    }
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
    /// The first cursor values of the last rows all of whose like are in the batch or before it.
    pub settled: Option<Vec<CursorValue<'static>>>,
    /// The result has ended.
    pub ended: bool,
    /// Rows of this one cursor fill the whole page, and there may be more of them: read them as a tie.
    pub unfinished_tie: Option<Position>,
    /// Some of the rows: the first ones, and fewer and fewer behind them.
    pub samples: Vec<Sample>,
}

/// Reads from the stream until the limits, its end, or an error. A page goes on to the first row beyond the limits: if
/// that one shares the cursor of the row before it, the rows of that cursor are dropped.
///
/// # Errors
/// Those of the stream and the encoder; `Cursor` for a row without a cursor value, or one that is not where it belongs.
pub async fn read_page(
    stream: &mut dyn RowStream,
    encode: EncodeRow<'_>,
    rule: CutRule<'_>,
    limits: Limits,
    batch: EncodedBatch,
    statement_limit: Option<usize>,
) -> Result<Page> {
    let mut pager = Pager::new(encode, rule, limits, batch);
    let end = stream.next_rows(&mut pager).await?;
    let is_cut_blindly = rule.page.is_some_and(|page| page.is_cut_blindly) && pager.seen > 0;
    let cut = end == StreamEnd::Paused || is_cut_blindly || statement_limit.is_some_and(|limit| pager.seen >= limit);
    Ok(pager.finish(cut))
}

struct Pager<'a> {
    encode: EncodeRow<'a>,
    rule: CutRule<'a>,
    limits: Limits,
    batch: EncodedBatch,
    left_out: Vec<LeftOut>,
    /// Bytes of their texts.
    left_out_bytes: usize,
    /// The cursor of the last row.
    last: Vec<CursorValue<'static>>,
    /// That of the first row which may share it, and where this one stands in the batch and among the rows left out.
    first: Vec<CursorValue<'static>>,
    tie_start: (usize, usize),
    /// That of the row before it; empty if there is none.
    before: Vec<CursorValue<'static>>,
    settled: Vec<CursorValue<'static>>,
    /// Where the row that is being read would stand.
    entering_at: (usize, usize),
    /// The limits are reached: the next row tells where the page ends.
    is_full: bool,
    /// The first row beyond the limits has another cursor than the last one within.
    ends_between: bool,
    /// Rows handed over, kept or not.
    seen: usize,
    samples: Vec<Sample>,
    /// The number of records that the batch has with the next sample.
    next_sample: usize,
}

/// What becomes of a row before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Taken,
    PassedOver,
    /// It belongs to the next page.
    Refused,
}

impl RowSink for Pager<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let cursor = match &row {
            Ok(row) => row.cursor,
            Err(row) => row.cursor,
        };
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
    fn new(encode: EncodeRow<'a>, rule: CutRule<'a>, limits: Limits, batch: EncodedBatch) -> Self {
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
        if let Err(error) = (self.encode)(row.values, &mut self.batch) {
            return self.leave_out(row.undeliverable(error));
        }
        if self.batch.len() >= self.next_sample {
            self.sample(row.values, row.cursor);
        }
        Ok(())
    }

    /// Goes on without a row where that is allowed.
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

    fn finish(mut self, cut: bool) -> Page {
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
        "remove what changes the order of the statement (query.suffix, or what the query itself appends); if there is \
         nothing of the kind, please report it with the types of the cursor columns: nothing was read past it",
    )
}

/// The error of a row with a NULL cursor.
fn null_cursor() -> Error {
    Error::new(ErrorKind::Cursor, "the cursor column holds NULL, so its row can never be polled")
        .advise("fill the column, or set cursor.null=ignore to go on without such rows (as Kafka Connect does)")
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::dialect::DriverRow;
    use crate::model::ColumnOrder;

    /// Rows of (timestamp, id) handed out as a driver would.
    struct Rows(std::vec::IntoIter<(i64, i64)>, usize);

    struct Id(i64);

    impl DriverRow for Id {
        fn name(&self) -> Option<String> {
            Some(format!("id={}", self.0))
        }

        fn text(&self) -> RowText {
            vec![("id".to_owned(), Some(self.0.to_string()))]
        }
    }

    impl RowStream for Rows {
        fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
            Box::pin(async move {
                for (time, id) in self.0.by_ref() {
                    let cursor = [CursorValue::Timestamp(time), CursorValue::Integer(id)];
                    let row = Row { values: &[Value::Integer(id)], cursor: &cursor[..self.1], driver: &Id(id) };
                    if sink.row(Ok(row))? == Flow::Pause {
                        return Ok(StreamEnd::Paused);
                    }
                }
                Ok(StreamEnd::Exhausted)
            })
        }
    }

    /// The first page of so many rows, of which the statement gives one more.
    async fn page(times: &[i64], columns: usize, limit: usize) -> Page {
        page_without(&[], times, columns, limit).await.unwrap()
    }

    /// The rows with the ids of `poison` cannot be encoded.
    async fn page_without(poison: &[i64], times: &[i64], columns: usize, limit: usize) -> Result<Page> {
        let rows: Vec<_> = times.iter().zip(1..).map(|(time, id)| (*time, id)).collect();
        read(poison, rows, (columns, None), limit).await
    }

    async fn read(
        poison: &[i64],
        mut rows: Vec<(i64, i64)>,
        (columns, after): (usize, Option<&Position>),
        limit: usize,
    ) -> Result<Page> {
        rows.truncate(limit + 1);
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
        let order = TupleOrder(vec![ColumnOrder::Values; columns]);
        let page = Some(Ordered { order: &order, after, told_len: 1, is_cut_blindly: false });
        let rule = CutRule { page, null_fails: true, tolerance };
        let limits = Limits { rows: limit, bytes: usize::MAX };
        let batch = EncodedBatch::new("t".into(), 8, 8);
        read_page(&mut stream, &encode, rule, limits, batch, Some(limit + 1)).await
    }

    fn ids(page: &Page) -> (Vec<u8>, Vec<String>) {
        let left_out = page.left_out.iter().map(|row| row.row.as_ref().unwrap()[0].1.clone().unwrap());
        (page.batch.records().map(|record| record.value[0]).collect(), left_out.collect())
    }

    fn time(micros: i64) -> CursorValue<'static> {
        CursorValue::Timestamp(micros)
    }

    fn at(micros: i64, id: Option<i64>) -> Option<Position> {
        Some(Position([time(micros)].into_iter().chain(id.map(CursorValue::Integer)).collect()))
    }

    #[tokio::test]
    async fn rows_that_a_key_tells_apart_may_be_cut_anywhere_and_the_page_says_what_is_settled() {
        let cut = page(&[10, 10, 11, 11, 11], 2, 4).await;
        assert_eq!((cut.batch.len(), cut.position, cut.ended), (4, at(11, Some(4)), false));
        assert_eq!(cut.settled, Some(vec![time(10)]));
        let between = page(&[10, 10, 11], 2, 2).await;
        assert_eq!(
            (between.position, between.settled),
            (at(10, Some(2)), Some(vec![time(10)])),
            "11 is seen to follow"
        );
        let whole = page(&[10, 10, 11], 2, 9).await;
        assert_eq!((whole.settled, whole.ended), (Some(vec![time(11)]), true));
    }

    #[tokio::test]
    async fn rows_that_share_their_cursor_are_not_parted() {
        let cut = page(&[10, 10, 11, 11, 11], 1, 4).await;
        assert_eq!((ids(&cut).0, cut.position, cut.unfinished_tie), (vec![1, 2], at(10, None), None));
        let between = page(&[10, 10, 11], 1, 2).await;
        assert_eq!((ids(&between).0, between.position, between.ended), (vec![1, 2], at(10, None), false));
        let one = page(&[10, 10, 10, 10], 1, 3).await;
        assert_eq!((one.batch.len(), one.position, one.unfinished_tie), (0, None, at(10, None)));
        let last = page(&[10, 11, 11], 1, 3).await;
        assert_eq!((last.batch.len(), last.position, last.ended), (3, at(11, None), true), "there is no row beyond");
    }

    #[tokio::test]
    async fn a_row_left_out_counts_for_the_page_and_its_position() {
        let page = page_without(&[2, 4], &[10, 10, 11, 11, 11], 2, 4).await.unwrap();
        assert_eq!(ids(&page), (vec![1, 3], vec!["2".to_owned(), "4".to_owned()]));
        assert_eq!(page.left_out[0].error.context("row"), Some("id=2"));
        assert_eq!((page.position, page.settled, page.ended), (at(11, Some(4)), Some(vec![time(10)]), false));
        let page = page_without(&[1, 2, 3], &[10, 10, 11], 2, 9).await.unwrap();
        assert_eq!((page.batch.len(), page.left_out.len(), page.ended), (0, 3, true));
        assert_eq!(page.position, at(11, Some(3)), "E6");
    }

    #[tokio::test]
    async fn rows_left_out_of_a_cut_tie_come_again_with_it() {
        let page = page_without(&[1, 2, 4], &[10, 10, 11, 11, 11], 1, 4).await.unwrap();
        assert_eq!(ids(&page), (vec![], vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!((page.position, page.unfinished_tie), (at(10, None), None));
        let page = page_without(&[2, 3], &[10, 10, 10, 10], 1, 3).await.unwrap();
        assert_eq!((ids(&page), page.position), ((vec![], vec![]), None));
        assert_eq!(page.unfinished_tie, at(10, None));
    }

    #[tokio::test]
    async fn rows_that_are_not_where_they_belong_stop_the_relation() {
        let after = at(10, Some(2)).unwrap();
        let mut failed = Vec::new();
        for rows in [vec![(10, 2), (11, 3)], vec![(9, 7)], vec![(11, 3), (10, 4)], vec![(11, 3), (11, 2)]] {
            let error = read(&[], rows, (2, Some(&after)), 9).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cursor);
            failed.push(error.report());
        }
        assert!(failed[0].contains("does not come after") && failed[1].contains("does not come after"), "{failed:?}");
        assert!(failed[2].contains("do not ascend") && failed[3].contains("do not ascend"), "{failed:?}");
        // A position that says less lies after every row that begins with it.
        let shorter = at(10, None).unwrap();
        assert!(read(&[], vec![(10, 3)], (2, Some(&shorter)), 9).await.is_err());
        assert!(read(&[], vec![(10, 3), (10, 3), (11, 1)], (2, Some(&after)), 9).await.is_ok());
    }

    /// Draws rows that share cursors or not, reads them page by page as the planner would have them, and looks.
    #[tokio::test]
    async fn pages_of_any_size_give_each_row_once_however_cursors_are_shared() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let (columns, limit) = (rng.usize(1..=2), rng.usize(1..=6));
            let mut rows: Vec<(i64, i64)> =
                (0..rng.usize(0..30)).map(|_| (rng.i64(0..6), if columns == 1 { 0 } else { rng.i64(0..4) })).collect();
            rows.sort_unstable();
            let (mut got, mut after) = (Vec::new(), None::<Position>);
            loop {
                let cursor = |row: &(i64, i64)| [time(row.0), CursorValue::Integer(row.1)][..columns].to_vec();
                let is_after = |row: &&(i64, i64)| after.as_ref().is_none_or(|after| cursor(row) > after.0);
                let left: Vec<_> = rows.iter().filter(is_after).copied().collect();
                let page = read(&[], left.clone(), (columns, after.as_ref()), limit).await.unwrap();
                got.extend_from_slice(&left[..page.batch.len()]);
                let ended = page.ended;
                if let Some(tie) = page.unfinished_tie {
                    got.extend(left.iter().filter(|row| cursor(row) == tie.0));
                    after = Some(tie);
                } else if ended {
                    break;
                } else {
                    after = page.position;
                }
            }
            assert_eq!(got, rows, "{columns} columns, {limit} rows a page");
        }
    }

    #[tokio::test]
    async fn a_result_that_ends_by_itself_anywhere_is_cut_between_two_cursors() {
        let order = TupleOrder(vec![ColumnOrder::Values]);
        let page = Some(Ordered { order: &order, after: None, told_len: 1, is_cut_blindly: true });
        let rule = CutRule { page, null_fails: true, tolerance: Tolerance::default() };
        let encode = |_: &[Value<'_>], batch: &mut EncodedBatch| -> Result<()> {
            batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, |_| Ok(()))
        };
        let limits = Limits { rows: 9, bytes: usize::MAX };
        for (rows, kept, tie) in [(vec![(1, 1), (2, 2), (2, 3)], 1, None), (vec![(2, 2), (2, 3)], 0, at(2, None))] {
            let mut stream = Rows(rows.into_iter(), 1);
            let batch = EncodedBatch::new("t".into(), 8, 8);
            let page = read_page(&mut stream, &encode, rule, limits, batch, None).await.unwrap();
            assert_eq!((page.batch.len(), page.unfinished_tie, page.ended), (kept, tie, false));
        }
        let batch = EncodedBatch::new("t".into(), 8, 8);
        let nothing = read_page(&mut Rows(vec![].into_iter(), 1), &encode, rule, limits, batch, None).await.unwrap();
        assert!(nothing.ended);
    }

    /// A row of which nothing is asked.
    struct Unread;

    impl DriverRow for Unread {
        fn name(&self) -> Option<String> {
            panic!("not asked for")
        }

        fn text(&self) -> RowText {
            panic!("not asked for")
        }
    }

    #[tokio::test]
    async fn a_row_is_left_out_only_where_that_is_allowed() {
        let rule = CutRule { page: None, null_fails: true, tolerance: Tolerance::default() };
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
            let mut pager = Pager::new(&encode, rule, limits, EncodedBatch::new("t".into(), 1, 1));
            let mut offered = |value| {
                let error = Error::new(kind, "scripted");
                pager.row(Err(Undeliverable { error, cursor: &[value], driver: &Unread }))
            };
            assert_eq!(offered(time(1)).is_ok(), tolerated, "{kind:?}");
            assert_eq!(offered(CursorValue::Null).unwrap_err().kind(), ErrorKind::Cursor);
        }
    }
}
