//! Publication of statuses: one board per connector, and the set of all boards for whoever shows them. Updates are in
//! place and short; readers copy. The stages of a table have a handle of its own, [`TableBoard`].

mod table_board;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

pub use self::table_board::{Cause, Committed, Stall, TableBoard};
use super::events::{self, EventKind, Events};
use super::{ConnectorState, ConnectorStatus, NothingSelected, TableState, TableStatus, now_millis};
use crate::error::Error;
use crate::lock::locked;

/// The board on which the status of one connector is published. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusBoard {
    sender: Arc<watch::Sender<ConnectorStatus>>,
    events: Events,
}

impl StatusBoard {
    /// A board in state `starting`. `allowance`: see [`allowance`].
    pub fn new(connector: impl Into<String>, allowance: Duration) -> Self {
        let sender = Arc::new(watch::Sender::new(fresh(connector.into(), allowance)));
        Self { sender, events: Events::default() }
    }

    /// The same board, whose events stand among others.
    #[must_use]
    pub fn with_events(self, events: Events) -> Self {
        Self { events, ..self }
    }

    /// Other settings allow another time without a successful poll.
    pub fn set_allowance(&self, allowance: Duration) {
        self.sender.send_modify(|status| status.allowance = allowance);
    }

    /// A new life of the connector begins; what was known of the one before is forgotten, but for the number of its tasks,
    /// which it will most likely have again.
    pub fn begin(&self, allowance: Duration) {
        self.sender.send_modify(|status| {
            let tasks = status.tasks;
            let (kind, text) = events::of_connector(ConnectorState::Starting, None);
            self.events.add(&status.name, None, kind, text);
            *status = ConnectorStatus { tasks, ..fresh(std::mem::take(&mut status.name), allowance) };
        });
    }

    /// A receiver of every change.
    pub fn subscribe(&self) -> watch::Receiver<ConnectorStatus> {
        self.sender.subscribe()
    }

    /// The status now.
    pub fn snapshot(&self) -> ConnectorStatus {
        let mut status = self.sender.borrow().clone();
        let now = now_millis();
        status.tables.iter_mut().for_each(|table| table.age(now));
        status
    }

    /// Looks at the status without copying it. `look` must be short: it holds up the stages.
    pub fn with<T>(&self, look: impl FnOnce(&ConnectorStatus) -> T) -> T {
        look(&self.sender.borrow())
    }

    /// Publishes that it is connecting, or starting again after a rebuild.
    pub fn starting(&self) {
        self.set(ConnectorState::Starting, None);
    }

    /// The tables are being polled.
    pub fn running(&self) {
        self.set(ConnectorState::Running, None);
    }

    /// The connector starts again because of an error that passes.
    pub fn restarting(&self, error: &Error) {
        self.set(ConnectorState::Starting, Some(error));
    }

    /// The connector has given up.
    pub fn failed(&self, error: &Error) {
        self.set(ConnectorState::Failed, Some(error));
    }

    /// Publishes whether there is a table to poll; the error says why there is none. A connector that had tables is
    /// given the allowance: they may be on their way from one name to another.
    pub fn nothing_selected(&self, error: Option<&Error>) {
        let now = now_millis();
        self.sender.send_if_modified(|status| {
            let Some(error) = error else { return status.nothing_selected.take().is_some() };
            let allowance = i64::try_from(status.allowance.as_millis()).unwrap_or(i64::MAX);
            let allowed_until = if status.tables.is_empty() { now } else { now.saturating_add(allowance) };
            let known = status.nothing_selected.as_ref().map(|known| (known.since, known.allowed_until));
            let (since, allowed_until) = known.unwrap_or((now, allowed_until));
            let (reason, advice) = (error.report(), error.advice().to_owned());
            status.nothing_selected = Some(NothingSelected { reason, advice, since, allowed_until });
            true
        });
    }

    /// The tables are divided among so many tasks.
    pub fn tasks(&self, tasks: usize) {
        self.sender.send_modify(|status| status.tasks = tasks);
    }

    /// The connector was stopped on purpose; its tables too, except those that had failed.
    pub fn stopped(&self) {
        self.rest(ConnectorState::Stopped);
    }

    /// The connector alone was paused, while the process goes on.
    pub fn paused(&self) {
        self.rest(ConnectorState::Paused);
        self.sender.send_modify(|status| status.at_rest = true);
    }

    /// The connector alone was stopped, while the process goes on. It has no tasks and no tables any more.
    pub fn dismissed(&self) {
        self.set(ConnectorState::Stopped, None);
        self.sender.send_modify(|status| {
            status.at_rest = true;
            status.tasks = 0;
            status.tables.clear();
            status.nothing_selected = None;
        });
    }

    fn rest(&self, state: ConnectorState) {
        self.set(state, None);
        let now = now_millis();
        self.sender.send_modify(|status| {
            let stopping = status.tables.iter_mut().filter(|table| table.state != TableState::Failed);
            stopping.for_each(|table| table.enter(TableState::Stopped, now, None));
        });
    }

    /// Adds a table in state `idle`, not polled yet; a known one is left as it is.
    pub fn table(&self, name: &str) -> TableBoard {
        let now = now_millis();
        self.sender.send_if_modified(|status| match status.find(name) {
            Ok(_) => false,
            Err(index) => {
                status.tables.insert(index, TableStatus::new(name, now));
                true
            }
        });
        TableBoard::new(self.clone(), name)
    }

