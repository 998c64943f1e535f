//! Rows that commit late, for one relation: runs the guard's state machine with what the connection observes, and has late
//! rows read with the page they come with, so that both share a batch, a transaction and an offset. Decides nothing
//! itself: that is `guard`, and, of what is possible, [`judge`].

mod judge;
mod sweep;
mod watch;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant as Clock;

use self::sweep::{Machine, Prints, Recent};
use super::binding::Binding;
use crate::config::spec::{ConnectorSpec, OnTimeout};
use crate::dialect::SourceConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::edge::Low;
use crate::guard::prints::{Hash, Print};
use crate::guard::snapshot::{Broken, Cursor, halves};
use crate::guard::{Level, Way, gaps, history, snapshot, window};
use crate::model::{CursorKind, CursorValue, Instant, Micros, PastView, PlannedQuery, Position, TableDefinition};
use crate::status::{GuardStatus, Risk, TableBoard, now_millis};
use crate::zone::Zone;

pub use self::judge::{Judged, judge};
pub(super) use self::sweep::Sweep;
pub(super) use self::watch::Watch;

/// How much further back than the window of the next poll is expected to reach rows are remembered that were emitted.
const MARGIN: Micros = 60_000_000;
/// No two zones are further apart.
const ZONES_APART: Micros = 26 * 3_600_000_000;
/// How many ids are looked back at the very first poll.
const FIRST_IDS: u64 = 30_000;
/// How many gaps one statement looks into.
const GAPS_AT_ONCE: usize = 500;
/// A window that takes longer to read than this is not read at every poll, but for a tenth of the time at most.
const QUICK: Duration = Duration::from_millis(20);
/// A table may have been another one this long ago.
const RECENT: Duration = Duration::from_secs(10);
/// Who waits no longer than this does not wait for anybody in particular.
const LONG_WAIT: Micros = 2_000_000;
/// More rows are never remembered: nothing newer is read, whatever `commit.guard.on.timeout` says.
const MOST_REMEMBERED: usize = 1_000_000;
/// Where writers cannot be seen, the window ends where it has so many rows.
const MOST_UNSEEN: usize = 20_000;

/// What a way goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Snapshot(snapshot::State),
    Window(window::State),
    History(history::State),
    Gaps(gaps::State),
}

impl State {
    /// What the guard field of an offset begins with; another version is another word.
    fn word(way: Way) -> Option<&'static str> {
        match way {
            Way::Snapshot => Some("snapshot-1"),
            Way::Window | Way::Hold | Way::Rescan => Some("window-1"),
            Way::History => Some("history-1"),
            Way::Gaps => Some("gaps-1"),
            Way::Whole | Way::Delay | Way::Off => None,
        }
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
    state: Option<State>,
    /// What the last offset handed on holds.
    stored: Option<State>,
    /// The life of the connection and the number of the last observation used.
    observed: (u64, u64),
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
    pub(super) spec: &'a ConnectorSpec,
    pub(super) table: &'a str,
    pub(super) binding: &'a Binding,
    pub(super) position: Option<&'a Position>,
    /// The newest time the table is known to have.
    pub(super) newest: Option<Micros>,
    pub(super) once: bool,
    pub(super) board: &'a TableBoard,
}

