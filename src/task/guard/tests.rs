//! The outcome for a stored state when the method or the offset is another.

use std::time::Duration;

use super::*;
use crate::guard::{Capability, Choice, CursorFacts, Facts, METHODS, Missing, OnTimeout, Settings};
use crate::model::{CursorKind, CursorValue};
use crate::status::StatusBoard;

fn chosen(name: &str) -> Chosen {
    let method = METHODS.iter().find(|method| method.name == name).expect("a method");
    let able: Capability = Err(Missing::default());
    let facts = Facts {
        cursor: CursorFacts {
            time_kind: Some(CursorKind::Timestamp { zoned: true, digits: 6 }),
            ..CursorFacts::default()
        },
        settings: Settings {
            has_suffix: false,
            has_delay: false,
            has_lead: false,
            max_wait: Duration::ZERO,
            on_timeout: OnTimeout::Hold,
        },
        snapshots: able.clone(),
        past: able.clone(),
        writers: able,
        visibility_lag: Duration::ZERO,
        window: Duration::ZERO,
        id_block: 0,
        is_table: true,
        clock: ColumnClock::instants(),
    };
    Chosen { choice: Choice { method, level: method.level, uncovered: String::new(), remedy: None }, facts }
}

#[test]
fn another_method_while_it_runs_says_that_loss_cannot_be_excluded() {
    let board = StatusBoard::new("c", Duration::ZERO).table("t");
    let mut guard = TableGuard::default();
    guard.chosen("t", chosen("window"), 1, &board);
    guard.method = (METHODS.iter().find(|method| method.name == "window").unwrap().resume)(None);
    guard.chosen("t", chosen("rescan"), 2, &board);
    assert!(guard.method.is_some() && guard.status.at_risk.is_none(), "it resumes from the same state");
    guard.chosen("t", chosen("snapshot"), 3, &board);
    let risk = guard.status.at_risk.as_ref().map(|risk| risk.reason.as_str());
    assert!(guard.method.is_none() && risk.is_some_and(|reason| reason.starts_with(ANOTHER_METHOD)), "{risk:?}");
}

#[test]
fn a_checkpoint_of_another_position_is_not_used_and_one_that_cannot_be_read_is_an_error() {
    let board = StatusBoard::new("c", Duration::ZERO).table("t");
    let (here, there) = (Position(vec![CursorValue::Timestamp(7)]), Position(vec![CursorValue::Timestamp(8)]));
    let mut guard = TableGuard::default();
    guard.chosen("t", chosen("window"), 1, &board);
    let state = (chosen("window").choice.method.resume)(Some("5;0;")).unwrap();
    let stored = Checkpoint::of(chosen("window").choice.method, ColumnClock::instants(), &*state, &here, None);
    let stored = stored.unwrap().to_text();
    guard.resume("t", Some(&stored), Some(&here), None).unwrap();
    assert!(guard.method.is_some() && guard.status.at_risk.is_none());
    guard.resume("t", Some(&stored), Some(&there), None).unwrap();
    let risk = guard.status.at_risk.as_ref().map(|risk| risk.reason.as_str());
    assert!(guard.method.is_none() && risk.is_some_and(|reason| reason.starts_with(MOVED)), "{risk:?}");
    let error = guard.resume("t", Some("window-9/0/0"), Some(&here), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offsets);
}
