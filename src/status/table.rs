//! The status of one table: its state, since when, the reason, and its progress.

use serde::{Serialize, Serializer};

use super::Millis;
use crate::error::ErrorKind;
use crate::model::{Backfill, CursorFact, Instant, NotPolled};

/// The time after the end of a rest within which a table is looked at.
const LATEST_LOOK: Millis = 60_000;

/// The state of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableState {
    /// First load: the rows that were there before the connector.
    Loading,
    /// The last poll found rows.
    Live,
    /// The last poll found nothing newer.
    Idle,
    /// Waiting: for a database or brokers that do not answer, for its turn, for an older transaction to end, for the times of
    /// `poll.windows`, for a replica that lags.
    Waiting,
    /// The last poll failed and will be tried again.
    BackingOff,
    /// Given up; an operator has to act.
    Failed,
    /// Not polled until an operator lets it go on, while the others are.
    Paused,
    /// Stopped on purpose, with its connector.
    Stopped,
}

impl TableState {
    /// Every state, in the order of the documentation.
    pub const ALL: [TableState; 8] = [
        TableState::Loading,
        TableState::Live,
        TableState::Idle,
        TableState::Waiting,
        TableState::BackingOff,
        TableState::Failed,
        TableState::Paused,
        TableState::Stopped,
    ];

    /// The word used in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            TableState::Loading => "loading",
            TableState::Live => "live",
            TableState::Idle => "idle",
            TableState::Waiting => "waiting",
            TableState::BackingOff => "backing_off",
            TableState::Failed => "failed",
            TableState::Paused => "paused",
            TableState::Stopped => "stopped",
        }
    }
}

/// The progress of a first load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadProgress {
    /// The time it began.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Rows committed so far.
    pub rows: u64,
    /// Rows to expect by the database's statistics, if it has any.
    pub estimated_rows: Option<u64>,
}

impl LoadProgress {
    /// Rows still to come, if the statistics were right.
    pub(super) fn left(&self) -> Option<u64> {
        self.estimated_rows.map(|all| all.saturating_sub(self.rows))
    }
}

/// The request of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackfillStatus {
    /// The table that is read again.
    pub of: String,
    /// Its condition, its topic and its rate, where it has any.
    #[serde(flatten)]
    pub request: Backfill,
}

/// A table that is not polled although it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// The setting by which it waits.
    pub by: HeldBy,
    /// The time at which it is polled again, or looked at again.
    #[serde(serialize_with = "rfc3339")]
    pub until: Millis,
}

/// The setting by which a table waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HeldBy {
    /// It is outside of its windows: an operator has wanted it so.
    #[serde(rename = "poll.windows")]
    Windows,
    /// The replica that is read lags behind its primary.
    #[serde(rename = "replica.lag.max.ms")]
    ReplicaLag,
}

impl HeldBy {
    /// Every one.
    pub const ALL: [HeldBy; 2] = [HeldBy::Windows, HeldBy::ReplicaLag];

    /// The name of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            HeldBy::Windows => "poll.windows",
            HeldBy::ReplicaLag => "replica.lag.max.ms",
        }
    }
}

/// A table that began anew while it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeganAnew {
    /// The time that was noticed last.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
    /// The number of times since the connector was started.
    pub times: u32,
}

/// The promise about rows that commit late, and the state of the guard that keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct GuardStatus {
    /// The level promised; empty until it is known.
    pub level: &'static str,
    /// The method.
    #[serde(rename = "way")]
    pub method: &'static str,
    /// The cases not covered.
    pub uncovered: String,
    /// The remedy that would raise the level.
    #[serde(rename = "raise")]
    pub remedy: Option<String>,
    /// The width of the window in which late rows are looked for.
    pub window_seconds: Option<f64>,
    /// The age of the oldest open transaction, at most.
    pub oldest_transaction_seconds: Option<f64>,
    /// Its holder.
    pub oldest_transaction: Option<String>,
    /// Rows that committed late and were caught since the start.
    pub late_rows: u64,
    /// Ids, of transactions or of rows, that may still become visible below the position.
    pub hidden_ids: u64,
    /// Rows that were read again and were not late, since the start.
    pub reread_rows: u64,
    /// The transaction that newer rows wait for, where they do.
    pub blocker: Option<String>,
    /// The time since when loss cannot be excluded, and why.
    pub at_risk: Option<Risk>,
}

