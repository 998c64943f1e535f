//! Rows that commit late, for one relation: runs the guard's state machine with what the connection observes, and has late
//! rows read with the page they come with, so that both share a batch, a transaction and an offset. Decides nothing
//! itself: that is `guard`, and, of what is possible, [`judge`].

mod histories;
mod ids;
mod judge;
mod snapshots;
mod sweep;
mod watch;
mod windows;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant as Clock;

use self::sweep::{Machine, Recent};
use super::binding::Binding;
use crate::config::spec::TableSpec;
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::clock::ColumnClock;
use crate::guard::edge::Low;
use crate::guard::prints::Hash;
use crate::guard::snapshot::Broken;
use crate::guard::{Way, gaps, history, snapshot, window};
use crate::model::{CursorKind, CursorValue, Micros, PlannedQuery, Position, micros_of};
use crate::status::{GuardStatus, Risk, TableBoard, now_millis};

pub use self::judge::{Judged, judge};
pub(super) use self::sweep::{Phase, Sweep};
pub(super) use self::watch::Watch;

/// No two zones are further apart.
const ZONES_APART: Micros = 26 * 3_600_000_000;

/// Why a state is of no use.
const ANOTHER_WAY: &str = "late rows were looked for in another way until now";

/// The same, where wall clocks have been set back for good.
const ANOTHER_ZONE: &str = "the server's time zone was changed to one with earlier wall clocks";

/// What a way goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Snapshot(snapshot::State),
    Window(window::State),
    History(history::State),
    Gaps(gaps::State),
}

impl State {
    /// What the guard field of an offset begins with; another version is another word. The first version of those that
    /// hold times of a column held instants, also where the column holds wall clocks.
    fn word(way: Way, clock: ColumnClock) -> Option<&'static str> {
        match (way, clock.is_wall()) {
            (Way::Snapshot, false) => Some("snapshot-1"),
            (Way::Snapshot, true) => Some("snapshot-2"),
            (Way::Window | Way::Hold | Way::Rescan, false) => Some("window-1"),
            (Way::Window | Way::Hold | Way::Rescan, true) => Some("window-2"),
            (Way::History, false) => Some("history-1"),
            (Way::History, true) => Some("history-2"),
            (Way::Gaps, _) => Some("gaps-2"),
            (Way::Whole | Way::Delay | Way::Off, _) => None,
        }
    }

    /// Whether a stored word is that of a way, of this version or of one that can be read as it.
    fn is_word(stored: &str, way: Way, clock: ColumnClock) -> bool {
        let instants = ColumnClock::instants();
        let is_older = || clock.is_instant() && Self::word(way, instants) == Some(stored);
        Self::word(way, clock) == Some(stored) || is_older()
    }

    /// Whether any way of any version begins with it.
    fn is_known(word: &str) -> bool {
        let known = ["snapshot-1", "snapshot-2", "window-1", "window-2", "history-1", "history-2", "gaps-2"];
        known.contains(&word)
    }

    fn snapshot(&self) -> Option<&snapshot::State> {
        if let State::Snapshot(state) = self { Some(state) } else { None }
    }

    fn window(&self) -> Option<&window::State> {
        if let State::Window(state) = self { Some(state) } else { None }
    }

    fn history(&self) -> Option<history::State> {
        if let State::History(state) = self { Some(*state) } else { None }
    }

    fn gaps(&self) -> Option<&gaps::State> {
        if let State::Gaps(state) = self { Some(state) } else { None }
    }

    fn to_text(&self) -> String {
        match self {
            State::Snapshot(state) => state.to_text(),
            State::Window(state) => state.to_text(),
            State::History(state) => state.to_text(),
            State::Gaps(state) => state.to_text(),
        }
    }

    fn from_text(way: Way, text: &str) -> Option<Self> {
        match way {
            Way::Snapshot => snapshot::State::from_text(text).map(State::Snapshot),
            Way::Window | Way::Hold | Way::Rescan => window::State::from_text(text).map(State::Window),
            Way::History => history::State::from_text(text).map(State::History),
            Way::Gaps => gaps::State::from_text(text).map(State::Gaps),
            Way::Whole | Way::Delay | Way::Off => None,
        }
    }
}

