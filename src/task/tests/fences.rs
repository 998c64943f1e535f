//! The fence among the tasks of a connector, and among the processes that run it.

use super::*;

#[tokio::test(start_paused = true)]
async fn no_task_reads_offsets_before_every_task_has_fenced() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let fences = Fence::among(2);
    let parts = Parts { fence: fences[0].clone(), ..parts(&outside, true, &[]) };
    let task = tokio::spawn(run(parts, tables(&["t"]), CancellationToken::new()));
    pass(60).await;
    assert_eq!((outside.epoch(), outside.statements()), (1, 0));
    // The other task's predecessor gets its last rows through before it is fenced.
    outside.deliver("p_t", "t", 1..=3);
    fences[1].pass().await;
    task.await.unwrap().unwrap();
    assert_exactly_once(&outside, "t");
}

#[tokio::test(start_paused = true)]
async fn a_process_with_fewer_tasks_fences_all_of_the_older_one() {
    let outside = Outside::default();
    outside.insert("t", 1..=5);
    let start = |task, fence: &Fence, names: &[&str]| {
        let parts = Parts { task, fence: fence.clone(), ..parts(&outside, false, &[]) };
        tokio::spawn(run(parts, tables(names), CancellationToken::new()))
    };
    let older = Fence::among(2);
    let older = [start(0, &older[0], &[]), start(1, &older[1], &["t"])];
    pass(5).await;
    let younger = start(0, &Fence::among(1)[0], &["t"]);
    pass(5).await;
    outside.insert("t", 6..=9);
    pass(5).await;
    assert_exactly_once(&outside, "t");
    assert!(!younger.is_finished() && !older[0].is_finished(), "it has had nothing to commit");
    let [_, second] = older;
    assert_eq!(second.await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test(start_paused = true)]
async fn who_was_overtaken_and_starts_again_does_not_fence_in_turn() {
    for tasks in [1, 2] {
        let outside = Outside::default();
        outside.insert("t", 1..=5);
        // The table is another task's from one process to the next, where there is another.
        let start = |table_of: usize| {
            let fences = Fence::among(tasks).into_iter().enumerate();
            let start = |(task, fence)| {
                let parts = Parts { task, fence, ..parts(&outside, false, &[]) };
                tokio::spawn(run(parts, tables(if task == table_of { &["t"] } else { &[] }), CancellationToken::new()))
            };
            fences.map(start).collect::<Vec<_>>()
        };
        let mut older = start(tasks - 1);
        pass(5).await;
        outside.sink_faults([SinkFault::RejectSend]);
        outside.insert("t", 6..=9);
        while outside.faults_left() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // While it waits for its next try.
        let younger = start(0);
        pass(60).await;
        outside.insert("t", 10..=12);
        pass(60).await;
        assert_exactly_once(&outside, "t");
        assert!(younger.iter().all(|task| !task.is_finished()));
        assert_eq!(older.remove(tasks - 1).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    }
}

#[tokio::test(start_paused = true)]
async fn who_signed_for_the_connector_and_does_not_know_it_goes_on_unless_it_was_overtaken() {
    for overtaken in [false, true] {
        let outside = Outside::default();
        outside.insert("t", 1..=5);
        let start = || {
            let parts = Parts { fence: Fence::among(1).remove(0), ..parts(&outside, false, &[]) };
            tokio::spawn(run(parts, tables(&["t"]), CancellationToken::new()))
        };
        outside.sink_faults([SinkFault::LoseSignature]);
        let older = start();
        while outside.faults_left() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let younger = overtaken.then(&start);
        pass(60).await;
        assert_exactly_once(&outside, "t");
        assert!(younger.is_none_or(|younger| !younger.is_finished()));
        assert_eq!(older.is_finished(), overtaken);
    }
}
