//! The contract between a method and the poller. One poll of a table: [`Method::begin`] with the observation;
//! [`Poll::next`], which asks until it has the plan of what to read; the rows of the page, each told by [`Poll::mark`]
//! and [`Poll::emitted`]; the rows of the late queries, each offered by [`Poll::offer`]; [`Poll::end`]. Nothing changes
//! in the method: its next state is in the [`Outcome`], and takes its place once the rows are on their way. A poll that
//! fails leaves no trace.

use std::fmt;

use super::facts::Facts;
use super::fingerprint::{FingerprintBag, RowFingerprint, SeenRow};
use super::level::Level;
use super::watermark::LowWatermark;
use crate::error::{Error, Result};
use crate::model::{CursorKind, CursorValue, Micros, PastView, Position, ViewAnswer};

/// No two zones are further apart.
const ZONES_APART: Micros = 26 * 3_600_000_000;

/// The view of the database that a method needs at each poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it does not look for late rows.
    Nothing,
    /// The transactions that are open.
    Transactions,
    /// The same, and all reads in one snapshot.
    Snapshot,
    /// The same, and all reads as of one time.
    AsOf,
}

/// A method's state, from poll to poll.
pub trait Method: fmt::Debug + Send + Sync {
    /// Begins a poll.
    ///
    /// # Errors
    /// Of a position that is no cursor of the table.
    fn begin(&self, at: &At<'_>, seen: &Seen) -> Result<Box<dyn Poll>>;

    /// The checkpoint for a restart; none before its first poll.
    fn state(&self) -> Option<State>;

    /// Its present state has been handed on with an offset.
    fn stored(&mut self) {}

    /// The risk of a state that was read back.
    fn risk(&self) -> Option<&'static str> {
        None
    }
}

/// The part of a method's state that is stored: cheap to make, becomes text only when it is.
pub type State = std::sync::Arc<dyn ToText>;

/// A state that becomes text.
pub trait ToText: fmt::Debug + Send + Sync {
    /// The text, which [`super::MethodDefinition::resume`] reads.
    fn to_text(&self) -> String;
}

/// One poll of a method.
pub trait Poll: Send {
    /// Goes on with the answer to the last question; with none at first.
    ///
    /// # Errors
    /// Of a position that is no cursor of the table, or an answer to another question.
    fn next(&mut self, at: &At<'_>, answer: Option<Answer>) -> Result<Turn>;

    /// True if rows of the page have to tell their transaction.
    fn wants_xids(&self) -> bool {
        false
    }

    /// The mark of a row of the page, noted if it turns out to belong to it.
    fn mark(&self, row: &SeenRow<'_>) -> Option<Mark>;

    /// A row of the page, which is emitted.
    fn emitted(&mut self, mark: Mark);

    /// A row of a late query: whether it is late, and to be emitted.
    fn offer(&mut self, row: &SeenRow<'_>) -> bool;

    /// The outcome of the poll. `took` is how long late rows were looked for, `steady` as in [`At`].
    fn end(self: Box<Self>, took: Micros, steady: Micros) -> Outcome;
}

/// The mark of a row of the page until it is known that the page holds it.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// The low half of its transaction's id.
    pub xid: Option<u32>,
    /// Its fingerprint.
    pub row: Option<RowFingerprint>,
    /// Its time or its id, by the method.
    pub number: i128,
}

/// The state of a table at a poll.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The table.
    pub facts: &'a Facts,
    /// The cursor.
    pub position: Option<&'a Position>,
    /// The newest time the table is known to have, as the column holds it.
    pub newest: Option<Micros>,
    /// A fingerprint of the columns that rows hold.
    pub columns: u32,
    /// A clock of this process that only goes forward.
    pub steady: Micros,
    /// True if looking for late rows may not be left for another poll, for this one may be the last: the table is read
    /// to its end once, and that was reached.
    pub must_look: bool,
}

/// The observation for a poll.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The low watermark, observed before the view.
    pub low: LowWatermark,
    /// The view that everything is read in.
    pub view: SeenView,
    /// The lowest time the clock may have shown since the last poll, where it has stepped back; an instant.
    pub stepped_back: Option<Micros>,
    /// True if the observation is that of the last poll.
    pub is_same: bool,
    /// True if it is the first poll of the table on this connection.
    pub is_first_here: bool,
}

/// The view that a poll reads in.
#[derive(Debug, Clone)]
pub enum SeenView {
    /// No common view.
    None,
    /// One snapshot.
    Snapshot(ViewAnswer),
    /// The database as of a time.
    AsOf(PastView),
}

/// The turn of a poll: a question, or the plan of what to read.
#[derive(Debug)]
pub enum Turn {
    /// A question that has to be answered first.
    Ask(Question),
    /// The queries to be run.
    Read(ReadPlan),
}

/// A question about the table, to be answered before a poll can say what to read.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The greatest id there is.
    GreatestId,
    /// The storage of the rows.
    Storage,
    /// The rows from here to the cursor.
    Window {
        /// The lowest cursor value.
        from: CursorValue<'static>,
    },
    /// The rows from here to the cursor as of a time, if they are not those of now.
    WindowBefore {
        /// The lowest cursor value.
        from: CursorValue<'static>,
        /// The time.
        as_of: Micros,
        /// True if rows of other content are other rows.
        by_content: bool,
    },
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// The greatest id, if there is one.
    GreatestId(Option<CursorValue<'static>>),
    /// The storage of the rows.
    Storage(String),
    /// The rows of the window.
    Window(FingerprintBag),
    /// The rows of the window as of the time before.
    Before(Before),
}