/// The guard of one relation.
#[derive(Default)]
pub(super) struct Late {
    judged: Option<Judged>,
    /// The connection it was judged on: on another one more, or less, may be seen.
    judged_on: u64,
    judged_at: Option<Clock>,
    /// What the present poll reads was so before the table was described.
    is_before_description: bool,
    state: Option<State>,
    /// What the last offset handed on holds, of a way whose state is of no use once it is old.
    stored: Option<State>,
    /// The table has just begun anew: it is not read as of a time before.
    is_anew: bool,
    /// The life of the connection and the number of the last observation used.
    observed: (u64, u64),
    /// The database's clock then.
    clock_at: Micros,
    /// Of the way `snapshot`.
    recent: Recent,
    /// Of the way `gaps`: when which ids had been reached, and the greatest that was there at first.
    past: gaps::Past,
    greatest: Option<u64>,
    /// The window is not read, or the gaps are not looked into, before.
    window_due: Option<Clock>,
    /// How wide the window is taken to be where writers cannot be seen, if not as configured.
    narrowed: Option<Micros>,
    /// The state and the observation before the present poll, once that is finished.
    undone: Option<(Option<State>, (u64, u64))>,
    status: GuardStatus,
}

/// Where a relation is, as the guard needs it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) spec: &'a TableSpec,
    pub(super) table: &'a str,
    pub(super) binding: &'a Binding,
    pub(super) position: Option<&'a Position>,
    /// The newest time the table is known to have, as the column holds it.
    pub(super) newest: Option<Micros>,
    pub(super) once: bool,
    pub(super) board: &'a TableBoard,
    /// What the timestamp column holds.
    pub(super) clock: ColumnClock,
}

impl At<'_> {
    /// The time of the position, as the column holds it.
    fn time(&self) -> Result<Option<Micros>> {
        let planner = &self.binding.planner;
        match (planner.time_kind(), self.position.and_then(|position| position.0.first())) {
            (Some(kind), Some(time)) => kind.column_time(time).map(Some),
            _ => Ok(None),
        }
    }

    /// How far the times of the table may lie behind the database's clock; `clock` is an instant.
    fn behind(&self, time: Option<Micros>, clock: Micros) -> Micros {
        let clock = self.clock.at(clock);
        let newest = time.into_iter().chain(self.newest.filter(|newest| *newest <= clock)).max();
        match newest {
            Some(newest) if !self.binding.planner.is_zoned() => clock.saturating_sub(newest).clamp(0, ZONES_APART),
            _ => 0,
        }
    }

    /// The cursor value of a column's time, not above any that is written at it or later.
    fn value(&self, time: Micros) -> Result<CursorValue<'static>> {
        let kind = self.kind()?;
        kind.from_column_time(time.saturating_sub(grain(kind)))
    }

    fn kind(&self) -> Result<CursorKind> {
        self.binding.planner.time_kind().ok_or_else(|| Error::internal("late rows are found by their time"))
    }
}

/// The least two times of a column may differ by, from the time it was written at.
fn grain(kind: CursorKind) -> Micros {
    match kind {
        CursorKind::Timestamp { digits, .. } => 10_i64.pow(6 - u32::from(digits.min(6))) - 1,
        CursorKind::Date => 86_400_000_000,
        CursorKind::Epoch { per_second } => 1_000_000 / i64::from(per_second.max(1)),
        _ => 1_000_000,
    }
}

