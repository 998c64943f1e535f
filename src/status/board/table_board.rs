//! The handle of a table's stages on the board of its connector: polls, commits and stalls become the table's status.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::events::Phase;
use super::super::{
    BackfillStatus, BeganAnew, GuardStatus, Held, HeldBack, LoadProgress, Millis, Stage, TableState, TableStatus,
    now_millis,
};
use super::StatusBoard;
use crate::error::Error;
use crate::model::{Backfill, CursorFact, Instant, NotPolled};

/// The handle of one table's stages. Cheap to clone; a removed table ignores it.
#[derive(Debug, Clone)]
pub struct TableBoard {
    board: StatusBoard,
    table: Arc<str>,
}

/// The result of a commit: what it adds, and the position it reaches.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Rows of the batch.
    pub rows: u64,
    /// Bytes of its keys and values.
    pub bytes: u64,
    /// Rows left out of it.
    pub skipped: u64,
    /// The fault of the last of them; none if no row was left out.
    pub skip_reason: Option<String>,
    /// The position now committed, as text.
    pub position: Option<String>,
    /// The newest cursor time of the batch.
    pub newest: Option<Instant>,
}

/// The cause of a stall, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The reason: what does not answer, or is at work.
    pub reason: String,
    /// The advice.
    pub advice: String,
    /// True if it is only the database's work, which takes its time: no reason not to be ready.
    pub at_work: bool,
}

impl Cause {
    /// The cause that something does not answer.
    pub fn new(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: advice.into(), at_work: false }
    }
}

/// A table that is held up, as long as this lives.
#[derive(Debug)]
pub struct Stall {
    board: TableBoard,
    stage: Stage,
    number: u64,
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.board.update(|table, now| table.go_on(self.stage, now, self.number));
    }
}

impl TableBoard {
    pub(super) fn new(board: StatusBoard, table: &str) -> Self {
        Self { board, table: table.into() }
    }

    /// Publishes a stall: the table does not move, whatever its last poll said.
    pub fn stalled(&self, stage: Stage, cause: &Cause) -> Stall {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let why = (cause.reason.clone(), Some(cause.advice.clone()));
        self.update(|table, now| table.stall(stage, now, Held { by: number, why, at_work: cause.at_work }));
        Stall { board: self.clone(), stage, number }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.table
    }

    /// Publishes the lag: how much older the newest row read is than the database's clock.
    pub fn lag(&self, seconds: f64) {
        self.update(|table, _| table.lag_seconds = Some(seconds));
    }

    /// The first load begins. It lasts until a poll finds the end of the table.
    pub fn loading(&self, estimated_rows: Option<u64>) {
        self.update(|table, now| {
            table.enter(TableState::Loading, now, None);
            table.load = Some(LoadProgress { since: now, rows: 0, estimated_rows });
        });
    }

    /// It is the backfill of a table.
    pub fn backfills(&self, of: String, request: Backfill) {
        self.update(|table, _| table.backfill = Some(BackfillStatus { of, request }));
    }

    /// A page was read. `exhausted`: nothing newer is left; `found`: it had rows.
    pub fn polled(&self, found: bool, exhausted: bool) {
        self.update(|table, now| {
            table.last_poll = Some(now);
            if exhausted {
                table.load = None;
            }
            table.rows_behind = if exhausted { Some(0) } else { table.load.as_ref().and_then(LoadProgress::left) };
            let state = match (&table.load, found) {
                (Some(_), _) => TableState::Loading,
                (None, true) => TableState::Live,
                (None, false) => TableState::Idle,
            };
            table.enter(state, now, None);
        });
    }