    /// Forgets tables that are no longer selected or were dropped.
    pub fn remove_tables<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        let gone: HashSet<&str> = names.into_iter().collect();
        self.sender.send_if_modified(|status| {
            let before = status.tables.len();
            if !gone.is_empty() {
                status.tables.retain(|table| !gone.contains(table.table.as_str()));
            }
            status.tables.len() < before
        });
    }

    /// The backfill of this name has ended.
    pub fn backfilled(&self, name: &str, why: &str) {
        let (connector, rows) =
            self.with(|status| (status.name.clone(), status.table(name).map_or(0, |table| table.rows)));
        self.events.add(&connector, Some(name), EventKind::State, format!("{why}, {rows} rows"));
        self.remove_tables([name]);
    }

    fn set(&self, state: ConnectorState, error: Option<&Error>) {
        self.sender.send_modify(|status| {
            let before = (status.state, status.error.take());
            status.state = state;
            status.error = error.map(Error::report);
            status.advice = error.map(|error| error.advice().to_owned());
            status.kind = error.map(Error::root_kind);
            if before != (state, status.error.clone()) {
                let (kind, text) = events::of_connector(state, status.error.as_deref());
                self.events.add(&status.name, None, kind, text);
            }
        });
    }
}

fn fresh(name: String, allowance: Duration) -> ConnectorStatus {
    ConnectorStatus {
        name,
        state: ConnectorState::Starting,
        error: None,
        advice: None,
        kind: None,
        tables: Vec::new(),
        nothing_selected: None,
        allowance,
        tasks: 0,
        at_rest: false,
    }
}

/// The boards of all connectors of this process, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Boards {
    boards: Arc<Mutex<Vec<(String, StatusBoard)>>>,
    events: Events,
}

impl Boards {
    /// The events of all connectors.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// A board whose events are among those of all.
    pub fn board(&self, connector: &str, allowance: Duration) -> StatusBoard {
        StatusBoard::new(connector, allowance).with_events(self.events.clone())
    }

    /// Adds a connector's board, or replaces the one of that name.
    pub fn add(&self, board: StatusBoard) {
        let name = board.with(|status| status.name.clone());
        let mut boards = self.lock();
        match boards.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(index) => boards[index].1 = board,
            Err(index) => boards.insert(index, (name, board)),
        }
    }

    /// Forgets a connector.
    pub fn remove(&self, name: &str) {
        self.lock().retain(|(known, _)| known != name);
    }

    /// Every connector's status now, by name.
    pub fn snapshot(&self) -> Vec<ConnectorStatus> {
        self.lock().iter().map(|(_, board)| board.snapshot()).collect()
    }

    /// Calls `look` with every connector's status, without copying it; it must be short.
    pub fn for_each(&self, mut look: impl FnMut(&ConnectorStatus)) {
        self.lock().iter().for_each(|(_, board)| board.with(&mut look));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, StatusBoard)>> {
        locked(&self.boards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Instant;
    use crate::status::allowance;

    fn board() -> (StatusBoard, TableBoard) {
        let board = StatusBoard::new("demo", allowance(Duration::from_secs(5)));
        let table = board.table("public.t");
        (board, table)
    }

    #[test]
    fn a_first_load_lasts_until_the_end_of_the_table_is_seen() {
        let (board, table) = board();
        table.loading(Some(10));
        table.polled(true, false);
        table.committed(Committed { rows: 4, bytes: 40, position: Some("4".into()), ..Committed::default() });
        let status = board.snapshot();
        let load = status.table("public.t").unwrap().load.as_ref().unwrap();
        assert_eq!((load.rows, load.estimated_rows), (4, Some(10)));
        table.polled(true, true);
        table.committed(Committed { rows: 6, ..Committed::default() });
        let status = board.snapshot();
        let status = status.table("public.t").unwrap();
        assert_eq!((status.state, status.rows, status.bytes), (TableState::Live, 10, 40));
        assert_eq!((status.load.as_ref(), status.position.as_deref()), (None, Some("4")));
    }

    #[test]
    fn a_late_commit_does_not_hide_that_the_table_failed_meanwhile() {
        let (board, table) = board();
        table.loading(None);
        table.polled(true, false);
        table.failed(&Error::new(crate::error::ErrorKind::Privilege, "permission denied"));
        table.committed(Committed { rows: 1, ..Committed::default() });
        table.caught_up();
        let status = board.snapshot();
        assert_eq!(status.table("public.t").unwrap().reason.as_deref(), Some("permission denied"));
        assert!(status.nothing_works());
    }

    #[test]
    fn json_has_words_and_times_and_a_removed_table_is_gone() {
        let (board, table) = board();
        table.committed(Committed { newest: Some(Instant::from_millis(1_580_650_272_065)), ..Committed::default() });
        let json = serde_json::to_value(board.snapshot()).unwrap();
        assert_eq!(json["tables"][0]["newest"], "2020-02-02T13:31:12.065Z");
        assert_eq!(json["tables"][0]["state"], TableState::Idle.as_str());
        board.remove_tables(["public.t"]);
        table.polled(true, true);
        assert!(board.snapshot().tables.is_empty());
        for state in TableState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
