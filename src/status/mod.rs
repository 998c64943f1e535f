//! What an operator asks first: is every table being read, since when not, why, and what to do. The poll
//! and commit stages tell a [`TableBoard`]; the health pages, the metrics and the progress display watch the
//! [`StatusBoard`]. A status is about successful polls, not about tasks that exist: a hung table turns unready.

pub mod board;

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::{CursorFact, Instant, NotPolled};

pub use board::{Boards, Cause, Committed, Stall, StatusBoard, TableBoard};

/// Milliseconds since the epoch.
type Millis = i64;

/// How long a table may be held up before it counts as unready, in milliseconds. It is noticed after ten seconds
/// (`task::stall`), and shall show within thirty.
const STALL_PATIENCE: Millis = 15_000;

/// What a table is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableState {
    /// First load: the rows that were there before the connector.
    Loading,
    /// The last poll found rows.
    Live,
    /// The last poll found nothing newer.
    Idle,
    /// It would go on but has to wait: for a database or brokers that do not answer, for its turn, for an older
    /// transaction to end.
    Waiting,
    /// The last poll failed and will be tried again.
    BackingOff,
    /// Given up; an operator has to act.
    Failed,
    /// Stopped on purpose.
    Stopped,
}

impl TableState {
    /// Every state, in the order of the documentation.
    pub const ALL: [TableState; 7] = [
        TableState::Loading,
        TableState::Live,
        TableState::Idle,
        TableState::Waiting,
        TableState::BackingOff,
        TableState::Failed,
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
            TableState::Stopped => "stopped",
        }
    }
}

/// What a connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// Connecting, fencing, reading offsets, listing tables.
    Starting,
    /// Its tables are being polled.
    Running,
    /// Given up; an operator has to act.
    Failed,
    /// Stopped on purpose.
    Stopped,
}

/// How far a first load has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadProgress {
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Rows committed so far.
    pub rows: u64,
    /// Rows to expect by the database's statistics, if it has any.
    pub estimated_rows: Option<u64>,
}

impl LoadProgress {
    /// Rows still to come, if the statistics were right.
    fn left(&self) -> Option<u64> {
        self.estimated_rows.map(|all| all.saturating_sub(self.rows))
    }
}

/// A table that began anew while it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeganAnew {
    /// When that was noticed last.
    #[serde(serialize_with = "rfc3339")]
    pub at: Millis,
    /// The number of times since the connector was started.
    pub times: u32,
}

/// What is promised about rows that commit late, and what the guard has to do for it.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct GuardStatus {
    /// What is promised; empty until it is known.
    pub level: &'static str,
    /// How.
    pub way: &'static str,
    /// What is not covered.
    pub uncovered: String,
    /// What would raise the level.
    pub raise: Option<String>,
    /// How far back late rows are looked for.
    pub window_seconds: Option<f64>,
    /// How long the oldest open transaction has been open, at most.
    pub oldest_transaction_seconds: Option<f64>,
    /// Who holds it.
    pub oldest_transaction: Option<String>,
    /// Rows that committed late and were caught since the start.
    pub late_rows: u64,
    /// Ids, of transactions or of rows, that may still become visible below the position.
    pub hidden_ids: u64,
    /// Rows that were read again and were not late, since the start.
    pub reread_rows: u64,
    /// What newer rows wait for, where they do.
    pub blocker: Option<String>,
    /// Since when loss cannot be excluded, and why.
    pub at_risk: Option<Risk>,
}

/// Why rows may have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// In words.
    pub reason: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
}