/// A window as of a time, as far as it is known.
#[derive(Debug)]
pub enum Before {
    /// The same rows as now.
    Same,
    /// Other rows than now.
    Rows(FingerprintBag),
    /// The database has forgotten that time, or the table was another one.
    Forgotten,
}

/// The late queries of a poll.
#[derive(Debug, Default)]
pub struct ReadPlan {
    /// The late queries.
    pub queries: Vec<LateQuery>,
    /// The number of rows remembered.
    pub remembered: usize,
    /// The notices.
    pub notices: Vec<Notice>,
}

/// A query for rows at or below the cursor.
#[derive(Debug, Clone, PartialEq)]
pub enum LateQuery {
    /// The rows from here to the cursor that were written by these transactions; by any if none are named.
    ByTransaction {
        /// The lowest cursor value.
        from: CursorValue<'static>,
        /// Ranges of the low halves of their ids, both ends included.
        xids: Option<Vec<(u32, u32)>>,
    },
    /// The rows from here to the cursor.
    Window {
        /// The lowest cursor value.
        from: CursorValue<'static>,
    },
    /// The rows of these ids, both ends included.
    Ids(Vec<(CursorValue<'static>, CursorValue<'static>)>),
}

/// A notice about a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Loss cannot be excluded from here on.
    Risk(String),
    /// A warning: rows come again, or something else an operator should know.
    Warn(&'static str),
    /// An event worth a line in the log.
    Info(&'static str),
}

/// The outcome of a poll.
#[derive(Debug)]
pub struct Outcome {
    /// The method's next state.
    pub method: Box<dyn Method>,
    /// The low end of the next window, of a table with times.
    pub low: Option<Micros>,
    /// Ids that may still become visible below the cursor.
    pub hidden: u64,
    /// True if it has to be stored although no row was emitted: a restart could not resume from the stored checkpoint.
    pub must_store: bool,
    /// True if looking for late rows was left for another poll.
    pub has_left: bool,
    /// The notices.
    pub notices: Vec<Notice>,
}

/// The facts that decide the bound of a page.
#[derive(Debug)]
pub struct Holding<'a> {
    /// The state of the table.
    pub at: &'a At<'a>,
    /// The observation.
    pub seen: &'a Seen,
    /// The number of rows remembered.
    pub remembered: usize,
}

/// The end of a page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bound {
    /// The value that the page stays below.
    pub upper: Option<CursorValue<'static>>,
    /// The blocker that newer rows wait for.
    pub blocker: Option<String>,
    /// The level meanwhile, if it is not the method's.
    pub level: Option<Level>,
    /// The transaction beside which reading goes on, which costs the promise.
    pub despite: Option<String>,
}

impl At<'_> {
    /// The time of the position, as the column holds it.
    pub(super) fn time(&self) -> Result<Option<Micros>> {
        match (self.facts.cursor.time_kind, self.position.and_then(|position| position.0.first())) {
            (Some(kind), Some(time)) => kind.column_time(time).map(Some),
            _ => Ok(None),
        }
    }

    /// The lag of the table's times behind the database's clock, at most, because they were written in another zone
    /// that they do not tell: no more than its newest one lags. `clock` is an instant.
    pub(super) fn behind(&self, time: Option<Micros>, clock: Micros) -> Micros {
        let clock = self.facts.clock.at(clock);
        let newest = time.into_iter().chain(self.newest.filter(|newest| *newest <= clock)).max();
        match newest {
            Some(newest) if !self.facts.cursor.is_zoned => clock.saturating_sub(newest).clamp(0, ZONES_APART),
            _ => 0,
        }
    }

    /// The cursor value of a column's time, not above any that is written at it or later.
    pub(super) fn value(&self, time: Micros) -> Result<CursorValue<'static>> {
        let kind = self.time_kind()?;
        kind.from_column_time(time.saturating_sub(grain(kind)))
    }

    /// The kind of the timestamp column.
    pub(super) fn time_kind(&self) -> Result<CursorKind> {
        self.facts.cursor.time_kind.ok_or_else(|| Error::internal("late rows are found by their time"))
    }

    /// The kind of the ids.
    pub(super) fn id_kind(&self) -> Result<CursorKind> {
        self.facts.cursor.id_kind.ok_or_else(|| Error::internal("late rows are found by their ids"))
    }
}

/// The least two times of a column may differ by, from the time it was written at.
pub(super) fn grain(kind: CursorKind) -> Micros {
    match kind {
        CursorKind::Timestamp { digits, .. } => 10_i64.pow(6 - u32::from(digits.min(6))) - 1,
        CursorKind::Date => 86_400_000_000,
        CursorKind::Epoch { per_second } => 1_000_000 / i64::from(per_second.max(1)),
        _ => 1_000_000,
    }
}

/// A poll was given an answer to another question.
pub(super) fn another_answer() -> Error {
    Error::internal("the guard was given an answer to another question")
}

/// True if a cursor value is not below another of its kind.
pub fn is_at_or_above(value: &CursorValue<'_>, low: &CursorValue<'_>) -> bool {
    match (value, low) {
        (CursorValue::Timestamp(value), CursorValue::Timestamp(low))
        | (CursorValue::Integer(value), CursorValue::Integer(low)) => value >= low,
        (CursorValue::Real(value), CursorValue::Real(low)) => value >= low,
        (CursorValue::Text(value), CursorValue::Text(low)) => value >= low,
        // A kind has one form.
        _ => true,
    }
}

/// The bound of methods that hold nothing back: none.
pub(super) fn unbounded(_: &Holding<'_>) -> Result<Bound> {
    Ok(Bound::default())
}
