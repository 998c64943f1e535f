//! Wishes of an operator about one table of a running task: they are carried out, and the others do not notice. No poll is
//! missed, nothing is lost or repeated but what was asked for.

use std::sync::Arc;

use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::error::Error;
use crate::model::OffsetMove;
use crate::task::control::Control;

/// A task whose tables are controlled.
struct Controlled {
    task: Task,
    control: Control,
}

impl std::ops::Deref for Controlled {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.task
    }
}

fn start(outside: &Outside, names: &[&str], changes: &[(&str, &str)]) -> Controlled {
    let parts = parts(outside, false, changes);
    let control = parts.control.clone();
    Controlled { task: Task::start_parts(parts, names), control }
}

fn id(incrementing: i64) -> OffsetMove {
    OffsetMove::To { timestamp: None, incrementing: Some(incrementing) }
}

/// Inserts a row into a table each second, and sees it committed within the next.
async fn misses_no_poll(outside: &Outside, name: &str, first: i64, seconds: i64) {
    for row in first..first + seconds {
        outside.insert(name, [row]);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(outside.committed(&format!("p_{name}")).last(), Some(&row), "it is not there after an interval");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_rests_reads_nothing_while_the_others_miss_no_poll_and_then_it_goes_on() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let task = start(&outside, &["t", "u"], &[]);
    pass(5).await;
    task.control.pause("u", true);
    pass(1).await;
    assert_eq!(task.state("u"), Some(TableState::Paused));
    outside.insert("u", 6..=9);
    misses_no_poll(&outside, "t", 6, 60).await;
    assert_eq!(outside.committed("p_u"), [1, 2, 3, 4, 5]);
    let now = crate::status::now_millis();
    assert!(task.board.with(|status| status.is_ready(now)), "{:?}", task.board.snapshot().unready(now));
    task.control.pause("u", false);
    misses_no_poll(&outside, "t", 66, 5).await;
    assert_eq!(task.state("u"), Some(TableState::Idle));
    assert_eq!((outside.open(), outside.epoch()), (0, 1), "the session is the same");
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
    assert_exactly_once(&outside, "u");
}

#[tokio::test(start_paused = true)]
async fn a_table_rests_also_in_the_sessions_after_an_error_and_when_all_of_them_do() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let task = start(&outside, &["t", "u"], &[]);
    pass(5).await;
    task.control.pause("u", true);
    outside.sink_faults([SinkFault::RejectCommit]);
    outside.insert("t", 6..=9);
    outside.insert("u", 6..=9);
    pass(30).await;
    assert_eq!((outside.faults_left(), outside.epoch()), (0, 2), "there was another session");
    assert_exactly_once(&outside, "t");
    assert_eq!((outside.committed("p_u").len(), task.state("u")), (5, Some(TableState::Paused)));
    task.control.pause("t", true);
    pass(5_000).await;
    let statements = outside.statements();
    outside.insert("t", 10..=12);
    pass(5_000).await;
    assert_eq!(outside.statements(), statements, "nobody asks the database");
    task.control.pause("t", false);
    task.control.pause("u", false);
    pass(2).await;
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
    assert_exactly_once(&outside, "u");
}