/// One table, or the query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableStatus {
    /// Its dotted name, or `query`.
    pub table: String,
    /// What it is doing.
    pub state: TableState,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Why, where the state does not say it.
    pub reason: Option<String>,
    /// What the operator can do.
    pub advice: Option<String>,
    /// The last successful poll.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_poll: Option<Millis>,
    /// Rows committed since the start.
    pub rows: u64,
    /// Bytes of keys and values committed since the start.
    pub bytes: u64,
    /// Rows left out since the start because they cannot be delivered (`errors.tolerance`, `row.too.large`).
    pub rows_skipped: u64,
    /// What was wrong with the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<String>,
    /// The committed position, as text.
    pub position: Option<String>,
    /// The cursor time of the newest row committed.
    #[serde(serialize_with = "instant")]
    pub newest: Option<Instant>,
    /// How much older the newest row read is than the database's clock, in seconds; 0 if nothing newer is there.
    /// While the table cannot be read it grows from the last successful poll on. None without a timestamp column.
    pub lag_seconds: Option<f64>,
    /// Rows still to be read, where that is known without counting: by the statistics during a first load, 0 when
    /// the last poll reached the end.
    pub rows_behind: Option<u64>,
    /// Rows that no poll reads because of their cursor values, by reason, as of the last look.
    pub not_polled: Vec<NotPolled>,
    /// That the table began anew and was read from its beginning (`table.recreated=follow`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_anew: Option<BeganAnew>,
    /// The first load, while it runs.
    pub load: Option<LoadProgress>,
    /// Columns left out of the records, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped_columns: Vec<String>,
    /// What is promised about rows that commit late.
    pub guard: GuardStatus,
    /// What the database's rules and the values mean for the cursor columns.
    pub cursor_facts: Vec<CursorFact>,
    /// When waiting to be polled for the first time began.
    #[serde(skip)]
    known_since: Millis,
    /// How long its last successful poll took: the next one may take as long.
    #[serde(skip)]
    poll_took: Millis,
    /// What it would be doing if nothing held it up, and why.
    #[serde(skip)]
    own: (TableState, Option<Why>),
    /// What holds it up, by stage.
    #[serde(skip)]
    stalls: [Option<Held>; Stage::COUNT],
}

/// What holds a table up.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    /// The number of who said so, who alone may take it back.
    by: u64,
    why: Why,
    /// It is only the database's work, which takes its time.
    at_work: bool,
}

/// A reason in words, and what to do.
type Why = (String, Option<String>);

/// Who noticed that a table is held up.
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

/// One connector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ConnectorState,
    /// Why it failed.
    pub error: Option<String>,
    /// What the operator can do about it.
    pub advice: Option<String>,
    /// Its tables, by name.
    pub tables: Vec<TableStatus>,
    /// That there is no table to poll, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing_selected: Option<NothingSelected>,
    /// How old a table's last successful poll may be before the table counts as unready.
    #[serde(skip)]
    pub allowance: Duration,
}

/// Why a connector has no table to poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NothingSelected {
    /// In words.
    pub reason: String,
    /// What the operator can do.
    pub advice: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Until when that is no complaint.
    #[serde(skip)]
    allowed_until: Millis,
}

/// Why a connector or one of its tables is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// The connector; none if there is none.
    pub connector: Option<String>,
    /// The table; none if it is about the connector.
    pub table: Option<String>,
    /// Why.
    pub reason: String,
    /// What the operator can do.
    pub advice: Option<String>,
}

/// How old a successful poll may be: three poll intervals, but not less than 30 s.
pub fn allowance(poll_interval: Duration) -> Duration {
    poll_interval.saturating_mul(3).max(Duration::from_secs(30))
}

impl ConnectorStatus {
    /// Whether the connector runs, has tables, and each was polled successfully within the allowance.
    pub fn is_ready(&self, now: Millis) -> bool {
        self.unready(now).is_empty()
    }

    /// Everything that keeps the connector from being ready; empty if it is.
    pub fn unready(&self, now: Millis) -> Vec<Unready> {
        let complaint = |table: Option<&TableStatus>, reason: String, advice: &Option<String>| Unready {
            connector: Some(self.name.clone()),
            table: table.map(|status| status.table.clone()),
            reason,
            advice: advice.clone(),
        };
        let state = match self.state {
            ConnectorState::Running => None,
            ConnectorState::Starting => Some("starting"),
            ConnectorState::Failed => Some("failed"),
            ConnectorState::Stopped => Some("stopped"),
        };
        let own = state.map(|word| {
            let reason = self.error.as_ref().map_or_else(|| word.to_owned(), |error| format!("{word}: {error}"));
            complaint(None, reason, &self.advice)
        });
        let tables = self
            .tables
            .iter()
            .filter_map(|table| self.complaint(table, now).map(|reason| complaint(Some(table), reason, &table.advice)));
        let nothing = self.nothing_selected.as_ref().filter(|nothing| now >= nothing.allowed_until);
        let nothing = nothing.map(|nothing| complaint(None, nothing.reason.clone(), &Some(nothing.advice.clone())));
        own.into_iter().chain(nothing).chain(tables).collect()
    }

