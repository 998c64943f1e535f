//! The guard's part of one poll: notes the rows of the page and of the window as they go by, and passes on those that are
//! to be emitted. Keeps nothing from poll to poll but what it is handed.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::BoxFuture;

use super::watch::family;
use crate::dialect::{DriverRow, Flow, Row, RowSink, RowStream, SourceConnection, StreamEnd, Undeliverable};
use crate::error::{Error, Result};
use crate::guard::edge::Low;
use crate::guard::prints::{Hash, Print};
use crate::guard::{gaps, history, snapshot, window};
use crate::model::{CursorKind, CursorValue, Micros, PlannedQuery, Relation, TableDefinition, TupleOrder, Value};
use crate::plan::Planner;
use crate::reader::remember;

/// How many rows of the window are remembered; beyond that a table that is written anew repeats some.
const MOST_RECENT: usize = 200_000;

/// The guard's part of one poll.
pub(in crate::task) struct Sweep {
    pub(super) machine: Machine,
    /// The queries for late rows, to be run after the page.
    pub(super) queries: VecDeque<PlannedQuery>,
    /// Rows are read below this only.
    pub(super) upper: Option<CursorValue<'static>>,
    /// Whom newer rows wait for.
    pub(super) blocker: Option<String>,
    pub(super) by_content: bool,
    /// No two rows share a cursor.
    pub(super) is_unique: bool,
    /// The rows of the page that share the last cursor: whether they belong to it is known when it has been read.
    pub(super) pending: Vec<Noted>,
    pub(super) pending_cursor: Vec<CursorValue<'static>>,
    pub(super) low: Low,
    pub(super) observed: (u64, u64),
    pub(super) late_rows: u64,
    pub(super) reread_rows: u64,
}

/// The state machine of the way, and what it needs of the rows.
pub(super) enum Machine {
    Snapshot {
        poll: snapshot::Poll,
        emits: bool,
        /// The rows that have been emitted, where ids do not tell them this time, and how many there were of each.
        known: Option<Known>,
        /// The rows emitted now, from a time on.
        seen: Vec<(i64, u64)>,
        from: i64,
        /// Where the rows are stored, if it was looked.
        storage: Option<String>,
    },
    Window {
        poll: window::Poll,
        /// Rows from here on are remembered.
        low: CursorValue<'static>,
        /// The window is left for another poll.
        leaves: bool,
    },
    History {
        poll: history::Poll,
        as_of: Micros,
        must_store: bool,
    },
    Gaps {
        poll: gaps::Poll,
        kind: CursorKind,
        /// The gaps are left for another poll.
        leaves: bool,
    },
}

/// How many rows there were of a time and a hash.
pub(super) type Known = BTreeMap<(i64, u64), u32>;

/// What a statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::task) enum Phase {
    /// Rows after the position, of which the last may be left for the next page.
    Page,
    /// All rows of one cursor after the position.
    Tie,
    /// Rows at or before the position.
    Late,
}

/// What is noted of a row after the position.
pub(super) enum Noted {
    Snapshot { id: Option<u32>, row: Option<(i64, u64)> },
    Window(Print),
    Gaps(u64),
}

impl Sweep {
    /// The page's query as the guard wants it.
    pub(in crate::task) fn page(&self, planner: &Planner, query: PlannedQuery) -> PlannedQuery {
        if self.wants_ids() { planner.with_row_ids(query) } else { query }
    }