/// The reason why rows may have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// The reason, in words.
    pub reason: String,
    /// The time it began.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
}

/// One table, or the query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableStatus {
    /// Its dotted name, or `query`.
    pub table: String,
    /// Its state.
    pub state: TableState,
    /// The time it began.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// The reason, where the state does not tell it.
    pub reason: Option<String>,
    /// The advice for the operator.
    pub advice: Option<String>,
    /// The kind of the error that keeps it from being polled, which has an entry in docs/troubleshooting.md.
    #[serde(serialize_with = "snake_case")]
    pub kind: Option<ErrorKind>,
    /// The last successful poll.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_poll: Option<Millis>,
    /// Rows committed since the start.
    pub rows: u64,
    /// Bytes of keys and values committed since the start.
    pub bytes: u64,
    /// Rows left out since the start because they cannot be delivered (`errors.tolerance`, `row.too.large`).
    pub rows_skipped: u64,
    /// The fault of the last row left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<String>,
    /// The committed position, as text.
    pub position: Option<String>,
    /// The cursor time of the newest row committed.
    #[serde(serialize_with = "instant")]
    pub newest: Option<Instant>,
    /// The lag: how much older the newest row read is than the database's clock, in seconds; 0 if nothing newer is
    /// there. While the table cannot be read it grows from the last successful poll on. None without a timestamp
    /// column.
    pub lag_seconds: Option<f64>,
    /// Rows still to be read, where that is known without counting: by the statistics during a first load, 0 when
    /// the last poll reached the end.
    pub rows_behind: Option<u64>,
    /// Rows that no poll reads because of their cursor values, by reason, as of the last look.
    pub not_polled: Vec<NotPolled>,
    /// The last time the table began anew and was read from its beginning (`table.recreated=follow`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_anew: Option<BeganAnew>,
    /// The first load, while it runs.
    pub load: Option<LoadProgress>,
    /// The request, of a backfill, which stands beside its table under a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfill: Option<BackfillStatus>,
    /// The setting by which it is not polled now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBack>,
    /// Columns left out of the records, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped_columns: Vec<String>,
    /// The promise about rows that commit late.
    pub guard: GuardStatus,
    /// The meaning of the database's rules and of the values for the cursor columns.
    pub cursor_facts: Vec<CursorFact>,
    /// The time since when it has waited for its first poll, also for the first after a rest.
    #[serde(skip)]
    pub(super) known_since: Millis,
    /// The duration of its last successful poll: the next one may take as long.
    #[serde(skip)]
    pub(super) poll_took: Millis,
    /// The state it would have if nothing held it up, and the reason.
    #[serde(skip)]
    pub(super) own: (TableState, Option<Why>),
    /// The stalls, by stage.
    #[serde(skip)]
    pub(super) stalls: [Option<Held>; Stage::COUNT],
}

/// A stall: its reporter and its cause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    /// The number of the reporter, who alone may take it back.
    pub(super) by: u64,
    pub(super) why: Why,
    /// True if it is only the database's work, which takes its time.
    pub(super) at_work: bool,
}

/// A reason in words, and the advice.
pub(super) type Why = (String, Option<String>);

/// The stage that noticed a stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The stage that reads.
    Poll,
    /// The stage that commits.
    Commit,
}

impl Stage {
    const COUNT: usize = 2;
}