    /// Why a table is not ready. Backing off is no complaint by itself: the allowance decides.
    fn complaint(&self, table: &TableStatus, now: Millis) -> Option<String> {
        let reason = table.reason.as_deref();
        let with_reason = |text: String| match reason {
            Some(reason) => format!("{text}: {reason}"),
            None => text,
        };
        if matches!(table.state, TableState::Failed | TableState::Stopped) {
            return Some(with_reason(table.state.as_str().to_owned()));
        }
        let allowed = i64::try_from(self.allowance.as_millis()).unwrap_or(i64::MAX);
        // Where a poll takes longer than that by its nature, three of them.
        let allowed = allowed.max(table.poll_took.saturating_mul(3));
        match table.last_poll {
            Some(polled) if now.saturating_sub(polled) <= allowed => None,
            Some(polled) => Some(with_reason(format!(
                "no successful poll for {} s, {} s are allowed",
                now.saturating_sub(polled) / 1000,
                allowed / 1000
            ))),
            None => {
                Some(with_reason(format!("not polled yet, {} s after its start", (now - table.known_since) / 1000)))
            }
        }
        // What is polled but not taken by the brokers moves no data either.
        .or_else(|| {
            (table.is_stalled() && now - table.since >= STALL_PATIENCE).then(|| with_reason("waiting".to_owned()))
        })
    }

    /// Whether there are tables and all of them have failed.
    pub fn nothing_works(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(|table| table.state == TableState::Failed)
    }

    /// The status of a table.
    pub fn table(&self, name: &str) -> Option<&TableStatus> {
        self.find(name).ok().map(|index| &self.tables[index])
    }

    fn find(&self, name: &str) -> std::result::Result<usize, usize> {
        self.tables.binary_search_by(|table| table.table.as_str().cmp(name))
    }
}

impl TableStatus {
    fn new(table: &str, now: Millis) -> Self {
        Self {
            table: table.to_owned(),
            state: TableState::Idle,
            since: now,
            reason: None,
            advice: None,
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
            skipped_columns: Vec::new(),
            guard: GuardStatus::default(),
            cursor_facts: Vec::new(),
            known_since: now,
            poll_took: 0,
            own: (TableState::Idle, None),
            stalls: [None, None],
        }
    }

    /// `since` is kept while the state stays the same, so that it tells how long something lasts.
    fn enter(&mut self, state: TableState, now: Millis, why: Option<Why>) {
        self.own = (state, why);
        self.show(now);
    }

    /// Says what holds the table up.
    fn stall(&mut self, stage: Stage, now: Millis, held: Held) {
        self.stalls[stage as usize] = Some(held);
        self.show(now);
    }

    /// It does not any more, unless somebody else has said so since.
    fn go_on(&mut self, stage: Stage, now: Millis, number: u64) {
        self.stalls[stage as usize].take_if(|held| held.by == number);
        self.show(now);
    }

    fn is_stalled(&self) -> bool {
        self.state == TableState::Waiting && self.stalls.iter().flatten().any(|held| !held.at_work)
    }

    /// While it cannot be read, nobody knows what is new: the lag grows from the last successful poll on.
    fn age(&mut self, now: Millis) {
        let held_up = matches!(self.state, TableState::BackingOff | TableState::Failed)
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
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        (self.reason, self.advice) = why.cloned().map_or((None, None), |(reason, advice)| (Some(reason), advice));
    }
}

/// The wall clock, for statuses and for asking them whether they are ready.
pub fn now_millis() -> Millis {
    chrono::Utc::now().timestamp_millis()
}

fn rfc3339<S: Serializer>(millis: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Instant::from_millis(*millis).to_rfc3339())
}

fn rfc3339_option<S: Serializer>(millis: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    instant(&millis.map(Instant::from_millis), serializer)
}

