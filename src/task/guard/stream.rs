//! The guard's part of one poll of a relation: notes the rows of the page and of the window as they go by, and passes
//! on those that are to be emitted. The method decides which rows are noted, and which are passed on.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;

use super::super::binding::Binding;
use crate::dialect::{Flow, Row, RowSink, RowStream, SourceConnection, StreamEnd, Undeliverable};
use crate::error::{Error, Result};
use crate::guard::fingerprint::{Content, FingerprintBag, SeenRow};
use crate::guard::watermark::LowWatermark;
use crate::guard::{LateQuery, Level, Mark, Poll, is_at_or_above};
use crate::model::{CursorValue, PlannedQuery, TableDefinition, TupleOrder};
use crate::plan::Planner;
use crate::reader::remember;

/// The guard's part of one poll.
pub(in crate::task) struct GuardPoll {
    pub(super) poll: Box<dyn Poll>,
    /// The late queries, to be run after the page; each says whether its rows tell their transaction.
    pub(super) queries: VecDeque<(PlannedQuery, bool)>,
    /// True if the query that runs tells the transactions of its rows.
    late_has_xids: bool,
    /// The value below which rows are read.
    pub(super) upper: Option<CursorValue<'static>>,
    /// The blocker that newer rows wait for.
    pub(super) blocker: Option<String>,
    /// The level meanwhile.
    pub(super) level: Level,
    pub(super) low: LowWatermark,
    /// The connection and the number of the observation.
    pub(super) observed: (u64, u64),
    /// The server that is read.
    pub(super) identity: Option<String>,
    /// The rows of the page that share the last cursor: whether they belong to it is known when it has been read.
    pending: Vec<Mark>,
    pending_cursor: Vec<CursorValue<'static>>,
    pub(super) late_rows: u64,
    pub(super) reread_rows: u64,
}

/// The phase of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::task) enum Phase {
    /// Rows after the position, of which the last may be left for the next page.
    Page,
    /// All rows of one cursor after the position.
    Tie,
    /// Rows at or before the position.
    Late,
}

impl GuardPoll {
    pub(super) fn new(poll: Box<dyn Poll>, level: Level, low: LowWatermark, observed: (u64, u64)) -> Self {
        Self {
            poll,
            queries: VecDeque::new(),
            late_has_xids: false,
            upper: None,
            blocker: None,
            level,
            low,
            observed,
            identity: None,
            pending: Vec::new(),
            pending_cursor: Vec::new(),
            late_rows: 0,
            reread_rows: 0,
        }
    }

    /// Writes the late queries.
    pub(super) fn plan(&mut self, queries: Vec<LateQuery>, at: super::At<'_>) -> Result<()> {
        let Binding { planner, .. } = at.binding;
        let Some(position) = at.position else { return Ok(()) };
        for query in queries {
            let (query, has_xids) = match query {
                LateQuery::ByTransaction { from, xids } => (planner.late(&from, position, xids.as_deref()), true),
                LateQuery::Window { from } => (planner.window(&from, position), false),
                LateQuery::Ids(ranges) => (planner.with_ids(&ranges), false),
            };
            let query = query.ok_or_else(|| Error::internal("late rows of this relation cannot be asked for"))?;
            self.queries.push_back((query, has_xids));
        }
        Ok(())
    }

    /// The page's query as the guard wants it.
    pub(in crate::task) fn page(&self, planner: &Planner, query: PlannedQuery) -> PlannedQuery {
        if self.poll.wants_xids() { planner.with_row_ids(query) } else { query }
    }