impl TableStatus {
    pub(super) fn new(table: &str, now: Millis) -> Self {
        Self {
            table: table.to_owned(),
            state: TableState::Idle,
            since: now,
            reason: None,
            advice: None,
            kind: None,
            last_poll: None,
            rows: 0,
            bytes: 0,
            rows_skipped: 0,
            skip_reason: None,
            position: None,
            newest: None,
            lag_seconds: None,
            rows_behind: None,
            not_polled: Vec::new(),
            began_anew: None,
            load: None,
            backfill: None,
            held_back: None,
            skipped_columns: Vec::new(),
            guard: GuardStatus::default(),
            cursor_facts: Vec::new(),
            known_since: now,
            poll_took: 0,
            own: (TableState::Idle, None),
            stalls: [None, None],
        }
    }

    /// Enters a state. `since` is kept while the state stays the same, so that it tells how long something lasts.
    pub(super) fn enter(&mut self, state: TableState, now: Millis, why: Option<Why>) {
        if self.held_back.take().is_some() {
            // It had no poll meanwhile.
            self.known_since = now;
        }
        self.own = (state, why);
        self.show(now);
    }

    /// Enters a time at which it is not polled, or lets it last longer.
    pub(super) fn hold_back(&mut self, held: HeldBack, now: Millis, why: Why) {
        let known_since = self.known_since;
        self.enter(TableState::Waiting, now, Some(why));
        (self.held_back, self.known_since) = (Some(held), known_since);
    }

    /// True if an operator has wanted that it is not polled now.
    pub(super) fn is_outside_windows(&self, now: Millis) -> bool {
        self.held_back.is_some_and(|held| held.by == HeldBy::Windows && now <= held.until.saturating_add(LATEST_LOOK))
    }

    /// Takes in a stall.
    pub(super) fn stall(&mut self, stage: Stage, now: Millis, held: Held) {
        self.stalls[stage as usize] = Some(held);
        self.show(now);
    }

    /// Takes a stall back, unless somebody else has reported one since.
    pub(super) fn go_on(&mut self, stage: Stage, now: Millis, number: u64) {
        self.stalls[stage as usize].take_if(|held| held.by == number);
        self.show(now);
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.state == TableState::Waiting && self.stalls.iter().flatten().any(|held| !held.at_work)
    }

    /// Lets the lag grow from the last successful poll on while the table cannot be read: nobody knows what is new.
    pub(super) fn age(&mut self, now: Millis) {
        let held_up = matches!(self.state, TableState::BackingOff | TableState::Failed | TableState::Paused)
            || self.held_back.is_some()
            || self.stalls.iter().any(Option::is_some);
        if let (Some(lag), Some(polled), true) = (&mut self.lag_seconds, self.last_poll, held_up) {
            *lag += now.saturating_sub(polled).max(0) as f64 / 1000.0;
        }
    }

    /// A table that is held up is not plainly live, whatever its last poll said.
    fn show(&mut self, now: Millis) {
        let (own, why) = &self.own;
        let moves = matches!(own, TableState::Loading | TableState::Live | TableState::Idle);
        let stall = self.stalls.iter().flatten().next().map(|held| &held.why).filter(|_| moves);
        let (state, why) = stall.map_or((*own, why.as_ref()), |stall| (TableState::Waiting, Some(stall)));
        if !matches!(state, TableState::BackingOff | TableState::Failed) {
            self.kind = None;
        }
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        (self.reason, self.advice) = why.cloned().map_or((None, None), |(reason, advice)| (Some(reason), advice));
    }
}

pub(super) fn rfc3339<S: Serializer>(millis: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Instant::from_millis(*millis).to_rfc3339())
}

pub(super) fn snake_case<S: Serializer>(kind: &Option<ErrorKind>, serializer: S) -> Result<S::Ok, S::Error> {
    kind.map(ErrorKind::snake_case).serialize(serializer)
}

fn rfc3339_option<S: Serializer>(millis: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    instant(&millis.map(Instant::from_millis), serializer)
}

fn instant<S: Serializer>(instant: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    instant.map(Instant::to_rfc3339).serialize(serializer)
}