    /// The bound of the page: not above what open transactions may precede.
    pub(in crate::task) fn bound(&self, upper: Option<CursorValue<'static>>) -> Option<CursorValue<'static>> {
        match (&self.upper, upper) {
            (Some(own), Some(upper)) if is_at_or_above(&upper, own) => Some(own.clone()),
            (Some(own), None) => Some(own.clone()),
            (_, upper) => upper,
        }
    }

    /// Whom newer rows wait for, where they do.
    pub(in crate::task) fn blocker(&self) -> Option<&str> {
        self.blocker.as_deref()
    }

    /// How many rows were late.
    pub(in crate::task) fn late_rows(&self) -> u64 {
        self.late_rows
    }

    /// How many rows were read again in vain.
    pub(in crate::task) fn reread_rows(&self) -> u64 {
        self.reread_rows
    }

    /// Looks at the rows of a statement as they go by; `order` is that of their cursors.
    pub(in crate::task) fn watch<'a>(
        &'a mut self,
        stream: Box<dyn RowStream + 'a>,
        order: &'a TupleOrder,
        phase: Phase,
    ) -> Box<dyn RowStream + 'a> {
        let has_ids = self.wants_ids() || phase == Phase::Late && matches!(self.machine, Machine::Snapshot { .. });
        Box::new(Watched { stream, sweep: self, order, phase, has_ids })
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
        for noted in std::mem::take(&mut self.pending) {
            self.take(noted);
        }
    }

    /// The next query for late rows.
    pub(in crate::task) fn next_query(&mut self) -> Option<PlannedQuery> {
        self.queries.pop_front()
    }

    fn wants_ids(&self) -> bool {
        matches!(&self.machine, Machine::Snapshot { poll, .. } if poll.wants_ids())
    }

    /// A row after the position, which is emitted with its page.
    fn sees_after(
        &mut self,
        cursor: &[CursorValue<'_>],
        content: Content<'_>,
        id: Option<u32>,
        (order, phase): (&TupleOrder, Phase),
    ) {
        if phase == Phase::Page && !order.is_tie(&self.pending_cursor, cursor) {
            self.take_pending();
            remember(&mut self.pending_cursor, cursor);
        }
        match (self.note(cursor, content, id), phase) {
            (Some(noted), Phase::Page) => self.pending.push(noted),
            (Some(noted), _) => self.take(noted),
            (None, _) => {}
        }
    }

    /// What there is to note of a row after the position.
    fn note(&self, cursor: &[CursorValue<'_>], content: Content<'_>, id: Option<u32>) -> Option<Noted> {
        match &self.machine {
            Machine::Snapshot { from, .. } => {
                Some(Noted::Snapshot { id, row: self.emitted(cursor, content).filter(|(time, _)| time >= from) })
            }
            Machine::Window { low, .. } => {
                let stays = cursor.first().is_some_and(|time| is_at_or_above(time, low));
                stays.then(|| Noted::Window(print_of(cursor, content, self.by_content)))
            }
            Machine::History { .. } => None,
            Machine::Gaps { kind, .. } => cursor.first().and_then(|id| gaps::number(id, *kind)).map(Noted::Gaps),
        }
    }

    fn take(&mut self, noted: Noted) {
        match (&mut self.machine, noted) {
            (Machine::Snapshot { poll, seen, .. }, Noted::Snapshot { id, row }) => {
                if let Some(id) = id {
                    poll.saw(poll.whole_id(id));
                }
                seen.extend(row);
            }
            (Machine::Window { poll, .. }, Noted::Window(print)) => poll.forward(print),
            (Machine::Gaps { poll, .. }, Noted::Gaps(id)) => poll.forward(id),
            _ => {}
        }
    }

    /// What a row is known by after it was emitted, where its transaction tells nothing any more.
    fn emitted(&self, cursor: &[CursorValue<'_>], content: Content<'_>) -> Option<(i64, u64)> {
        let Some(CursorValue::Timestamp(time)) = cursor.first() else { return None };
        let place = place_of(cursor);
        if self.is_unique {
            return Some((*time, place.whole()));
        }
        let content = print_of(cursor, content, self.by_content).content;
        Some((*time, place.with(&content.to_le_bytes()).whole()))
    }

    /// A row at or before the position: whether it is late, and to be emitted.
    fn sees_late(&mut self, cursor: &[CursorValue<'_>], content: Content<'_>, id: Option<u32>) -> bool {
        let by_content = self.by_content;
        let print = || print_of(cursor, content, by_content);
        let emitted = match &self.machine {
            Machine::Snapshot { .. } => self.emitted(cursor, content),
            _ => None,
        };
        let emits = match &mut self.machine {
            Machine::Snapshot { poll, emits, known, seen, from, .. } => {
                if let Some(id) = id {
                    poll.saw(poll.whole_id(id));
                }
                let row = emitted.filter(|(time, _)| time >= from);
                seen.extend(row);
                let left = row.and_then(|row| known.as_mut()?.get_mut(&row)).filter(|left| **left > 0);
                let is_known = left.map(|left| *left -= 1).is_some();
                *emits && !is_known
            }
            Machine::Window { poll, low, .. } => {
                let stays = cursor.first().is_some_and(|time| is_at_or_above(time, low));
                poll.in_window(print(), stays)
            }
            Machine::History { poll, .. } => poll.is_late(print()),
            Machine::Gaps { poll, kind, .. } => {
                cursor.first().and_then(|id| gaps::number(id, *kind)).is_some_and(|id| poll.late(id))
            }
        };
        self.late_rows += u64::from(emits);
        self.reread_rows += u64::from(!emits);
        emits
    }
}

/// Rows of the window that have been emitted, in memory only: what tells them from late ones when the table was written
/// anew, and with it the ids of all rows.
#[derive(Default)]
pub(super) struct Recent {
    /// Where they are stored, as far as it was looked.
    pub(super) storage: Option<String>,
    /// Time and hash of the cursor, as they came.
    pub(super) rows: VecDeque<(i64, u64)>,
}

impl Recent {
    /// Where the rows are stored now, and those emitted before if that is elsewhere than it was.
    pub(super) async fn look(
        &self,
        connection: &mut dyn SourceConnection,
        relation: &Relation,
    ) -> Result<(String, Option<Known>)> {
        let storage = family(connection.snapshot_views())?.storage(relation).await?;
        let is_elsewhere = self.storage.as_ref().is_some_and(|before| *before != storage);
        let known = is_elsewhere.then(|| {
            let mut known = Known::new();
            self.rows.iter().for_each(|row| *known.entry(*row).or_default() += 1);
            known
        });
        Ok((storage, known))
    }

    pub(super) fn take(&mut self, storage: Option<String>, seen: Vec<(i64, u64)>, from: i64) {
        self.storage = storage.or_else(|| self.storage.take());
        self.rows.extend(seen);
        while self.rows.len() > MOST_RECENT || self.rows.front().is_some_and(|(time, _)| *time < from) {
            self.rows.pop_front();
        }
    }
}

/// What a row holds, as far as it could be read.
#[derive(Clone, Copy)]
enum Content<'a> {
    Values(&'a [Value<'a>]),
    Text(&'a dyn DriverRow),
}

fn place_of(cursor: &[CursorValue<'_>]) -> Hash {
    cursor.iter().fold(Hash::default(), |hash, value| match value {
        CursorValue::Integer(number) | CursorValue::Timestamp(number) => hash.with(&number.to_le_bytes()),
        CursorValue::Unsigned(number) => hash.with(&number.to_le_bytes()),
        CursorValue::Real(number) => hash.with(&number.to_bits().to_le_bytes()),
        CursorValue::Text(text) => hash.with(text.as_bytes()).with(&[0xff]),
        CursorValue::Null => hash.with(&[0xfe]),
    })
}

fn print_of(cursor: &[CursorValue<'_>], content: Content<'_>, by_content: bool) -> Print {
    let hash = |tag: u8, hash: Hash, bytes: &[u8]| hash.with(&[tag]).with(&bytes.len().to_le_bytes()).with(bytes);
    let content = match content {
        _ if !by_content => 0,
        Content::Values(values) => values
            .iter()
            .fold(Hash::default(), |all, value| match value {
                Value::Null => all.with(&[0]),
                Value::Boolean(is) => all.with(&[1, u8::from(*is)]),
                Value::Integer(number) => all.with(&[2]).with(&number.to_le_bytes()),
                Value::Float32(number) => all.with(&[3]).with(&number.to_bits().to_le_bytes()),
                Value::Float64(number) => all.with(&[4]).with(&number.to_bits().to_le_bytes()),
                Value::Text(text) => hash(5, all, text.as_bytes()),
                Value::Bytes(bytes) => hash(6, all, bytes),
                Value::Decimal(bytes) => hash(7, all, bytes),
            })
            .half(),
        Content::Text(row) => row
            .text()
            .iter()
            .fold(Hash::default(), |all, (_, text)| match text {
                Some(text) => hash(5, all, text.as_bytes()),
                None => all.with(&[0]),
            })
            .half(),
    };
    Print { place: place_of(cursor).whole(), content }
}

/// Whether a cursor value is not below another of its kind.
fn is_at_or_above(value: &CursorValue<'_>, low: &CursorValue<'_>) -> bool {
    match (value, low) {
        (CursorValue::Timestamp(value), CursorValue::Timestamp(low))
        | (CursorValue::Integer(value), CursorValue::Integer(low)) => value >= low,
        (CursorValue::Real(value), CursorValue::Real(low)) => value >= low,
        (CursorValue::Text(value), CursorValue::Text(low)) => value >= low,
        // A kind has one form.
        _ => true,
    }
}

/// A stream whose rows are noted as they go by.
struct Watched<'a> {
    stream: Box<dyn RowStream + 'a>,
    sweep: &'a mut Sweep,
    order: &'a TupleOrder,
    phase: Phase,
    /// The last value of the cursor is the id of the row's transaction.
    has_ids: bool,
}

impl RowStream for Watched<'_> {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        Box::pin(async move {
            let Self { stream, sweep, order, phase, has_ids } = self;
            let mut watcher = Watcher { sink, sweep, order, phase: *phase, has_ids: *has_ids };
            stream.next_rows(&mut watcher).await
        })
    }
}

