//! The last events of a process, for people who ask what has happened: changes of the state of connectors and tables, their
//! errors, and what operators have done. Only so many are kept, in memory. No row value is among them, nor a secret.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::table::rfc3339;
use super::{ConnectorState, Millis, TableState, TableStatus, now_millis};
use crate::lock::locked;

/// The number of events that are kept.
const KEPT: usize = 2_000;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A connector or a table is in another state.
    State,
    /// It has met an error.
    Error,
    /// An operator has asked for something.
    Control,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number; that of a later one is greater.
    pub id: u64,
    /// The time it happened.
    #[serde(serialize_with = "rfc3339")]
    pub time: Millis,
    /// The connector.
    pub connector: String,
    /// The table; none if it is about the connector.
    pub table: Option<String>,
    /// Its kind.
    pub kind: EventKind,
    /// The event in words.
    pub text: String,
}

/// The events of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Event>,
}

impl Events {
    /// Adds an event.
    pub fn add(&self, connector: &str, table: Option<&str>, kind: EventKind, text: impl Into<String>) {
        let (connector, table, text) = (connector.to_owned(), table.map(str::to_owned), text.into());
        let mut ring = locked(&self.0);
        ring.last += 1;
        let event = Event { id: ring.last, time: now_millis(), connector, table, kind, text };
        ring.kept.push_back(event);
        if ring.kept.len() > KEPT {
            ring.kept.pop_front();
        }
    }

    /// The events behind an id that are kept, of one connector or of all, and the id of the last one there was.
    pub fn after(&self, id: u64, connector: Option<&str>) -> (Vec<Event>, u64) {
        let ring = locked(&self.0);
        let is_asked = |event: &&Event| event.id > id && connector.is_none_or(|name| event.connector == name);
        (ring.kept.iter().filter(is_asked).cloned().collect(), ring.last)
    }
}

/// The part of a table's state whose changes are events: that each poll finds rows or none is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Loading,
    Polling,
    Stalled,
    BackingOff,
    Failed,
    HeldBack,
    Paused,
    Stopped,
}

impl Phase {
    pub(super) fn of(table: &TableStatus) -> Self {
        if table.is_stalled() {
            return Phase::Stalled;
        }
        if table.held_back.is_some() {
            return Phase::HeldBack;
        }
        match table.own.0 {
            TableState::Loading => Phase::Loading,
            TableState::Live | TableState::Idle | TableState::Waiting => Phase::Polling,
            TableState::BackingOff => Phase::BackingOff,
            TableState::Failed => Phase::Failed,
            TableState::Paused => Phase::Paused,
            TableState::Stopped => Phase::Stopped,
        }
    }

    /// The event of a table that was in this phase.
    pub(super) fn event(self, table: &TableStatus) -> Option<(EventKind, String)> {
        let now = Phase::of(table);
        if now == self {
            return None;
        }
        // Its beginning is a request, and its end an event of its own.
        let is_backfill = table.backfill.is_some();
        if is_backfill && matches!((self, now), (Phase::Polling, Phase::Loading) | (Phase::Loading, Phase::Polling)) {
            return None;
        }
        let why = |word: &str| match &table.reason {
            Some(reason) => format!("{word}: {reason}"),
            None => word.to_owned(),
        };
        Some(match (self, now) {
            (_, Phase::BackingOff) => (EventKind::Error, why("a poll failed, trying again")),
            (_, Phase::Failed) => (EventKind::Error, why("failed")),
            (_, Phase::Stalled) => (EventKind::State, why("waiting")),
            (_, Phase::HeldBack) => (EventKind::State, why("not polled")),
            (_, Phase::Paused) => (EventKind::State, "paused".to_owned()),
            (_, Phase::Stopped) => (EventKind::State, "stopped".to_owned()),
            (Phase::Polling, Phase::Loading) => (EventKind::State, "the first load is under way".to_owned()),
            (Phase::Loading, Phase::Polling) => (EventKind::State, "the first load has ended".to_owned()),
            (Phase::Paused, _) => (EventKind::State, "going on".to_owned()),
            (_, Phase::Polling | Phase::Loading) => (EventKind::State, "polling again".to_owned()),
        })
    }
}

/// The event of a connector that enters a state, with the error that it met.
pub(super) fn of_connector(state: ConnectorState, error: Option<&str>) -> (EventKind, String) {
    match (state, error) {
        (ConnectorState::Failed, Some(error)) => (EventKind::Error, format!("failed: {error}")),
        (ConnectorState::Starting, Some(error)) => (EventKind::Error, format!("starting again: {error}")),
        (_, Some(error)) => (EventKind::Error, error.to_owned()),
        (ConnectorState::Starting, None) => (EventKind::State, "starting".to_owned()),
        (ConnectorState::Running, None) => (EventKind::State, "running".to_owned()),
        (ConnectorState::Failed, None) => (EventKind::Error, "failed".to_owned()),
        (ConnectorState::Paused, None) => (EventKind::State, "paused".to_owned()),
        (ConnectorState::Stopped, None) => (EventKind::State, "stopped".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::status::StatusBoard;

    #[test]
    fn only_so_many_are_kept_and_those_behind_an_id_are_given() {
        let events = Events::default();
        for number in 0..KEPT + 5 {
            events.add(if number % 2 == 0 { "a" } else { "b" }, None, EventKind::Control, "x");
        }
        let (all, last) = events.after(0, None);
        assert_eq!((all.len(), all[0].id, last), (KEPT, 6, KEPT as u64 + 5));
        let (some, _) = events.after(last - 4, Some("b"));
        assert_eq!(some.iter().map(|event| event.id).collect::<Vec<_>>(), [last - 3, last - 1]);
        assert!(events.after(last, None).0.is_empty());
    }

    #[test]
    fn a_table_that_is_read_again_and_again_makes_no_events_and_one_that_fails_makes_one() {
        let events = Events::default();
        let board = StatusBoard::new("c", Duration::ZERO).with_events(events.clone());
        board.running();
        let table = board.table("t");
        table.loading(None);
        for _ in 0..9 {
            table.polled(true, true);
            table.waiting("newer rows wait");
            table.polled(false, true);
        }
        let denied = Error::new(ErrorKind::Privilege, "permission denied");
        table.failed(&denied);
        table.failed(&denied);
        table.polled(false, true);
        table.paused();
        let (all, _) = events.after(0, None);
        let texts: Vec<&str> = all.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "running",
                "the first load is under way",
                "the first load has ended",
                "failed: permission denied",
                "polling again",
                "paused"
            ]
        );
        let json = serde_json::to_value(&all[3]).unwrap();
        assert_eq!((&json["kind"], &json["table"]), (&"error".into(), &"t".into()));
    }
}
