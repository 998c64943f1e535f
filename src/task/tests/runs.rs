//! The lives of a schedule: tasks that are started, end by themselves, are asked to or are killed; and the run of many
//! schedules.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;

/// Starts the tasks of a connector, as many as `tasks.1`, with the tables spread over them; from life to life (`tasks.0`)
/// the tables go to other tasks. `board` makes the board of each.
pub(super) fn start_tasks(
    base: &Parts,
    tables: &[&str],
    (number, tasks): (usize, usize),
    board: impl Fn() -> StatusBoard,
    stop: &CancellationToken,
) -> Vec<JoinHandle<Result<()>>> {
    let mut groups = vec![Vec::new(); tasks];
    for (index, name) in tables.iter().enumerate() {
        groups[(index + number) % tasks].push(table(name));
    }
    // The process that is taken over hands no session to the one that takes over.
    let sessions = Sessions::default();
    let start = |(task, (group, fence))| {
        let parts = Parts { task, fence, board: board(), sessions: sessions.clone(), ..base.clone() };
        tokio::spawn(run(parts, watch::channel(group).1, stop.clone()))
    };
    groups.into_iter().zip(Fence::among(tasks)).enumerate().map(start).collect()
}

/// A board of its own for a task.
pub(super) fn fresh_board() -> StatusBoard {
    StatusBoard::new("c", Duration::from_secs(30))
}

/// Reads what is left of the tables in one last life, which ends by itself.
pub(super) async fn read_to_the_end(
    base: &Parts,
    tables: &[&str],
    number: usize,
    board: impl Fn() -> StatusBoard,
) -> std::result::Result<(), String> {
    let once = Parts { once: true, ..base.clone() };
    for task in start_tasks(&once, tables, (number, 1), board, &CancellationToken::new()) {
        let ended = tokio::time::timeout(Duration::from_secs(600), task).await;
        let ended = ended.map_err(|_| "the last run does not end".to_owned())?;
        ended.map_err(|panic| panic.to_string())?.map_err(|error| format!("the last run: {error:?}"))?;
    }
    Ok(())
}

/// Asks the tasks to end, and kills those that do not.
pub(super) async fn end(mut tasks: Vec<JoinHandle<Result<()>>>) {
    for task in &mut tasks {
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut *task).await;
    }
    tasks.retain(|task| !task.is_finished());
    kill(tasks).await;
}

pub(super) async fn kill(tasks: Vec<JoinHandle<Result<()>>>) {
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        let _ = task.await;
    }
}

/// Tasks end only when they are asked to, or fenced: one that was taken over fences its successor if it starts again
/// in the very moment in which that one signs for the connector.
pub(super) async fn still_alive(
    tasks: Vec<JoinHandle<Result<()>>>,
    may_be_fenced: bool,
) -> std::result::Result<Vec<JoinHandle<Result<()>>>, String> {
    let mut alive = Vec::new();
    for task in tasks {
        if !task.is_finished() {
            alive.push(task);
            continue;
        }
        match task.await {
            Ok(Err(error)) if error.kind() == ErrorKind::Fenced && may_be_fenced => {}
            other => return Err(format!("a task ended by itself: {other:?}")),
        }
    }
    Ok(alive)
}

/// Runs schedules by their seeds, on every core, until one fails.
pub(super) fn first_failing<S: Send>(last: u64, fails: impl Fn(u64) -> Option<S> + Sync) -> Option<S> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    // `scripts/check` is to be quick; `scripts/test` runs them all.
    let last = number("ROWTIDE_TEST_SCHEDULES").map_or(last, |most: u64| last.min(most));
    let given = number("ROWTIDE_TEST_SEED");
    let (first, last) = given.map_or((0, last), |seed: u64| (seed, seed + 1));
    let next = AtomicU64::new(first);
    let failed = std::sync::Mutex::new(None);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last || failed.lock().unwrap().is_some() {
                return;
            }
            if let Some(schedule) = fails(seed) {
                *failed.lock().unwrap() = Some(schedule);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap()
}
