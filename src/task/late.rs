//! Rows that commit late, for one relation: judges what is possible, runs the guard's state machine with what the
//! connection observes, and reads late rows in the same view of the database as the page they come with, so that both
//! share a batch, a transaction and an offset. Decides nothing itself: that is `guard`.

use std::time::Duration;

use tokio::time::Instant as Clock;

use super::binding::Binding;
use super::sweep::{Recent, Sweep};
use crate::config::spec::{ConnectorSpec, GuardChoice};
use crate::dialect::{Ability, LateSupport, SourceConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::edge::{Edge, Low, Observation};
use crate::guard::snapshot::{Broken, Cursor, LateRows, State, halves};
use crate::guard::{Verdict, Way};
use crate::model::{CursorValue, Instant, Micros, Mode, PlannedQuery, Position};
use crate::plan::Planner;
use crate::status::{GuardStatus, TableBoard};
use crate::zone::Zone;

/// What an offset's guard field begins with; another version is another word.
const SNAPSHOT: &str = "snapshot-1";
/// An older observation widens the window more than a query costs.
const LONGEST_USE: Duration = Duration::from_secs(1);
/// How much further back than the window of the next poll is expected to reach they are.
const MARGIN: Micros = 60_000_000;

/// What can be promised about late rows of a relation.
///
/// # Errors
/// `Config` if `commit.guard` asks for what is not possible; those of the connection.
pub async fn judge(spec: &ConnectorSpec, connection: &mut dyn SourceConnection, binding: &Binding) -> Result<Verdict> {
    let is_timed = match binding.planner.mode() {
        Mode::Bulk => {
            let uncovered = "nothing; every pass reads everything".to_owned();
            return Ok(Verdict { way: Way::Whole, uncovered, raise: None });
        }
        Mode::Incrementing { .. } => false,
        Mode::Timestamp { .. } | Mode::TimestampIncrementing { .. } => true,
    };
    let fallback = |why: Option<String>, raise: Option<String>| {
        let why = why.map(|why| format!("; {why}")).unwrap_or_default();
        let raise = raise.or_else(|| is_timed.then(|| "timestamp.delay.interval.ms waits for it".to_owned()));
        if is_timed && spec.polling.delay > Duration::ZERO {
            let uncovered = format!("transactions longer than timestamp.delay.interval.ms may be missed{why}");
            let raise = raise.filter(|raise| !raise.starts_with("timestamp.delay"));
            return Verdict { way: Way::Delay, uncovered, raise };
        }
        let passed = if is_timed { "a later timestamp" } else { "a higher id" };
        let uncovered =
            format!("a row whose transaction commits after {passed} was read is missed, as in the reference{why}");
        Verdict { way: Way::Off, uncovered, raise }
    };
    if matches!(spec.guard.way, GuardChoice::Off | GuardChoice::Delay) {
        let word = if spec.guard.way == GuardChoice::Off { "off" } else { "delay" };
        return Ok(fallback(None, Some(format!("remove commit.guard={word}"))));
    }
    let support = if !is_timed {
        let views = Ability::no("an id alone does not say how far back to look", "use mode=timestamp+incrementing");
        LateSupport { views, ..LateSupport::default() }
    } else if spec.polling.suffix.is_some() {
        let views = Ability::no("query.suffix may leave rows out", "remove query.suffix");
        LateSupport { views, ..LateSupport::default() }
    } else {
        connection.late_support(&binding.definition.relation, None).await?
    };
    match support.views {
        Ability::Yes { .. } => Ok(Verdict {
            way: Way::Snapshot,
            uncovered: format!(
                "not covered: times that a client's own clock assigns, further back than the oldest open transaction{}",
                if binding.planner.is_zoned() {
                    ""
                } else {
                    "; and, for the column has no time zone, sessions that write in other zones than the rest"
                }
            ),
            raise: None,
        }),
        Ability::No { why, raise } if spec.guard.way == GuardChoice::Snapshot => {
            Err(Error::config(format!("commit.guard=snapshot is not possible here: {why}"))
                .with("table", &binding.definition.relation)
                .advise(format!(
                    "{raise}{}commit.guard=auto takes what is possible",
                    if raise.is_empty() { "" } else { "; " }
                )))
        }
        Ability::No { why, raise } => Ok(fallback(Some(why), (!raise.is_empty()).then_some(raise))),
    }
}

/// Follows what is open in the database, for all relations of a connection.
#[derive(Default)]
pub(super) struct Watch {
    edge: Edge,
    /// Counts connections: what was observed on one says nothing on another.
    life: u64,
    low: Option<Low>,
    /// When the last observation was asked for, and answered.
    asked: Option<(Clock, Clock)>,
}

impl Watch {
    /// Another connection, perhaps to another server.
    pub(super) fn reset(&mut self) {
        *self = Self { life: self.life + 1, ..Self::default() };
    }

    /// The low edge, observed anew if that was longer ago than `age`.
    async fn low(&mut self, connection: &mut dyn SourceConnection, age: Duration) -> Result<Low> {
        if let (Some(low), Some((_, answered))) = (&self.low, self.asked)
            && answered.elapsed() < age.min(LONGEST_USE)
        {
            return Ok(low.clone());
        }
        let sent = Clock::now();
        let open = connection.open_transactions().await?;
        let answered = Clock::now();
        let micros = |span: Duration| Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX);
        let passed = self.asked.map_or((0, 0), |(last_sent, last_answered)| {
            (micros(sent.duration_since(last_answered)), micros(answered.duration_since(last_sent)))
        });
        self.asked = Some((sent, answered));
        let low = self.edge.observe(&Observation { open, passed });
        self.low = Some(low.clone());
        Ok(low)
    }
}

