//! The status of connectors, for an operator's first question: is every table being read, and if not, since when, why,
//! and what to do. The poll and commit stages tell a [`TableBoard`]; the health pages, the metrics and the progress
//! display watch the [`StatusBoard`]. A status is about successful polls, not about tasks that exist: a hung table
//! turns unready.

pub mod board;
mod events;
mod table;

use std::time::Duration;

use serde::Serialize;

pub use board::{Boards, Cause, Committed, Stall, StatusBoard, TableBoard};
pub use events::{Event, EventKind, Events};
pub use table::{
    BackfillStatus, BeganAnew, GuardStatus, HeldBack, HeldBy, LoadProgress, Risk, Stage, TableState, TableStatus,
};
use table::{Held, rfc3339, snake_case};

use crate::error::ErrorKind;

/// Milliseconds since the epoch.
type Millis = i64;

/// The duration of a stall from which a table counts as unready, in milliseconds. A stall is noticed after ten seconds
/// (`task::stall`), and shall show within thirty.
const STALL_PATIENCE: Millis = 15_000;

/// The state of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// Connecting, fencing, reading offsets, listing tables.
    Starting,
    /// Its tables are being polled.
    Running,
    /// Given up; an operator has to act.
    Failed,
    /// Not polling until it is resumed.
    Paused,
    /// Stopped on purpose.
    Stopped,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ConnectorState,
    /// The error it failed with.
    pub error: Option<String>,
    /// The advice for the operator.
    pub advice: Option<String>,
    /// The kind of that error, which has an entry in docs/troubleshooting.md.
    #[serde(serialize_with = "snake_case")]
    pub kind: Option<ErrorKind>,
    /// Its tables, by name.
    pub tables: Vec<TableStatus>,
    /// The finding that there is no table to poll, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing_selected: Option<NothingSelected>,
    /// The age of a table's last successful poll from which the table counts as unready.
    #[serde(skip)]
    pub allowance: Duration,
    /// The number of its tasks, once it is known.
    #[serde(skip)]
    pub tasks: usize,
    /// True if it was paused or stopped by itself, while the process goes on: that is no complaint.
    #[serde(skip)]
    pub at_rest: bool,
}

/// The reason why a connector has no table to poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NothingSelected {
    /// The reason, in words.
    pub reason: String,
    /// The advice for the operator.
    pub advice: String,
    /// The time it began.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// The time until which that is no complaint.
    #[serde(skip)]
    allowed_until: Millis,
}

/// The reason why a connector or one of its tables is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// The connector; none if there is none.
    pub connector: Option<String>,
    /// The table; none if it is about the connector.
    pub table: Option<String>,
    /// The reason.
    pub reason: String,
    /// The advice for the operator.
    pub advice: Option<String>,
}

/// The allowed age of a successful poll: three poll intervals, but not less than 30 s.
pub fn allowance(poll_interval: Duration) -> Duration {
    poll_interval.saturating_mul(3).max(Duration::from_secs(30))
}