fn instant<S: Serializer>(instant: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    instant.map(Instant::to_rfc3339).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn board() -> (StatusBoard, TableBoard) {
        let board = StatusBoard::new("demo", allowance(Duration::from_secs(5)));
        let table = board.table("public.t");
        (board, table)
    }

    #[test]
    fn ready_means_polled_within_the_allowance() {
        let (board, table) = board();
        assert_eq!(board.snapshot().unready(now_millis()).len(), 2, "starting, and not polled yet");
        board.running();
        table.polled(true, true);
        let now = now_millis();
        assert!(board.snapshot().is_ready(now));
        let unready = board.snapshot().unready(now + 31_000);
        assert_eq!(unready[0].table.as_deref(), Some("public.t"));
        assert!(unready[0].reason.starts_with("no successful poll for 31 s, 30 s are allowed"), "{unready:?}");
    }

    #[test]
    fn a_connector_without_a_table_is_not_ready_from_its_start_and_later_after_the_allowance() {
        let (board, table) = board();
        let error = Error::new(ErrorKind::SourceSchema, "no table is selected").advise("did you mean `public.t`?");
        board.running();
        table.polled(true, true);
        board.nothing_selected(Some(&error));
        assert!(board.snapshot().is_ready(now_millis()), "tables may be swapped just now");
        board.nothing_selected(Some(&error));
        let unready = board.snapshot().unready(now_millis() + 31_000);
        assert!(unready.iter().any(|it| it.table.is_none() && it.reason == "no table is selected"), "{unready:?}");
        board.nothing_selected(None);
        assert!(board.snapshot().is_ready(now_millis()));

        let board = StatusBoard::new("demo", allowance(Duration::from_secs(5)));
        board.running();
        board.nothing_selected(Some(&error));
        let unready = board.snapshot().unready(now_millis());
        assert_eq!(unready[0].advice.as_deref(), Some("did you mean `public.t`?"));
        let json = serde_json::to_value(board.snapshot()).unwrap();
        assert_eq!(json["nothing_selected"]["reason"], "no table is selected");
    }

    #[test]
    fn backing_off_is_ready_until_the_allowance_is_used_up_and_says_why() {
        let (board, table) = board();
        board.running();
        table.polled(false, true);
        table.backing_off(&Error::new(ErrorKind::Unreachable, "cannot connect"));
        let status = board.snapshot();
        assert!(status.is_ready(now_millis()));
        let unready = status.unready(now_millis() + 60_000);
        assert!(unready[0].reason.ends_with(": cannot connect"), "{unready:?}");
        assert_eq!(unready[0].advice.as_deref(), Some(ErrorKind::Unreachable.advice()));
        table.failed(&Error::new(ErrorKind::Privilege, "permission denied"));
        assert!(!board.snapshot().is_ready(now_millis()));
    }

    #[test]
    fn a_table_that_is_held_up_is_not_live_and_soon_not_ready_although_it_is_polled() {
        let (board, table) = board();
        board.running();
        table.polled(true, true);
        let stall = table.stalled(Stage::Commit, &Cause::new("Kafka has not answered", "look at the brokers"));
        table.polled(false, true);
        let status = board.snapshot();
        let shown = status.table("public.t").unwrap();
        assert_eq!((shown.state, shown.reason.as_deref()), (TableState::Waiting, Some("Kafka has not answered")));
        assert!(status.is_ready(now_millis()));
        let unready = status.unready(now_millis() + 20_000);
        assert_eq!(unready[0].reason, "waiting: Kafka has not answered");
        table.failed(&Error::new(ErrorKind::Privilege, "permission denied"));
        assert_eq!(board.snapshot().table("public.t").unwrap().state, TableState::Failed, "a failure is said first");
        table.polled(false, true);
        drop(stall);
        assert_eq!(board.snapshot().table("public.t").unwrap().state, TableState::Idle);
    }

    #[test]
    fn since_is_kept_while_the_state_lasts() {
        let mut table = TableStatus::new("t", 1);
        table.enter(TableState::BackingOff, 10, Some(("one".into(), None)));
        table.enter(TableState::BackingOff, 20, Some(("two".into(), None)));
        assert_eq!((table.since, table.reason.as_deref()), (10, Some("two")));
        table.enter(TableState::Idle, 30, None);
        assert_eq!((table.since, table.reason), (30, None));
    }
}