    /// The bound of the page: nothing that open transactions may precede is read.
    pub(in crate::task) fn bound(&self, upper: Option<CursorValue<'static>>) -> Option<CursorValue<'static>> {
        match (&self.upper, upper) {
            (Some(own), Some(upper)) if is_at_or_above(&upper, own) => Some(own.clone()),
            (Some(own), None) => Some(own.clone()),
            (_, upper) => upper,
        }
    }

    /// True if open transactions bound the page.
    pub(in crate::task) fn is_bounded(&self) -> bool {
        self.upper.is_some()
    }

    /// The transaction that newer rows wait for, where they do.
    pub(in crate::task) fn blocker(&self) -> Option<&str> {
        self.blocker.as_deref()
    }

    /// The number of rows that were late.
    pub(in crate::task) fn late_rows(&self) -> u64 {
        self.late_rows
    }

    /// The number of rows that were read again in vain.
    pub(in crate::task) fn reread_rows(&self) -> u64 {
        self.reread_rows
    }

    /// The stream of a statement, at whose rows the guard looks as they go by; `order` is that of their cursors.
    pub(in crate::task) fn guarded<'a>(
        &'a mut self,
        stream: Box<dyn RowStream + 'a>,
        order: &'a TupleOrder,
        phase: Phase,
    ) -> Box<dyn RowStream + 'a> {
        let has_xids = if phase == Phase::Late { self.late_has_xids } else { self.poll.wants_xids() };
        Box::new(GuardedStream { stream, poll: self, order, phase, has_xids })
    }

    /// The page has been read. If it was cut, the rows of the last cursor that was seen are not in it.
    pub(in crate::task) fn page_read(&mut self, ended: bool) {
        if ended {
            self.take_pending();
        }
        self.pending.clear();
        self.pending_cursor.clear();
    }

    fn take_pending(&mut self) {
        self.pending.drain(..).for_each(|mark| self.poll.emitted(mark));
    }

    /// The next late query.
    pub(in crate::task) fn next_query(&mut self) -> Option<PlannedQuery> {
        let (query, has_xids) = self.queries.pop_front()?;
        self.late_has_xids = has_xids;
        Some(query)
    }

    /// A row after the position, which is emitted with its page.
    fn offer_page_row(&mut self, row: &SeenRow<'_>, order: &TupleOrder, phase: Phase) {
        if phase == Phase::Page && !order.is_tie(&self.pending_cursor, row.cursor) {
            self.take_pending();
            remember(&mut self.pending_cursor, row.cursor);
        }
        match (self.poll.mark(row), phase) {
            (Some(mark), Phase::Page) => self.pending.push(mark),
            (Some(mark), _) => self.poll.emitted(mark),
            (None, _) => {}
        }
    }

    /// A row at or before the position: whether it is late, and to be emitted.
    fn offer_late_row(&mut self, row: &SeenRow<'_>) -> bool {
        let emits = self.poll.offer(row);
        self.late_rows += u64::from(emits);
        self.reread_rows += u64::from(!emits);
        emits
    }
}

/// A stream at whose rows the guard looks as they go by.
struct GuardedStream<'a> {
    stream: Box<dyn RowStream + 'a>,
    poll: &'a mut GuardPoll,
    order: &'a TupleOrder,
    phase: Phase,
    /// True if the last value of the cursor is the id of the row's transaction.
    has_xids: bool,
}

impl RowStream for GuardedStream<'_> {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        Box::pin(async move {
            let Self { stream, poll, order, phase, has_xids } = self;
            let mut guarded = GuardedSink { sink, poll, order, phase: *phase, has_xids: *has_xids };
            stream.next_rows(&mut guarded).await
        })
    }
}

struct GuardedSink<'a> {
    sink: &'a mut dyn RowSink,
    poll: &'a mut GuardPoll,
    order: &'a TupleOrder,
    phase: Phase,
    has_xids: bool,
}

impl GuardedSink<'_> {
    /// The row's cursor without the id of its transaction, and whether it is to be emitted.
    fn offer<'c, 'v>(
        &mut self,
        cursor: &'c [CursorValue<'v>],
        content: Content<'_>,
    ) -> Result<(&'c [CursorValue<'v>], bool)> {
        let (cursor, xid) = match cursor.split_last() {
            Some((CursorValue::Integer(xid), cursor)) if self.has_xids => (cursor, u32::try_from(*xid).ok()),
            _ if self.has_xids => return Err(Error::internal("a row does not tell its transaction")),
            _ => (cursor, None),
        };
        let row = SeenRow { cursor, xid, content };
        let emits = match self.phase {
            Phase::Late => self.poll.offer_late_row(&row),
            phase => {
                self.poll.offer_page_row(&row, self.order, phase);
                true
            }
        };
        Ok((cursor, emits))
    }
}

impl RowSink for GuardedSink<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let (row, emits) = match row {
            Ok(row) => {
                let (cursor, emits) = self.offer(row.cursor, Content::Values(row.values))?;
                (Ok(Row { cursor, ..row }), emits)
            }
            Err(row) => {
                let (cursor, emits) = self.offer(row.cursor, Content::Text(&|| row.driver.text()))?;
                (Err(Undeliverable { cursor, ..row }), emits)
            }
        };
        if emits { self.sink.row(row) } else { Ok(Flow::Continue) }
    }
}

/// The fingerprints of the rows of a query.
pub(super) async fn read_fingerprints(
    connection: &mut dyn SourceConnection,
    definition: &TableDefinition,
    query: &PlannedQuery,
    by_content: bool,
) -> Result<FingerprintBag> {
    let mut sink = Fingerprints { by_content, rows: FingerprintBag::default() };
    connection.fetch(definition, query).await?.next_rows(&mut sink).await?;
    Ok(sink.rows)
}

struct Fingerprints {
    by_content: bool,
    rows: FingerprintBag,
}

impl RowSink for Fingerprints {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let fingerprint = match row {
            Ok(row) => SeenRow { cursor: row.cursor, xid: None, content: Content::Values(row.values) }
                .fingerprint(self.by_content),
            Err(row) => SeenRow { cursor: row.cursor, xid: None, content: Content::Text(&|| row.driver.text()) }
                .fingerprint(self.by_content),
        };
        self.rows.add(fingerprint);
        Ok(Flow::Continue)
    }
}
