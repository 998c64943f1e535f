//! The identity of the server: another one, or an older copy, stops the connector unless it was accepted.

use super::*;

/// A run to the end of `t`.
async fn once(outside: &Outside, accept: bool) -> Result<()> {
    let parts = Parts { server: ServerGuard::new(accept, ServerIdentity::Host), ..parts(outside, true, &[]) };
    run(parts, tables(&["t"]), CancellationToken::new()).await
}

fn outside() -> Outside {
    let outside = Outside::default();
    outside.insert("t", 1..=9);
    outside.lead_to("server a");
    outside
}

#[tokio::test(start_paused = true)]
async fn the_server_is_remembered_with_the_first_rows_and_only_once() {
    let outside = outside();
    once(&outside, false).await.unwrap();
    assert_eq!((outside.remembered().as_deref(), outside.transactions()), (Some("server a"), 1));
    once(&outside, false).await.unwrap();
    assert_eq!(outside.transactions(), 1);
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_table_without_rows_holds_no_transaction_open_for_the_server() {
    let outside = Outside::default();
    outside.insert("t", []);
    outside.lead_to("server a");
    let began = tokio::time::Instant::now();
    once(&outside, false).await.unwrap();
    assert_eq!(outside.remembered().as_deref(), Some("server a"));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn offsets_without_a_server_are_gone_on_with_in_silence() {
    let outside = outside();
    // As Kafka Connect leaves them.
    outside.deliver("p_t", "t", 1..=3);
    once(&outside, false).await.unwrap();
    assert_eq!(outside.remembered().as_deref(), Some("server a"));
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn another_server_is_not_read_until_it_is_accepted() {
    let outside = outside();
    once(&outside, false).await.unwrap();
    outside.lead_to("server b");
    outside.insert("t", 10..=12);
    let error = once(&outside, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignServer);
    let text = error.report();
    assert!(text.contains("server a") && text.contains("server b") && !text.contains("table"), "{text}");
    assert_eq!((outside.rows("t").len(), outside.committed("p_t").len()), (12, 9));
    once(&outside, true).await.unwrap();
    assert_exactly_once(&outside, "t");
    assert_eq!(outside.remembered().as_deref(), Some("server b"));
    once(&outside, false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_that_leads_elsewhere_stops_the_task_also_where_the_first_server_was_accepted() {
    let outside = outside();
    let parts = Parts { server: ServerGuard::new(true, ServerIdentity::Host), ..parts(&outside, false, &[]) };
    let task = tokio::spawn(run(parts, tables(&["t"]), CancellationToken::new()));
    pass(5).await;
    outside.lead_to("server b");
    outside.insert("t", 10..=12);
    pass(5).await;
    assert!(!task.is_finished(), "the connection still leads to the first");
    outside.insert("t", 20..=30);
    outside.source_faults([SourceFault::BreakAfter(0)]);
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignServer);
    assert_eq!(outside.committed("p_t").last(), Some(&12));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_could_not_be_stored_is_stored_by_the_next_session() {
    let outside = outside();
    outside.sink_faults([SinkFault::RejectCommit, SinkFault::LoseCommit]);
    once(&outside, false).await.unwrap();
    assert_eq!((outside.remembered().as_deref(), outside.faults_left()), (Some("server a"), 0));
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_is_not_read_until_it_is_accepted_and_then_for_good() {
    for last_id in [None, Some(4)] {
        let outside = outside();
        once(&outside, false).await.unwrap();
        outside.restore("t", 1..=4);
        outside.hand_out(last_id);
        let error = once(&outside, false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignServer);
        let places = [error.context("position"), error.context("maximum"), error.context("last id")];
        assert_eq!(places, [Some("9"), Some("4"), last_id.map(|_| "4")]);
        let doubtful = error.report().contains("either rows were deleted");
        assert_eq!(doubtful, last_id.is_none(), "{}", error.report());
        once(&outside, true).await.unwrap();
        assert_eq!((outside.offset("t"), outside.accepted("t")), (Some(9), true));
        once(&outside, false).await.unwrap();
        outside.insert("t", 10..=11);
        once(&outside, false).await.unwrap();
        assert_eq!((outside.offset("t"), outside.accepted("t")), (Some(11), false));
    }
}

#[tokio::test(start_paused = true)]
async fn deleted_rows_an_empty_table_and_a_standby_that_lags_are_no_older_copy() {
    let read = async || {
        let outside = outside();
        once(&outside, false).await.unwrap();
        outside
    };
    let deleted = read().await;
    deleted.restore("t", 1..=4);
    deleted.hand_out(Some(9));
    once(&deleted, false).await.unwrap();
    let empty = read().await;
    empty.restore("t", []);
    once(&empty, false).await.unwrap();
    let lagging = read().await;
    lagging.restore("t", 1..=4);
    lagging.be_a_replica();
    once(&lagging, false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rows_deleted_while_it_runs_are_no_older_copy_at_the_next_session() {
    let outside = outside();
    outside.deliver("p_t", "t", 1..=1);
    let task = Task::start(&outside, &["t"], &[]);
    pass(5).await;
    outside.restore("t", 1..=4);
    outside.insert("u", 1..=3);
    outside.sink_faults([SinkFault::LoseAnswer]);
    task.selected.send_modify(|relations| relations.push(table("u")));
    pass(30).await;
    assert_eq!((outside.faults_left(), outside.epoch()), (0, 2), "there was another session");
    task.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_configured_start_beyond_the_table_is_no_older_copy() {
    let outside = outside();
    let run_once = async |initial: &str| {
        run(parts(&outside, true, &[("incrementing.initial", initial)]), tables(&["t"]), CancellationToken::new()).await
    };
    run_once("1000").await.unwrap();
    assert_eq!(outside.offset("t"), Some(1000));
    run_once("1000").await.unwrap();
    assert_eq!(run_once("5").await.unwrap_err().kind(), ErrorKind::ForeignServer);
}