impl ConnectorStatus {
    /// True if the connector runs, has tables, and each was polled successfully within the allowance.
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
        if self.at_rest {
            return Vec::new();
        }
        let state = match self.state {
            ConnectorState::Running => None,
            ConnectorState::Starting => Some("starting"),
            ConnectorState::Failed => Some("failed"),
            ConnectorState::Paused => Some("paused"),
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

    /// The reason why a table is not ready. Backing off is no complaint by itself: the allowance decides.
    fn complaint(&self, table: &TableStatus, now: Millis) -> Option<String> {
        let reason = table.reason.as_deref();
        let with_reason = |text: String| match reason {
            Some(reason) => format!("{text}: {reason}"),
            None => text,
        };
        match table.state {
            TableState::Failed | TableState::Stopped => return Some(with_reason(table.state.as_str().to_owned())),
            // An operator has wanted it so.
            TableState::Paused => return None,
            _ if table.is_outside_windows(now) => return None,
            _ => {}
        }
        let allowed = i64::try_from(self.allowance.as_millis()).unwrap_or(i64::MAX);
        // Three polls where one takes longer than that by its nature.
        let allowed = allowed.max(table.poll_took.saturating_mul(3));
        // A table that rested has had no poll meanwhile.
        match table.last_poll.map(|polled| polled.max(table.known_since)) {
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
        // Rows that are polled but not taken by the brokers move no data either.
        .or_else(|| {
            (table.is_stalled() && now - table.since >= STALL_PATIENCE).then(|| with_reason("waiting".to_owned()))
        })
    }

    /// True if there are tables and all of them have failed.
    pub fn nothing_works(&self) -> bool {
        let mut tables = self.tables.iter().filter(|table| table.backfill.is_none()).peekable();
        tables.peek().is_some() && tables.all(|table| table.state == TableState::Failed)
    }

    /// The status of a table.
    pub fn table(&self, name: &str) -> Option<&TableStatus> {
        self.find(name).ok().map(|index| &self.tables[index])
    }

    fn find(&self, name: &str) -> std::result::Result<usize, usize> {
        self.tables.binary_search_by(|table| table.table.as_str().cmp(name))
    }
}

/// The wall clock, for statuses and for asking them whether they are ready.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now_millis() -> Millis {
    chrono::Utc::now().timestamp_millis()
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
    fn a_connector_at_rest_is_no_complaint_until_it_starts_again() {
        let (board, table) = board();
        board.running();
        table.failed(&Error::new(ErrorKind::Privilege, "permission denied"));
        board.paused();
        let status = board.snapshot();
        assert!(status.is_ready(now_millis()));
        assert_eq!(
            (status.state, status.table("public.t").unwrap().state),
            (ConnectorState::Paused, TableState::Failed)
        );
        board.begin(allowance(Duration::from_secs(5)));
        let status = board.snapshot();
        assert!(status.tables.is_empty() && !status.is_ready(now_millis()));
    }

    #[test]
    fn a_table_that_rests_is_no_complaint_and_neither_is_its_first_poll_after_that() {
        let (board, table) = board();
        board.running();
        table.polled(true, true);
        table.paused();
        let later = now_millis() + 60_000;
        assert_eq!(board.snapshot().table("public.t").unwrap().state, TableState::Paused);
        assert!(board.snapshot().is_ready(later), "{:?}", board.snapshot().unready(later));
        assert!(!board.snapshot().nothing_works());
        table.goes_on();
        assert!(board.snapshot().is_ready(now_millis() + 20_000));
        assert!(!board.snapshot().is_ready(later));
    }

    #[test]
    fn a_table_outside_of_its_windows_is_no_complaint_and_one_of_a_replica_that_lags_is_after_the_allowance() {
        let (board, table) = board();
        board.running();
        table.polled(true, true);
        let now = now_millis();
        let held = |by, until| table.held_back(HeldBack { by, until }, "so".to_owned(), "wait");
        held(HeldBy::Windows, now + 3_600_000);
        let status = board.snapshot();
        assert!(status.is_ready(now + 3_600_000), "{:?}", status.unready(now + 3_600_000));
        assert!(!status.is_ready(now + 7_200_000), "nobody has looked at it when its window had opened");
        let shown = status.table("public.t").unwrap();
        assert_eq!((shown.state, shown.reason.as_deref()), (TableState::Waiting, Some("so")));
        assert_eq!(serde_json::to_value(shown).unwrap()["held_back"]["by"], "poll.windows");
        table.failed(&Error::new(ErrorKind::Privilege, "permission denied"));
        assert!(!board.snapshot().is_ready(now), "the first poll in the window has failed");
        table.polled(false, true);
        held(HeldBy::ReplicaLag, now + 1_000);
        assert!(board.snapshot().is_ready(now_millis()));
        let unready = board.snapshot().unready(now + 60_000);
        assert!(unready[0].reason.ends_with(": so"), "{unready:?}");
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