impl At<'_> {
    fn zone(&self) -> &Zone {
        &self.spec.source.types.all.zone
    }

    /// The time of the position.
    fn time(&self) -> Result<Option<Micros>> {
        let planner = &self.binding.planner;
        match (planner.time_kind(), self.position.and_then(|position| position.0.first())) {
            (Some(kind), Some(time)) => Ok(Some(kind.to_instant(time, self.zone())?.micros())),
            _ => Ok(None),
        }
    }

    /// How far the times of the table may lie behind the database's clock.
    fn behind(&self, time: Option<Micros>, clock: Micros) -> Micros {
        let newest = time.into_iter().chain(self.newest.filter(|newest| *newest <= clock)).max();
        match newest {
            Some(newest) if !self.binding.planner.is_zoned() => clock.saturating_sub(newest).clamp(0, ZONES_APART),
            _ => 0,
        }
    }

    /// A time as the column has it, not above any that is written at it or later.
    fn value(&self, micros: Micros) -> Result<CursorValue<'static>> {
        let kind = self.kind()?;
        kind.from_instant(Instant::from_micros(micros.saturating_sub(grain(kind))), self.zone())
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
        let (way, level) = (verdict.way.as_str(), verdict.way.level().as_str());
        if self.judged.as_ref().is_none_or(|before| before.verdict != *verdict) {
            tracing::info!(table, way, level, "late commits: {verdict}");
        }
        (self.status.way, self.status.level) = (way, level);
        self.status.uncovered.clone_from(&verdict.uncovered);
        self.status.raise.clone_from(&verdict.raise);
        let word = |judged: &Judged| State::word(judged.verdict.way);
        if self.judged.as_ref().is_some_and(|before| word(before) != word(&judged)) {
            (self.state, self.stored) = (None, None);
        }
        self.judged = Some(judged);
        board.guard(self.status.clone());
    }

    /// How far back late rows are looked for where nothing better is known.
    fn window(&self) -> Micros {
        self.judged.as_ref().map_or(0, |judged| micros(judged.window))
    }

    fn way(&self) -> Way {
        self.judged.as_ref().map_or(Way::Off, |judged| judged.verdict.way)
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
        let (Some(text), Some(at), Some(word)) = (stored, at, State::word(self.way())) else { return Ok(()) };
        let unreadable = || {
            Error::new(ErrorKind::Offsets, "the stored state of the late-commit guard cannot be read").advise(
                "use the rowtide that wrote it, or a newer one; or store the offset without the field rowtide_guard",
            )
        };
        let mut parts = text.splitn(3, '/');
        let (Some(stored_word), Some(tag), Some(state)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unreadable());
        };
        if !WORDS.contains(&stored_word) {
            return Err(unreadable());
        }
        if stored_word != word || tag != tag_of(at, identity) {
            let why = if stored_word == word {
                "the stored offset was moved, or belongs to another server"
            } else {
                "late rows were looked for in another way until now"
            };
            tracing::warn!(table, "{why}; rows that committed late before are not looked for");
            self.risk(table, &format!("{why}; rows that committed late before then were not looked for"));
            return Ok(());
        }
        let state = State::from_text(self.way(), state).ok_or_else(unreadable)?;
        if matches!(&state, State::Gaps(state) if state.is_cut()) {
            self.risk(table, "there were more gaps between ids than an offset holds; the lowest are not looked into any more");
        }
        self.state = Some(state);
        self.stored.clone_from(&self.state);
        Ok(())
    }

    /// What is to be stored with a position.
    pub(super) fn stored_with(&mut self, at: &Position, identity: Option<&str>) -> Option<String> {
        self.stored.clone_from(&self.state);
        let (state, word) = (self.state.as_ref()?, State::word(self.way())?);
        Some(format!("{word}/{}/{}", tag_of(at, identity), state.to_text()))
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
        match self.way() {
            Way::Whole | Way::Delay | Way::Off => Ok(None),
            Way::Snapshot => self.begin_snapshot(at, connection, watch).await.map(Some),
            Way::Window | Way::Hold | Way::Rescan => self.begin_window(at, connection, watch).await.map(Some),
            Way::History => self.begin_history(at, connection, watch).await.map(Some),
            Way::Gaps => self.begin_gaps(at, connection, watch).await.map(Some),
        }
    }

    async fn begin_snapshot(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        // The observation is made before the view: what begins later takes a later time.
        let (answer, low) = watch.view(connection).await?;
        let state = match &self.state {
            Some(State::Snapshot(state)) => Some(state),
            _ => None,
        };
        let time = at.time()?;
        let behind = at.behind(time, low.clock);
        let cursor = Cursor { time, stepped_back: watch.stepped_back_since(self.observed), behind };
        let poll = snapshot::State::poll(state, &answer, &low, cursor, self.window());
        let (mut queries, mut storage, mut known) = (VecDeque::new(), None, None);
        if let (Some(late), Some(position)) = (&poll.late, at.position) {
            let low = at.value(late.low)?;
            let ids = late.ids.as_ref().map(halves);
            let query = at.binding.planner.late(&low, position, ids.as_deref());
            queries.push_back(query.ok_or_else(|| Error::internal("rows do not tell their transaction"))?);
        }
        if !queries.is_empty() || self.recent.storage.is_none() {
            // Rows that were written anew tell nothing any more; those that have been emitted are known by their cursor.
            let (now, rows) = self.recent.look(connection, &at.binding.definition.relation).await?;
            if rows.is_some() {
                let table = at.table;
                tracing::info!(
                    table,
                    "the table was written anew; rows already sent are told by their cursor this time"
                );
            }
            (storage, known) = (Some(now), rows);
        }
        let from = match at.value(poll.next_low().saturating_sub(behind).saturating_sub(MARGIN))? {
            CursorValue::Timestamp(from) => from,
            _ => Micros::MIN,
        };
        let emits = poll.late.as_ref().is_some_and(|late| late.emit);
        let machine = Machine::Snapshot { poll, emits, known, seen: Vec::new(), from, storage };
        Ok(self.sweep(machine, queries, low, watch))
    }

    async fn begin_window(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let observed = watch.low(connection, at.spec.polling.interval).await?;
        let state = match &self.state {
            Some(State::Window(state)) => Some(state),
            _ => None,
        };
        let time = at.time()?;
        let edge = self.edge(&observed);
        let low = edge.saturating_sub(at.behind(time, observed.clock));
        let stepped_back = watch.stepped_back_since(self.observed);
        let leaves = self.leaves(&at) && state.is_some();
        // At the first look of a session not all that is open is known to be as old as it is.
        let stays = leaves || observed.number <= 1;
        let low = state.filter(|_| stays).map_or(low, window::State::low);
        let poll = window::State::poll(state, low, stepped_back, columns_tag(&at.binding.definition));
        let (repeats, is_blind, from) = (poll.repeats, poll.is_blind, poll.from);
        let mut queries = VecDeque::new();
        if let (Some(position), Some(time), false) = (at.position, time, leaves)
            && from <= time.saturating_add(grain(at.kind()?))
        {
            queries.extend(at.binding.planner.window(&at.value(from)?, position));
        }
        let remembered = state.map_or(0, window::State::count);
        let machine = Machine::Window { low: at.value(poll.low())?, poll, leaves };
        let mut sweep = self.sweep(machine, queries, observed, watch);
        if repeats {
            let table = at.table;
            tracing::warn!(table, "what was read of the window was not stored; its rows are sent again");
        }
        if is_blind {
            self.risk(at.table, "the database's clock was set back further than rows are remembered");
        }
        self.hold(&at, &mut sweep, edge, remembered)?;
        Ok(sweep)
    }

    /// Whether the window, or the gaps, are left for another poll: looking into them takes long, and was done a moment ago.
    fn leaves(&self, at: &At<'_>) -> bool {
        !at.once && self.window_due.is_some_and(|due| Clock::now() < due)
    }

    /// Holds newer rows back where that is the way, or where no more can be remembered.
    fn hold(&mut self, at: &At<'_>, sweep: &mut Sweep, edge: Micros, remembered: usize) -> Result<()> {
        let waits = sweep.low.clock.saturating_sub(edge);
        let most = micros(at.spec.guard.max_wait);
        let (on_timeout, way) = (at.spec.guard.on_timeout, self.way());
        let is_overdue = match way {
            Way::Window => remembered > window::STORED,
            Way::Hold => waits > most,
            _ => false,
        };
        let holder = sweep.low.oldest.as_ref().and_then(|(_, holder)| holder.clone());
        let holder = holder.unwrap_or_else(|| "a transaction".to_owned());
        let blocker = format!("{holder}, open for up to {} s", waits / 1_000_000);
        if is_overdue && on_timeout == OnTimeout::Fail {
            let message = format!("newer rows wait for {blocker}, and commit.guard.on.timeout=fail");
            return Err(Error::new(ErrorKind::Refused, message)
                .advise("end that transaction, or set commit.guard.on.timeout to hold or rescan"));
        }
        let reads_on = is_overdue && on_timeout == OnTimeout::Rescan && remembered <= MOST_REMEMBERED;
        let holds = if way == Way::Hold { !reads_on } else { is_overdue && !reads_on };
        let level = match way {
            _ if reads_on => Level::Rescan,
            Way::Window if holds => Level::Hold,
            way => way.level(),
        };
        if reads_on && self.status.level != level.as_str() {
            let table = at.table;
            tracing::warn!(
                table,
                blocker,
                "reading on beside an open transaction; a restart would repeat what is read meanwhile"
            );
        }
        self.status.level = level.as_str();
        // A moment's wait is none.
        let is_long = way != Way::Hold || waits > LONG_WAIT && sweep.low.oldest.is_some();
        sweep.blocker = (holds && is_long).then_some(blocker);
        sweep.upper = match (holds, way, at.position) {
            (false, ..) => None,
            (true, Way::Hold, _) => Some(at.value(edge)?),
            // What is remembered is full: nothing newer is read at all.
            (true, _, position) => position.and_then(|position| position.0.first().cloned()),
        };
        Ok(())
    }

    /// Nothing can be written below it any more: as far as writers are seen, or taken to be at it.
    fn edge(&self, low: &Low) -> Micros {
        let width = self.narrowed.map_or(self.window(), |narrowed| narrowed.min(self.window()));
        let assumed = low.clock.saturating_sub(width);
        let Some(judged) = self.judged.as_ref().filter(|judged| judged.sees_writers) else { return assumed };
        let head_start = micros(judged.head_start);
        let seen = if low.has_unknown { low.known.min(assumed) } else { low.known };
        seen.saturating_sub(head_start)
    }

    async fn begin_history(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let (past, observed) = watch.past(connection, at.once).await?;
        let planner = &at.binding.planner;
        let state = match &self.state {
            Some(State::History(state)) => Some(*state),
            _ => None,
        };
        let time = at.time()?;
        let (low, upto) = match planner.time_kind() {
            Some(kind) => {
                let edge = self.edge(&observed).min(past.as_of);
                let low = i128::from(edge.saturating_sub(at.behind(time, observed.clock)));
                // At the first look of a session not all that is open is known to be as old as it is.
                let low = state.filter(|_| observed.number <= 1).map_or(low, history::State::low);
                (low, time.map(|time| i128::from(time.saturating_add(grain(kind)))))
            }
            None => {
                let upto = self.reach(&at, connection, watch, &observed).await?;
                (self.low_id(&observed, upto), upto.map(i128::from))
            }
        };
        // A stored time that the database forgets would repeat what lies between.
        let must_store = match &self.stored {
            Some(State::History(stored)) => {
                let quarter = past.as_of.saturating_sub(past.horizon) / 4;
                upto >= Some(stored.low()) && past.as_of.saturating_sub(stored.as_of()) > quarter
            }
            _ => false,
        };
        let poll = history::State::poll(state, low, past.horizon);
        let mut sweep =
            self.sweep(Machine::History { poll, as_of: past.as_of, must_store }, VecDeque::new(), observed, watch);
        // In the order of ids a row is what it was when it was new.
        sweep.by_content &= planner.time_kind().is_some();
        let Machine::History { poll, .. } = &mut sweep.machine else { return Ok(sweep) };
        if let Some(position) = at.position
            && upto >= Some(poll.from)
        {
            let from = match (planner.time_kind(), planner.id_kind()) {
                (None, Some(kind)) => gaps::value(u64::try_from(poll.from).unwrap_or(0), kind),
                _ => at.value(Micros::try_from(poll.from).unwrap_or(Micros::MIN))?,
            };
            let window = Window { from: &from, upto: position, by_content: sweep.by_content };
            if has_changed(&at, connection, watch, poll, past, &window).await? {
                sweep.queries.extend(planner.window(&from, position));
            }
        }
        if poll.repeats {
            let table = at.table;
            tracing::warn!(
                table,
                "the database has forgotten the time of the last poll; rows of the window are sent again"
            );
        }
        Ok(sweep)
    }

    async fn begin_gaps(
        &mut self,
        at: At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
    ) -> Result<Sweep> {
        let low = watch.low(connection, at.spec.polling.interval).await?;
        let planner = &at.binding.planner;
        let kind = planner.id_kind().ok_or_else(|| Error::internal("gaps are those of ids"))?;
        let cursor = self.reach(&at, connection, watch, &low).await?;
        let judged = self.judged.as_ref().filter(|judged| judged.sees_writers && judged.ids_kept == 0);
        let closed = match judged {
            Some(judged) if !low.has_unknown => low.known.saturating_sub(micros(judged.head_start)),
            _ => low.clock.saturating_sub(self.window()),
        };
        let state = match &self.state {
            Some(State::Gaps(state)) => Some(state),
            _ => None,
        };
        let leaves = self.leaves(&at) && state.is_some();
        let poll = gaps::State::poll(state, &self.past, Some(closed), cursor, leaves);
        let ranges = poll.gaps.ranges().iter();
        let ranges: Vec<_> = ranges.map(|(from, to)| (gaps::value(*from, kind), gaps::value(to - 1, kind))).collect();
        let queries = ranges.chunks(GAPS_AT_ONCE).filter_map(|chunk| planner.with_ids(chunk)).collect();
        Ok(self.sweep(Machine::Gaps { poll, kind, leaves }, queries, low, watch))
    }

    /// The number of the id the position is at. Notes how far ids had been handed out when the database was observed.
    async fn reach(
        &mut self,
        at: &At<'_>,
        connection: &mut dyn SourceConnection,
        watch: &Watch,
        low: &Low,
    ) -> Result<Option<u64>> {
        let planner = &at.binding.planner;
        let kind = planner.id_kind().ok_or_else(|| Error::internal("ids are what is looked for"))?;
        let number = |id: Option<&CursorValue<'_>>| id.and_then(|id| gaps::number(id, kind));
        let cursor = number(at.position.and_then(|position| position.0.first()));
        if self.observed.0 != watch.life() {
            // What begins from now on gets greater ones.
            self.past = gaps::Past::default();
            self.greatest = match planner.extreme_probe(false) {
                Some(probe) => number(connection.probe(&probe).await?.as_ref()),
                None => None,
            };
        } else if self.observed.1 != low.number
            && let Some(reached) = self.greatest.max(cursor)
        {
            self.past.seen(low.clock, reached);
        }
        Ok(cursor)
    }

    /// Below this no id can come any more. At the very first poll it is assumed.
    fn low_id(&self, low: &Low, cursor: Option<u64>) -> i128 {
        let kept = self.judged.as_ref().map_or(0, |judged| judged.ids_kept);
        let (back, reached) = match (&self.state, self.past.before(self.edge(low))) {
            (_, Some(reached)) => (kept, Some(reached)),
            (Some(_), None) => return i128::MIN,
            (None, None) => (kept.max(FIRST_IDS), self.greatest.max(cursor)),
        };
        reached.map_or(0, |reached| i128::from(reached) - i128::from(back))
    }

    fn sweep(&self, machine: Machine, queries: VecDeque<PlannedQuery>, low: Low, watch: &Watch) -> Sweep {
        Sweep {
            machine,
            queries,
            upper: None,
            blocker: None,
            by_content: self.judged.as_ref().is_some_and(|judged| judged.by_content),
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
        let seconds = |since: Micros| low.clock.saturating_sub(since).max(0) as f64 / 1e6;
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
                let is_outdated = match &self.stored {
                    Some(State::Snapshot(stored)) => state.outdates(stored),
                    _ => false,
                };
                let (window, hidden) = (state.low(), state.hidden_count());
                (State::Snapshot(state), Some(window), hidden, is_outdated)
            }
            Machine::Window { poll, leaves, .. } => {
                let state = if leaves { poll.finish_without_window() } else { poll.finish() };
                self.looked(leaves, took);
                let window = state.low();
                let is_unseen = self.judged.as_ref().is_some_and(|judged| !judged.sees_writers);
                if is_unseen && state.count() > MOST_UNSEEN {
                    self.narrow(table, low.clock.saturating_sub(window) / 2);
                }
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
        self.status.window_seconds = window.map(seconds);
        self.status.hidden_ids = hidden;
        self.status.late_rows += late_rows;
        self.status.reread_rows += reread_rows;
        self.status.blocker = blocker;
        // Of what was open before the first observation the start is known only as far as the window.
        let oldest = low.oldest.as_ref().map(|(since, holder)| ((*since).max(window.unwrap_or(*since)), holder));
        self.status.oldest_transaction_seconds = oldest.as_ref().map(|(since, _)| seconds(*since));
        self.status.oldest_transaction = oldest.and_then(|(_, holder)| holder.clone());
        board.guard(self.status.clone());
        let observed_before = std::mem::replace(&mut self.observed, observed);
        self.undone = Some((self.state.replace(state), observed_before));
        must_store
    }

    /// Late rows were looked for, unless that was left for another poll.
    fn looked(&mut self, leaves: bool, took: Duration) {
        if !leaves {
            self.window_due = (took > QUICK).then(|| Clock::now() + took * 9);
        }
    }

    /// The window has more rows than are read again at each poll, where writers cannot be seen.
    fn narrow(&mut self, table: &str, width: Micros) {
        self.narrowed = Some(width);
        let seconds = width as f64 / 1e6;
        self.risk(
            table,
            &format!(
                "more than {MOST_UNSEEN} rows would be read again at each poll, so only those of the last {seconds:.1} s \
                 are; transactions open for longer are not covered"
            ),
        );
    }

    /// What an error of the poll means. Of a table that was made or altered a moment ago the past has other columns, and
    /// soon has not: then it is tried again.
    pub(super) fn judge_error(&self, error: Error) -> Error {
        let is_recent = self.judged_at.is_some_and(|judged| judged.elapsed() < RECENT);
        if self.way() != Way::History || !is_another(&error) || !is_recent {
            return error;
        }
        Error::new(ErrorKind::Query, "the table was another one a moment ago, and that is what is read first")
            .caused_by(error)
    }

    /// How a poll ended. If its rows did not get on their way, what it has led to is not true.
    pub(super) fn settle(&mut self, is_on_its_way: bool) {
        if let Some((state, observed)) = self.undone.take().filter(|_| !is_on_its_way) {
            (self.state, self.observed) = (state, observed);
            self.recent = Recent::default();
        }
    }
}