impl Late {
    /// Takes what was judged, and says so once.
    pub(super) fn judged(&mut self, table: &str, judged: Judged, life: u64, board: &TableBoard) {
        self.judged_on = life;
        self.judged_at = Some(Clock::now());
        let verdict = &judged.verdict;
        let (way, level) = (verdict.way.as_str(), verdict.level().as_str());
        if self.judged.as_ref().is_none_or(|before| before.verdict != *verdict) {
            tracing::info!(table, way, level, "late commits: {verdict}");
        }
        (self.status.way, self.status.level) = (way, level);
        self.status.uncovered.clone_from(&verdict.uncovered);
        self.status.raise.clone_from(&verdict.raise);
        let word = |judged: &Judged| State::word(judged.verdict.way, judged.clock);
        let why = match &self.judged {
            Some(before) if word(before) != word(&judged) => Some(ANOTHER_WAY),
            Some(before) if judged.clock.is_behind(&before.clock, self.clock_at) => Some(ANOTHER_ZONE),
            _ => None,
        };
        if let Some(why) = why {
            if self.state.is_some() {
                self.goes_unused(table, why);
            }
            (self.state, self.stored) = (None, None);
        }
        self.judged = Some(judged);
        board.guard(self.status.clone());
    }

    /// The table begins anew: of what was seen of it until now nothing is true any more.
    pub(in crate::task) fn begin_anew(&mut self) {
        *self = Self {
            judged: self.judged.take(),
            judged_on: self.judged_on,
            judged_at: self.judged_at,
            is_before_description: self.is_before_description,
            clock_at: self.clock_at,
            status: std::mem::take(&mut self.status),
            is_anew: true,
            ..Self::default()
        };
    }

    /// How far back late rows are looked for where nothing better is known.
    fn window(&self) -> Micros {
        self.judged.as_ref().map_or(0, |judged| micros_of(judged.window))
    }

    /// The clock of the timestamp column.
    pub(super) fn clock(&self) -> ColumnClock {
        self.judged.as_ref().map_or_else(ColumnClock::instants, |judged| judged.clock)
    }

    fn way(&self) -> Way {
        self.judged.as_ref().map_or(Way::Off, |judged| judged.verdict.way)
    }

    /// Whether the database's transactions are looked at, which serves all relations that are polled in one go.
    pub(super) fn observes(&self) -> bool {
        !matches!(self.way(), Way::Whole | Way::Delay | Way::Off)
    }

    /// Whether this relation is read in a view of the database that others share.
    pub(super) fn shares_view(&self) -> bool {
        matches!(self.way(), Way::Snapshot | Way::History)
    }

