//! Pages of scripted rows.

use futures_util::future::BoxFuture;

use super::pager::Pager;
use super::{CutRule, Limits, Ordered, Page, Tolerance, read_page};
use crate::dialect::{DriverRow, Flow, Row, RowSink, RowStream, StreamEnd, Undeliverable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ColumnOrder, CursorValue, EncodedBatch, Position, RowText, TupleOrder, Value};

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
    let encode = |row: &Row<'_>, batch: &mut EncodedBatch| -> Result<()> {
        let Value::Integer(id) = row.values[0] else { panic!("ids only") };
        if poison.contains(&id) {
            return Err(Error::new(ErrorKind::Value, "poison"));
        }
        let value = |out: &mut Vec<u8>| {
            out.push(id as u8);
            Ok(())
        };
        batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, Some(value))
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
    (page.batch.records().map(|record| record.value.expect("a value")[0]).collect(), left_out.collect())
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
    assert_eq!((between.position, between.settled), (at(10, Some(2)), Some(vec![time(10)])), "11 is seen to follow");
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
    let encode = |_: &Row<'_>, batch: &mut EncodedBatch| -> Result<()> {
        batch.push(None::<fn(&mut Vec<u8>) -> Result<()>>, Some(|_: &mut Vec<u8>| Ok(())))
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
    let encode = |_: &Row<'_>, _: &mut EncodedBatch| -> Result<()> { Ok(()) };
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
