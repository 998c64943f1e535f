//! The guard's part of one poll: notes the rows of the page and the late rows as they go by, and passes on those that are
//! to be emitted. Keeps nothing from poll to poll but what it is handed.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::future::BoxFuture;

use crate::dialect::{Flow, RowSink, RowStream, StreamEnd};
use crate::error::{Error, Result};
use crate::guard::edge::Low;
use crate::guard::snapshot::Poll;
use crate::model::{CursorValue, PlannedQuery, RowText, Value};
use crate::plan::Planner;

/// How many rows of the window are remembered; beyond that a table that is written anew repeats some.
const MOST_RECENT: usize = 200_000;

/// The guard's part of one poll.
pub(super) struct Sweep {
    pub(super) poll: Poll,
    /// The query for late rows.
    pub(super) query: Option<PlannedQuery>,
    pub(super) emits: bool,
    /// The rows that have been emitted, where ids do not tell them this time.
    pub(super) known: Option<BTreeSet<(i64, u64)>>,
    /// The rows emitted now, from a time on.
    pub(super) seen: Vec<(i64, u64)>,
    pub(super) from: i64,
    pub(super) storage: String,
    pub(super) late_rows: u64,
    pub(super) observed: (u64, u64),
    pub(super) low: Low,
}

impl Sweep {
    /// The page's query as the guard wants it.
    pub(super) fn page(&self, planner: &Planner, query: PlannedQuery) -> PlannedQuery {
        if self.poll.wants_ids() { planner.with_row_ids(query) } else { query }
    }

    /// Looks at the rows of a page, or at late rows, as they go by.
    pub(super) fn watch<'a>(&'a mut self, stream: Box<dyn RowStream + 'a>, is_page: bool) -> Box<dyn RowStream + 'a> {
        let has_ids = !is_page || self.poll.wants_ids();
        Box::new(Watched { stream, sweep: self, is_page, has_ids })
    }

    /// Takes note of a row; whether it is to be emitted.
    fn sees(&mut self, cursor: &[CursorValue<'_>], id: Option<u32>, is_page: bool) -> bool {
        if let Some(id) = id {
            self.poll.saw(self.poll.whole_id(id));
        }
        let mut is_known = false;
        if let Some(CursorValue::Timestamp(time)) = cursor.first()
            && *time >= self.from
        {
            let row = (*time, hash(cursor));
            is_known = self.known.as_ref().is_some_and(|known| known.contains(&row));
            self.seen.push(row);
        }
        let emits = is_page || self.emits && !is_known;
        self.late_rows += u64::from(emits && !is_page);
        emits
    }
}

/// Rows of the window that have been emitted, in memory only: what tells them from late ones when the table was written
/// anew, and with it the ids of all rows.
#[derive(Default)]
pub(super) struct Recent {
    pub(super) storage: Option<String>,
    /// Time and hash of the cursor.
    pub(super) rows: BTreeSet<(i64, u64)>,
}

impl Recent {
    pub(super) fn take(&mut self, storage: String, seen: Vec<(i64, u64)>, from: i64) {
        self.storage = Some(storage);
        self.rows.extend(seen);
        self.rows = self.rows.split_off(&(from, 0));
        while self.rows.len() > MOST_RECENT {
            self.rows.pop_first();
        }
    }
}

fn hash(cursor: &[CursorValue<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in cursor {
        match value {
            CursorValue::Integer(number) | CursorValue::Timestamp(number) => number.hash(&mut hasher),
            CursorValue::Unsigned(number) => number.hash(&mut hasher),
            CursorValue::Real(number) => number.to_bits().hash(&mut hasher),
            CursorValue::Text(text) => text.hash(&mut hasher),
            CursorValue::Null => {}
        }
    }
    hasher.finish()
}

/// A stream whose rows are noted as they go by.
struct Watched<'a> {
    stream: Box<dyn RowStream + 'a>,
    sweep: &'a mut Sweep,
    is_page: bool,
    /// The last value of the cursor is the id of the row's transaction.
    has_ids: bool,
}

impl RowStream for Watched<'_> {
    fn next_rows<'s>(&'s mut self, sink: &'s mut dyn RowSink) -> BoxFuture<'s, Result<StreamEnd>> {
        Box::pin(async move {
            let Self { stream, sweep, is_page, has_ids } = self;
            let mut watcher = Watcher { sink, sweep, is_page: *is_page, has_ids: *has_ids, seen: None };
            stream.next_rows(&mut watcher).await
        })
    }
}

struct Watcher<'a> {
    sink: &'a mut dyn RowSink,
    sweep: &'a mut Sweep,
    is_page: bool,
    has_ids: bool,
    /// Whether the row is to be emitted that was seen and could not be delivered.
    seen: Option<bool>,
}

impl Watcher<'_> {
    /// The row's cursor without the id of its transaction, and whether it is to be emitted.
    fn sees<'c, 'v>(&mut self, cursor: &'c [CursorValue<'v>]) -> Result<(&'c [CursorValue<'v>], bool)> {
        let (cursor, id) = match cursor.split_last() {
            Some((CursorValue::Integer(id), cursor)) if self.has_ids => (cursor, u32::try_from(*id).ok()),
            _ if self.has_ids => return Err(Error::internal("a row does not tell its transaction")),
            _ => (cursor, None),
        };
        // A row that cannot be delivered is offered again.
        let emits = self.seen.take().unwrap_or_else(|| self.sweep.sees(cursor, id, self.is_page));
        Ok((cursor, emits))
    }
}

impl RowSink for Watcher<'_> {
    fn row(&mut self, values: &[Value<'_>], cursor: &[CursorValue<'_>]) -> Result<Flow> {
        let (cursor, emits) = self.sees(cursor)?;
        if !emits {
            return Ok(Flow::Continue);
        }
        self.sink.row(values, cursor).inspect_err(|_| self.seen = Some(emits))
    }

    fn left_out(&mut self, error: Error, cursor: &[CursorValue<'_>], text: &dyn Fn() -> RowText) -> Result<Flow> {
        let (cursor, emits) = self.sees(cursor)?;
        if emits { self.sink.left_out(error, cursor, text) } else { Ok(Flow::Continue) }
    }
}