    /// Goes on from what is stored with a position. What was stored for another position or server, or by another way, is
    /// not used: somebody has moved the offset, or changed what is possible.
    ///
    /// # Errors
    /// `Offsets` if it cannot be read.
    pub(super) fn resume(
        &mut self,
        table: &str,
        stored: Option<&str>,
        at: Option<&Position>,
        identity: Option<&str>,
    ) -> Result<()> {
        (self.state, self.stored) = (None, None);
        let (way, clock) = (self.way(), self.clock());
        let (Some(text), Some(at), Some(_)) = (stored, at, State::word(way, clock)) else { return Ok(()) };
        let unreadable = || {
            Error::new(ErrorKind::Offsets, "the stored state of the late-commit guard cannot be read").advise(
                "use the rowtide that wrote it, or a newer one; or store the offset without the field rowtide_guard",
            )
        };
        let mut parts = text.splitn(3, '/');
        let (Some(stored_word), Some(tag), Some(state)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unreadable());
        };
        if !State::is_known(stored_word) {
            return Err(unreadable());
        }
        let is_moved = State::is_word(stored_word, way, clock);
        if !is_moved || tag != tag_of(at, identity) {
            self.goes_unused(
                table,
                if is_moved { "the stored offset was moved, or belongs to another server" } else { ANOTHER_WAY },
            );
            return Ok(());
        }
        let state = State::from_text(self.way(), state).ok_or_else(unreadable)?;
        if state.gaps().is_some_and(gaps::State::is_cut) {
            self.risk(
                table,
                "there were more gaps between ids than an offset holds; the lowest are not looked into any more",
            );
        }
        self.state = Some(state);
        self.is_stored();
        Ok(())
    }

    /// What is to be stored with a position.
    pub(super) fn stored_with(&mut self, at: &Position, identity: Option<&str>) -> Option<String> {
        self.is_stored();
        let (state, word) = (self.state.as_ref()?, State::word(self.way(), self.clock())?);
        Some(format!("{word}/{}/{}", tag_of(at, identity), state.to_text()))
    }

    /// The present state is in an offset. One that does not grow old may be large, and is not kept twice.
    fn is_stored(&mut self) {
        let grows_old = |state: &&State| matches!(state, State::Snapshot(_) | State::History(_));
        self.stored = self.state.as_ref().filter(grows_old).cloned();
    }

    /// A state of the guard is of no use any more.
    fn goes_unused(&mut self, table: &str, why: &str) {
        self.risk(table, &format!("{why}; rows that committed late before then were not looked for"));
    }

    /// From here on loss cannot be excluded.
    fn risk(&mut self, table: &str, reason: &str) {
        if self.status.at_risk.as_ref().is_none_or(|risk| risk.reason != reason) {
            tracing::warn!(table, reason, "rows that commit late may be missed");
            self.status.at_risk = Some(Risk { reason: reason.to_owned(), since: now_millis() });
        }
    }

    /// Begins the guard's part of a poll, and with it a view of the database where it needs one; none where there is no
    /// guard.
    ///
    /// # Errors
    /// Those of the connection; `Config` where a table is to fail that waits too long.
    pub(super) async fn begin(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Option<Sweep>> {
        if self.judged_on != watch.life() {
            let judged = judge(at.spec, connection, at.binding).await?;
            self.judged(at.table, judged, watch.life(), at.board);
        }
        let at = At { clock: self.clock(), ..at };
        match self.way() {
            Way::Whole | Way::Delay | Way::Off => Ok(None),
            Way::Snapshot => self.begin_snapshot(at, connection, watch).await.map(Some),
            Way::Window | Way::Hold | Way::Rescan => self.begin_window(at, connection, watch).await.map(Some),
            Way::History => self.begin_history(at, connection, watch).await.map(Some),
            Way::Gaps => self.begin_gaps(at, connection, watch).await.map(Some),
        }
    }

    /// No transaction that is open began before it: as far as writers are seen, or taken to be at it. An instant.
    fn edge(&self, low: &Low) -> Micros {
        let width = self.narrowed.map_or(self.window(), |narrowed| narrowed.min(self.window()));
        let assumed = low.clock.saturating_sub(width);
        let Some(judged) = self.judged.as_ref().filter(|judged| judged.sees_writers) else { return assumed };
        let head_start = micros_of(judged.head_start);
        let seen = if low.has_unknown { low.known.min(assumed) } else { low.known };
        seen.saturating_sub(head_start)
    }

    fn sweep(&self, machine: Machine, queries: VecDeque<PlannedQuery>, low: Low, watch: &Watch) -> Sweep {
        Sweep {
            machine,
            queries,
            upper: None,
            blocker: None,
            by_content: self.judged.as_ref().is_some_and(|judged| judged.by_content),
            is_unique: self.judged.as_ref().is_some_and(|judged| judged.is_unique),
            pending: Vec::new(),
            pending_cursor: Vec::new(),
            observed: (watch.life(), low.number),
            low,
            late_rows: 0,
            reread_rows: 0,
        }
    }

    /// Takes the state a poll has led to; `took` is how long late rows were looked for. True if it has to be stored even
    /// if there were no rows.
    pub(super) fn finish(
        &mut self,
        (table, is_timed): (&str, bool),
        sweep: Sweep,
        took: Duration,
        board: &TableBoard,
    ) -> bool {
        let Sweep { machine, low, observed, late_rows, reread_rows, blocker, .. } = sweep;
        let clock = self.clock();
        let seconds = |since: Micros| low.clock.saturating_sub(since).max(0) as f64 / 1e6;
        let width = |from: Micros| clock.at(low.clock).saturating_sub(from).max(0);
        let (state, window, hidden, must_store) = match machine {
            Machine::Snapshot { poll, seen, from, storage, .. } => {
                self.recent.take(storage, seen, from);
                match poll.broken {
                    Some(Broken::Rewound) => self.risk(table, "the database was set back to an earlier time"),
                    Some(Broken::WrappedAround) => tracing::warn!(
                        table,
                        "too many transactions since the last poll to tell rows by them; rows of the window were repeated"
                    ),
                    None => {}
                }
                let state = poll.finish();
                let stored = self.stored.as_ref().and_then(State::snapshot);
                let is_outdated = stored.is_some_and(|stored| state.outdates(stored));
                let (window, hidden) = (state.low(), state.hidden_count());
                (State::Snapshot(state), Some(window), hidden, is_outdated)
            }
            Machine::Window { poll, leaves, .. } => {
                let state = if leaves { poll.finish_without_window() } else { poll.finish() };
                self.looked(leaves, took);
                let window = state.low();
                self.narrow(table, state.count(), width(window));
                (State::Window(state), Some(window), 0, false)
            }
            Machine::History { poll, as_of, must_store } => {
                let state = poll.finish(as_of);
                let low = Micros::try_from(state.low()).ok().filter(|_| is_timed);
                (State::History(state), low, 0, must_store)
            }
            Machine::Gaps { poll, leaves, .. } => {
                self.looked(leaves, took);
                let (state, gave_up) = poll.finish();
                if gave_up {
                    self.risk(table, "there were too many gaps between ids to look into; the lowest were given up");
                }
                let hidden = state.count();
                (State::Gaps(state), None, hidden, false)
            }
        };
        self.status.window_seconds = window.map(|from| width(from) as f64 / 1e6);
        self.status.hidden_ids = hidden;
        self.status.late_rows += late_rows;
        self.status.reread_rows += reread_rows;
        self.status.blocker = blocker;
        // Of what was open before the first observation the start is known only as far as the window.
        let oldest = low.oldest.as_ref();
        self.status.oldest_transaction_seconds = oldest.map(|(since, _)| match window {
            Some(from) => seconds(*since).min(width(from) as f64 / 1e6),
            None => seconds(*since),
        });
        self.status.oldest_transaction = oldest.and_then(|(_, holder)| holder.clone());
        self.clock_at = low.clock;
        board.guard(self.status.clone());
        let observed_before = std::mem::replace(&mut self.observed, observed);
        self.undone = Some((self.state.replace(state), observed_before));
        must_store
    }

    /// How a poll ended. If its rows did not get on their way, what it has led to is not true.
    pub(super) fn settle(&mut self, is_on_its_way: bool) {
        if let Some((state, observed)) = self.undone.take().filter(|_| !is_on_its_way) {
            (self.state, self.observed) = (state, observed);
            self.recent = Recent::default();
        }
    }
}