struct Watcher<'a> {
    sink: &'a mut dyn RowSink,
    sweep: &'a mut Sweep,
    order: &'a TupleOrder,
    phase: Phase,
    has_ids: bool,
}

impl Watcher<'_> {
    /// The row's cursor without the id of its transaction, and whether it is to be emitted.
    fn sees<'c, 'v>(
        &mut self,
        cursor: &'c [CursorValue<'v>],
        content: Content<'_>,
    ) -> Result<(&'c [CursorValue<'v>], bool)> {
        let (cursor, id) = match cursor.split_last() {
            Some((CursorValue::Integer(id), cursor)) if self.has_ids => (cursor, u32::try_from(*id).ok()),
            _ if self.has_ids => return Err(Error::internal("a row does not tell its transaction")),
            _ => (cursor, None),
        };
        let emits = match self.phase {
            Phase::Late => self.sweep.sees_late(cursor, content, id),
            phase => {
                self.sweep.sees_after(cursor, content, id, (self.order, phase));
                true
            }
        };
        Ok((cursor, emits))
    }
}

impl RowSink for Watcher<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        let (row, emits) = match row {
            Ok(row) => {
                let (cursor, emits) = self.sees(row.cursor, Content::Values(row.values))?;
                (Ok(Row { cursor, ..row }), emits)
            }
            Err(row) => {
                let (cursor, emits) = self.sees(row.cursor, Content::Text(row.driver))?;
                (Err(Undeliverable { cursor, ..row }), emits)
            }
        };
        if emits { self.sink.row(row) } else { Ok(Flow::Continue) }
    }
}

/// Reads rows of a table of which only the prints are wanted.
pub(super) async fn read_prints(
    connection: &mut dyn SourceConnection,
    definition: &TableDefinition,
    query: &PlannedQuery,
    by_content: bool,
    take: &mut (dyn FnMut(Print) + Send),
) -> Result<()> {
    connection.fetch(definition, query).await?.next_rows(&mut Prints { by_content, take }).await?;
    Ok(())
}

struct Prints<'a> {
    by_content: bool,
    take: &'a mut (dyn FnMut(Print) + Send),
}

impl RowSink for Prints<'_> {
    fn row(&mut self, row: Result<Row<'_>, Undeliverable<'_>>) -> Result<Flow> {
        (self.take)(match row {
            Ok(row) => print_of(row.cursor, Content::Values(row.values), self.by_content),
            Err(row) => print_of(row.cursor, Content::Text(row.driver), self.by_content),
        });
        Ok(Flow::Continue)
    }
}