#[tokio::test(start_paused = true)]
async fn what_a_table_has_read_when_it_is_to_rest_is_committed_at_once_and_it_goes_on_behind_it() {
    let outside = Outside::default();
    outside.insert("t", 1..=30_000);
    // Calls take their time, else the clock would stand still until all is read.
    outside.plan(&[], Some((fastrand::Rng::with_seed(1), 5)));
    let task = start(&outside, &["t"], &[]);
    while outside.statements() < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    task.control.pause("t", true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let committed = outside.committed("p_t").len();
    assert!(committed > 0 && committed < 30_000, "{committed}");
    assert_eq!((outside.open(), outside.offset("t")), (0, Some(committed as i64)));
    pass(100).await;
    assert_eq!(outside.committed("p_t").len(), committed);
    task.control.pause("t", false);
    pass(60).await;
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_failed_table_that_is_restarted_is_tried_at_once() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let task = start(&outside, &["t", "u"], &[("table.poll.interval.ms", "3600000")]);
    pass(5).await;
    assert_eq!(task.state("u"), Some(TableState::Failed));
    outside.insert("u", 1..=7);
    misses_no_poll(&outside, "t", 6, 60).await;
    assert_eq!(task.state("u"), Some(TableState::Failed), "by itself it looks again in an hour");
    task.control.restart("u");
    misses_no_poll(&outside, "t", 66, 5).await;
    assert_eq!(task.state("u"), Some(TableState::Idle));
    // One that works is described anew, and goes on where it was.
    task.control.restart("t");
    misses_no_poll(&outside, "t", 71, 5).await;
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
    assert_exactly_once(&outside, "u");
}

#[tokio::test(start_paused = true)]
async fn an_offset_is_moved_behind_all_that_was_read_and_the_table_goes_on_from_there() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let task = start(&outside, &["t", "u"], &[]);
    pass(5).await;
    let moved = task.control.move_offset("u", id(2)).expect("none is under way");
    misses_no_poll(&outside, "t", 6, 3).await;
    assert_eq!(moved.await.unwrap().unwrap().and_then(|offset| offset.incrementing), Some(2));
    assert_eq!(outside.committed("p_u"), [1, 2, 3, 4, 5, 3, 4, 5]);
    // Ahead of all rows, and back to the beginning; in between rows come.
    let ahead = task.control.move_offset("u", id(100)).expect("none is under way");
    pass(2).await;
    ahead.await.unwrap().unwrap();
    assert_eq!(outside.offset("u"), Some(100));
    outside.insert("u", [6, 101]);
    misses_no_poll(&outside, "t", 9, 3).await;
    assert_eq!(outside.committed("p_u").last(), Some(&101));
    let reset = task.control.move_offset("u", OffsetMove::Beginning).expect("none is under way");
    misses_no_poll(&outside, "t", 12, 3).await;
    assert_eq!(reset.await.unwrap().unwrap(), None);
    assert_eq!(outside.committed("p_u")[9..], [1, 2, 3, 4, 5, 6, 101]);
    assert_eq!(outside.epoch(), 1, "all in one session");
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn two_changes_of_one_offset_do_not_go_together_and_one_of_a_table_that_rests_waits_for_nothing() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let task = start(&outside, &["t"], &[]);
    pass(5).await;
    task.control.pause("t", true);
    pass(1).await;
    outside.sink_faults([SinkFault::Hold]);
    let mut first = task.control.move_offset("t", id(3)).expect("none is under way");
    pass(5).await;
    assert_eq!(first.try_recv().unwrap_err(), TryRecvError::Empty, "the commit takes a minute");
    assert!(task.control.move_offset("t", id(4)).is_none());
    assert!(!task.control.withdraw("t"), "it is on its way");
    pass(60).await;
    first.try_recv().unwrap().unwrap();
    assert_eq!((outside.offset("t"), task.state("t")), (Some(3), Some(TableState::Paused)));
    let second = task.control.move_offset("t", id(1)).expect("the first one is done");
    pass(1).await;
    second.await.unwrap().unwrap();
    task.control.pause("t", false);
    pass(2).await;
    assert_eq!(outside.committed("p_t"), [1, 2, 3, 4, 5, 2, 3, 4, 5]);
    task.task.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_is_lost_is_not_said_to_be_done_and_what_is_stored_counts() {
    for (fault, stored) in [(SinkFault::LoseAnswer, 2), (SinkFault::LoseCommit, 5), (SinkFault::RejectCommit, 5)] {
        let outside = Outside::default();
        outside.insert("t", 1..=5);
        let task = start(&outside, &["t"], &[]);
        pass(5).await;
        task.control.pause("t", true);
        pass(1).await;
        outside.sink_faults([fault]);
        let moved = task.control.move_offset("t", id(2)).expect("none is under way");
        assert!(moved.await.is_err(), "nobody knows");
        pass(5).await;
        assert_eq!(outside.offset("t"), Some(stored), "{fault:?}");
        outside.insert("t", [6]);
        task.control.pause("t", false);
        pass(2).await;
        let again: Vec<i64> = (stored + 1..=6).collect();
        assert_eq!(outside.committed("p_t")[5..], again);
        task.task.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_the_mode_does_not_have_is_refused_and_nothing_changes() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let task = start(&outside, &["t"], &[]);
    pass(5).await;
    let change = OffsetMove::To { timestamp: Some(crate::model::Instant::from_millis(0)), incrementing: None };
    let refused = |answer: crate::task::control::Moved| -> Error { answer.unwrap_err() };
    let answer = task.control.move_offset("t", change).expect("none is under way").await.unwrap();
    assert!(refused(answer).to_string().contains("mode=incrementing has no timestamp"));
    pass(5).await;
    // A session that does not come back takes no orders; it can be taken back.
    assert!(task.control.move_offset("other", id(1)).is_some());
    assert!(task.control.withdraw("other") && !task.control.withdraw("other"));
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn settings_of_one_table_and_the_poll_interval_are_taken_without_another_session() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    outside.insert("u", 1..=5);
    let of_u = ("table.u.poll.interval.ms", "3600000");
    let task = start(&outside, &["t", "u"], &[of_u]);
    pass(5).await;
    outside.insert("u", [6]);
    misses_no_poll(&outside, "t", 6, 30).await;
    assert_eq!(outside.committed("p_u").len(), 5);
    let configure = |changes: &[(&str, &str)]| task.control.configure(TaskSpec::new(Arc::new(spec(changes))));
    configure(&[("table.u.poll.interval.ms", "100")]);
    misses_no_poll(&outside, "t", 36, 3).await;
    assert_eq!(outside.committed("p_u"), [1, 2, 3, 4, 5, 6]);
    // Bound anew with another mode, from the same offset; `t` polls ten times as often.
    configure(&[("table.u.key.mode", "none"), ("poll.interval.ms", "100")]);
    pass(2).await;
    let statements = outside.statements();
    outside.insert("t", [39]);
    outside.insert("u", [7]);
    pass(10).await;
    assert!(outside.statements() > statements + 150, "{} in ten seconds", outside.statements() - statements);
    assert_eq!(outside.epoch(), 1, "all in one session");
    task.task.stop().await.unwrap();
    assert_exactly_once(&outside, "t");
    assert_exactly_once(&outside, "u");
}