/// Position and server that a state belongs to, in short.
fn tag_of(at: &Position, identity: Option<&str>) -> String {
    let hash = Hash::default().with(at.to_text().as_bytes()).with(b"|").with(identity.unwrap_or_default().as_bytes());
    format!("{:016x}", hash.whole())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Verdict;
    use crate::status::StatusBoard;

    #[test]
    fn another_way_while_it_runs_says_that_loss_cannot_be_excluded() {
        let board = StatusBoard::new("c", Duration::ZERO).table("t");
        let of = |way| Judged {
            verdict: Verdict { way, is_partial: false, uncovered: String::new(), raise: None },
            sees_writers: true,
            window: Duration::ZERO,
            head_start: Duration::ZERO,
            ids_kept: 0,
            by_content: true,
            is_unique: true,
            clock: ColumnClock::instants(),
        };
        let mut late = Late::default();
        late.judged("t", of(Way::Window), 1, &board);
        late.state = Some(State::Window(window::State::poll(None, 0, None, 0).finish()));
        late.judged("t", of(Way::Rescan), 2, &board);
        assert!(late.state.is_some() && late.status.at_risk.is_none(), "it goes on from the same state");
        late.judged("t", of(Way::Snapshot), 3, &board);
        let risk = late.status.at_risk.as_ref().map(|risk| risk.reason.as_str());
        assert!(late.state.is_none() && risk.is_some_and(|reason| reason.starts_with(ANOTHER_WAY)), "{risk:?}");
    }
}