/// The guard of one relation.
#[derive(Default)]
pub(super) struct Late {
    verdict: Option<Verdict>,
    state: Option<State>,
    /// What the last offset handed on holds.
    stored: Option<State>,
    /// The life of the connection and the number of the last observation used.
    observed: (u64, u64),
    recent: Recent,
    /// The state before the present poll, once that is finished.
    undone: Option<Option<State>>,
    status: GuardStatus,
}

impl Late {
    /// Takes what was judged, and says so once.
    pub(super) fn judged(&mut self, table: &str, verdict: Verdict, board: &TableBoard) {
        if self.verdict.as_ref() != Some(&verdict) {
            tracing::info!(
                table,
                way = verdict.way.as_str(),
                level = verdict.way.level().as_str(),
                "late commits: {verdict}"
            );
        }
        self.status.way = verdict.way.as_str();
        self.status.level = verdict.way.level().as_str();
        self.status.uncovered.clone_from(&verdict.uncovered);
        self.status.raise.clone_from(&verdict.raise);
        if verdict.way != Way::Snapshot {
            (self.state, self.stored) = (None, None);
        }
        self.verdict = Some(verdict);
        board.guard(self.status.clone());
    }

    fn is_snapshot(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.way == Way::Snapshot)
    }

    /// Goes on from what is stored with a position. What was stored for another position or server is not used:
    /// somebody has moved the offset.
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
        let (Some(text), Some(at), true) = (stored, at, self.is_snapshot()) else { return Ok(()) };
        let unreadable = || {
            Error::new(ErrorKind::Offsets, "the stored state of the late-commit guard cannot be read").advise(
                "use the rowtide that wrote it, or a newer one; or store the offset without the field rowtide_guard",
            )
        };
        let mut parts = text.splitn(3, '/');
        let (Some(SNAPSHOT), Some(tag), Some(state)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unreadable());
        };
        if tag != tag_of(at, identity) {
            tracing::warn!(
                table,
                "the stored offset was moved, or belongs to another server; rows that committed late before are not looked for"
            );
            return Ok(());
        }
        self.state = Some(State::from_text(state).ok_or_else(unreadable)?);
        self.stored.clone_from(&self.state);
        Ok(())
    }

    /// What is to be stored with a position.
    pub(super) fn stored_with(&mut self, at: &Position, identity: Option<&str>) -> Option<String> {
        self.stored.clone_from(&self.state);
        let state = self.state.as_ref()?;
        Some(format!("{SNAPSHOT}/{}/{}", tag_of(at, identity), state.to_text()))
    }

    /// Begins the guard's part of a poll, and with it a view of the database; none where there is no guard. `newest` is
    /// the newest time the table is known to have.
    pub(super) async fn begin(
        &mut self,
        (spec, table): (&ConnectorSpec, &str),
        connection: &mut dyn SourceConnection,
        watch: &mut Watch,
        binding: &Binding,
        (position, newest): (Option<&Position>, Option<Micros>),
    ) -> Result<Option<Sweep>> {
        let (planner, relation) = (&binding.planner, &binding.definition.relation);
        let (Some(kind), true) = (planner.time_kind(), self.is_snapshot()) else { return Ok(None) };
        let zone = &spec.source.types.all.zone;
        let cursor = match position.and_then(|position| position.0.first()) {
            Some(time) => Some(kind.to_instant(time, zone)?.micros()),
            None => None,
        };
        // Before the view: what begins later takes a later time.
        let low = watch.low(connection, spec.polling.interval).await?;
        let newest = cursor.into_iter().chain(newest.filter(|newest| *newest <= low.clock)).max();
        let behind = if planner.is_zoned() { None } else { newest.map(|newest| low.clock.saturating_sub(newest)) };
        let last = if self.observed.0 == watch.life { self.observed.1 } else { 0 };
        let stepped_back = watch.edge.stepped_back_since(last);
        let answer = connection.begin_view(&State::question(self.state.as_ref())).await?;
        let storage = connection.storage(relation).await?;
        let window = Micros::try_from(spec.guard.window.as_micros()).unwrap_or(Micros::MAX);
        let cursor = Cursor { time: cursor, stepped_back, behind: behind.unwrap_or(0).max(0) };
        let poll = State::poll(self.state.as_ref(), &answer, &low, cursor, window);
        let query = match (&poll.late, position) {
            (Some(late), Some(position)) => Some(query(planner, late, position, zone)?),
            _ => None,
        };
        let emits = poll.late.as_ref().is_some_and(|late| late.emit);
        // Rows that were written anew tell nothing any more; those that have been emitted are known by their cursor.
        let is_rewritten = self.recent.storage.as_ref().is_some_and(|before| *before != storage);
        if is_rewritten {
            tracing::info!(table, "the table was written anew; rows already sent are told by their cursor this time");
        }
        let from = poll.next_low().saturating_sub(cursor.behind).saturating_sub(MARGIN);
        let from = match kind.from_instant(Instant::from_micros(from), zone)? {
            CursorValue::Timestamp(from) => from,
            _ => Micros::MIN,
        };
        Ok(Some(Sweep {
            poll,
            query,
            emits,
            known: is_rewritten.then(|| self.recent.rows.clone()),
            seen: Vec::new(),
            from,
            storage: storage,
            late_rows: 0,
            observed: (watch.life, low.number),
            low,
        }))
    }

    /// Takes the state a poll has led to. True if it has to be stored even if there were no rows.
    pub(super) fn finish(&mut self, table: &str, sweep: Sweep, board: &TableBoard) -> bool {
        self.recent.take(sweep.storage, sweep.seen, sweep.from);
        match sweep.poll.broken {
            Some(Broken::Rewound) => tracing::warn!(
                table,
                "the database was set back to an earlier time; rows that commit late are looked for from here on"
            ),
            Some(Broken::WrappedAround) => tracing::warn!(
                table,
                "too many transactions since the last poll to tell rows by them; rows of the window were repeated"
            ),
            None => {}
        }
        let state = sweep.poll.finish();
        let clock = sweep.low.clock;
        let seconds = |since: Micros| clock.saturating_sub(since).max(0) as f64 / 1e6;
        self.status.window_seconds = Some(seconds(state.low()));
        self.status.hidden_ids = state.hidden_count();
        self.status.late_rows += sweep.late_rows;
        // Of what was open before the first observation the start is known only as far as the window.
        let oldest = sweep.low.oldest.as_ref().map(|(since, holder)| ((*since).max(state.low()), holder));
        self.status.oldest_transaction_seconds = oldest.as_ref().map(|(since, _)| seconds(*since));
        self.status.oldest_transaction = oldest.and_then(|(_, holder)| holder.clone());
        board.guard(self.status.clone());
        let must_store = self.stored.as_ref().is_some_and(|stored| state.outdates(stored));
        self.observed = sweep.observed;
        self.undone = Some(self.state.replace(state));
        must_store
    }

    /// How a poll ended. If its rows did not get on their way, what it has led to is not true.
    pub(super) fn settle(&mut self, is_on_its_way: bool) {
        if let Some(before) = self.undone.take().filter(|_| !is_on_its_way) {
            self.state = before;
            self.recent = Recent::default();
        }
    }
}

/// The query for late rows.
fn query(planner: &Planner, late: &LateRows, upto: &Position, zone: &Zone) -> Result<PlannedQuery> {
    let kind = planner.time_kind().ok_or_else(|| Error::internal("late rows are found by their time"))?;
    let low = kind.from_instant(Instant::from_micros(late.low), zone)?;
    let ids = late.ids.as_ref().map(halves);
    planner.late(&low, upto, ids.as_deref()).ok_or_else(|| Error::internal("rows do not tell their transaction"))
}

/// Position and server that a state belongs to, in short.
fn tag_of(at: &Position, identity: Option<&str>) -> String {
    // FNV-1a: stable over builds, and nobody attacks it.
    let text = [at.to_text().as_bytes(), b"|", identity.unwrap_or_default().as_bytes()].concat();
    let hash = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