    /// Publishes the duration of the last successful poll.
    pub fn took(&self, time: Duration) {
        self.update(|table, _| table.poll_took = i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    }

    /// Publishes that part of a pass was read that would begin anew if it broke off. It counts as polled only if passes
    /// end (`proven`): one that is repeated for ever moves rows too.
    pub fn in_pass(&self, rows: u64, proven: bool) {
        self.update(|table, now| {
            if proven {
                table.last_poll = Some(now);
            }
            table.rows_behind = table.load.as_ref().and_then(LoadProgress::left);
            let state = if table.load.is_some() { TableState::Loading } else { TableState::Live };
            let reason = || format!("a pass is under way, {rows} rows so far; the table is ready when it has ended");
            table.enter(state, now, (!proven).then(|| (reason(), None)));
        });
    }

    /// A batch is committed.
    pub fn committed(&self, committed: Committed) {
        self.update(|table, _| {
            table.rows += committed.rows;
            table.bytes += committed.bytes;
            table.rows_skipped += committed.skipped;
            table.skip_reason = committed.skip_reason.or_else(|| table.skip_reason.take());
            if let Some(load) = &mut table.load {
                load.rows += committed.rows;
                table.rows_behind = load.left();
            }
            table.position = committed.position.or_else(|| table.position.take());
            // A row that committed late is older than the newest one before it.
            table.newest = table.newest.max(committed.newest);
        });
    }

    /// Notes that the last rows there were are committed: a first load ends. The state of a later poll stays.
    pub fn caught_up(&self) {
        self.update(|table, now| {
            table.load = None;
            table.rows_behind = Some(0);
            if table.own.0 == TableState::Loading {
                table.enter(TableState::Live, now, None);
            }
        });
    }

    /// The position found at start.
    pub fn position(&self, text: impl Into<String>) {
        let text = text.into();
        self.update(|table, _| table.position = Some(text));
    }

    /// The table begins anew and is read from its beginning.
    pub fn began_anew(&self) {
        self.update(|table, now| {
            let times = table.began_anew.as_ref().map_or(0, |began| began.times) + 1;
            table.began_anew = Some(BeganAnew { at: now, times });
            table.position = Some("the beginning".to_owned());
        });
    }

    /// Publishes the columns that are left out of the records (`type.unsupported=skip`).
    pub fn skipped_columns(&self, columns: Vec<String>) {
        self.update(|table, _| table.skipped_columns = columns);
    }

    /// Publishes the rows that no poll reads because of their cursor values, in place of earlier ones.
    pub fn not_polled(&self, rows: Vec<NotPolled>) {
        self.update(|table, _| table.not_polled = rows);
    }

    /// Publishes the facts about the cursor columns, in place of earlier ones.
    pub fn cursor_facts(&self, facts: Vec<CursorFact>) {
        self.update(|table, _| table.cursor_facts = facts);
    }

    /// Publishes the promise about rows that commit late.
    pub fn guard(&self, guard: GuardStatus) {
        self.update(|table, _| table.guard = guard);
    }

    /// A poll succeeded, but its rows wait for an older transaction to end.
    pub fn waiting(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.update(|table, now| {
            table.last_poll = Some(now);
            table.enter(TableState::Waiting, now, Some((reason, None)));
        });
    }

    /// The table is not polled for a time, by a setting.
    pub fn held_back(&self, held: HeldBack, reason: String, advice: &str) {
        self.update(|table, now| table.hold_back(held, now, (reason, Some(advice.to_owned()))));
    }

    /// The poll failed and will be tried again.
    pub fn backing_off(&self, error: &Error) {
        self.fail_as(TableState::BackingOff, error);
    }

    /// The table is given up.
    pub fn failed(&self, error: &Error) {
        self.fail_as(TableState::Failed, error);
    }

    /// The table is stopped on purpose.
    pub fn stopped(&self) {
        self.update(|table, now| table.enter(TableState::Stopped, now, None));
    }

    /// The table rests until an operator lets it go on.
    pub fn paused(&self) {
        self.update(|table, now| table.enter(TableState::Paused, now, None));
    }

    /// The table is to be polled at once: after a rest, bound anew, or from another offset. One that has failed is so until
    /// that poll says otherwise.
    pub fn goes_on(&self) {
        self.update(|table, now| {
            table.known_since = now;
            if table.own.0 == TableState::Paused {
                table.enter(if table.load.is_some() { TableState::Loading } else { TableState::Idle }, now, None);
            }
        });
    }

    fn fail_as(&self, state: TableState, error: &Error) {
        let why = (error.report(), Some(error.advice().to_owned()));
        let kind = error.root_kind();
        self.update(|table, now| {
            table.kind = Some(kind);
            table.enter(state, now, Some(why));
        });
    }

    fn update(&self, change: impl FnOnce(&mut TableStatus, Millis)) {
        let now = now_millis();
        self.board.sender.send_if_modified(|status| {
            let Ok(index) = status.find(&self.table) else { return false };
            let table = &mut status.tables[index];
            let before = Phase::of(table);
            change(table, now);
            if let Some((kind, text)) = before.event(table) {
                self.board.events.add(&status.name, Some(&self.table), kind, text);
            }
            true
        });
    }
}