/// The part of a table where late rows can be.
struct Window<'a> {
    from: &'a CursorValue<'static>,
    upto: &'a Position,
    by_content: bool,
}

/// Whether a window is another than it was at the last poll; if so, what it was is told to `poll`. The view as of now is
/// open before and after.
async fn has_changed(
    at: &At<'_>,
    connection: &mut dyn SourceConnection,
    watch: &mut Watch,
    poll: &mut history::Poll,
    now: PastView,
    window: &Window<'_>,
) -> Result<bool> {
    let Some(before) = poll.before else { return Ok(true) };
    let (planner, definition) = (&at.binding.planner, &at.binding.definition);
    let checksum = planner.window_checksum(window.from, window.upto, (definition, window.by_content));
    let sum_now = match &checksum {
        Some(checksum) => connection.probe(checksum).await?,
        None => None,
    };
    watch.release(connection).await?;
    let read = async {
        let past = connection.begin_past(Some(before)).await?;
        if past.as_of < past.horizon {
            poll.is_forgotten();
            return Ok(true);
        }
        if let Some(checksum) = &checksum
            && connection.probe(checksum).await? == sum_now
        {
            return Ok(false);
        }
        if let Some(query) = planner.window(window.from, window.upto) {
            let mut stream = connection.fetch(definition, &query).await?;
            let mut take = |print: Print| poll.was_there(print);
            stream.next_rows(&mut Prints { by_content: window.by_content, take: &mut take }).await?;
        }
        Ok(true)
    };
    let read: Result<bool> = read.await;
    let has_changed = match read {
        Err(error) if is_another(&error) => {
            poll.is_forgotten();
            true
        }
        read => read?,
    };
    connection.end_view().await?;
    watch.reopen(connection, now).await?;
    Ok(has_changed)
}

/// The table was another one then, or none at all.
fn is_another(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::SourceSchema | ErrorKind::SchemaChanged)
}

/// Every word an offset's guard field may begin with.
const WORDS: [&str; 4] = ["snapshot-1", "window-1", "history-1", "gaps-1"];

fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}

/// Stands for the columns that rows hold.
fn columns_tag(definition: &TableDefinition) -> u32 {
    let columns = definition.columns.iter();
    let hash = columns.fold(Hash::default(), |hash, column| {
        hash.with(column.field.name.as_bytes()).with(&[0]).with(column.database_type.as_bytes()).with(&[0])
    });
    hash.half()
}

/// Position and server that a state belongs to, in short.
fn tag_of(at: &Position, identity: Option<&str>) -> String {
    let hash = Hash::default().with(at.to_text().as_bytes()).with(b"|").with(identity.unwrap_or_default().as_bytes());
    format!("{:016x}", hash.whole())
}
