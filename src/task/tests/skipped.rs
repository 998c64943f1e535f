//! Rows that cannot be delivered: left out where that is allowed, exactly once in the dead letter topic, and never
//! because a schema has changed.

use super::*;

const ALL: &[(&str, &str)] = &[("errors.tolerance", "all"), ("errors.deadletterqueue.topic.name", "dead")];

async fn once(outside: &Outside, changes: &[(&str, &str)]) -> (Result<()>, StatusBoard) {
    let parts = parts(outside, true, changes);
    let board = parts.board.clone();
    (run(parts, tables(&["t"]), CancellationToken::new()).await, board)
}

fn poisoned(poison: impl IntoIterator<Item = i64>) -> Outside {
    let outside = Outside::default();
    outside.insert("t", 1..=50);
    outside.poison(poison, false);
    outside
}

fn without(poison: &[i64]) -> Vec<i64> {
    (1..=50).filter(|id| !poison.contains(id)).collect()
}

#[tokio::test(start_paused = true)]
async fn rows_are_left_out_and_counted_and_their_letters_are_written_once_whatever_happens() {
    use SinkFault::*;
    let poison = [1, 7, 8, 30, 50];
    for fault in [None, Some(RejectSend), Some(RejectCommit), Some(LoseAnswer), Some(LoseCommit)] {
        let outside = poisoned(poison);
        outside.sink_faults(fault);
        let (outcome, board) = once(&outside, ALL).await;
        outcome.unwrap();
        assert_eq!(outside.committed("p_t"), without(&poison), "{fault:?}");
        assert_eq!(outside.committed("dead"), poison, "{fault:?}");
        assert_eq!((outside.offset("t"), outside.faults_left()), (Some(50), 0), "{fault:?}");
        let status = board.snapshot();
        let status = status.table("t").unwrap();
        // What was committed without our knowing is not counted.
        if fault != Some(LoseAnswer) {
            assert_eq!((status.rows, status.rows_skipped), (45, 5), "{fault:?}");
            assert_eq!(status.skip_reason.as_deref(), Some("poison (row 50)"), "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_which_every_row_is_left_out_still_commits_its_offset() {
    let outside = poisoned(1..=50);
    let (outcome, board) = once(&outside, &ALL[..1]).await;
    outcome.unwrap();
    assert_eq!((outside.committed("p_t"), outside.offset("t")), (vec![], Some(50)), "E6");
    assert_eq!(board.snapshot().table("t").unwrap().rows_skipped, 50);
    // Nothing is read again.
    once(&outside, ALL).await.0.unwrap();
    assert!(outside.committed("dead").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_tolerance_the_table_stops_before_the_row() {
    let outside = poisoned([30]);
    let (outcome, _) = once(&outside, &[]).await;
    let error = outcome.unwrap_err();
    assert!(error.report().contains("poison (row 30"), "{error:?}");
    assert!(outside.committed("p_t").iter().all(|id| *id < 30));
}

#[tokio::test(start_paused = true)]
async fn no_row_is_left_out_that_another_description_would_deliver() {
    let outside = poisoned([7, 30]);
    outside.poison([7, 30], true);
    let (outcome, board) = once(&outside, ALL).await;
    outcome.unwrap();
    assert_exactly_once(&outside, "t");
    assert!(outside.committed("dead").is_empty());
    assert_eq!(board.snapshot().table("t").unwrap().rows_skipped, 0);
}
