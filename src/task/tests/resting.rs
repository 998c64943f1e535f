//! Polls that are spared because nothing was committed, in schedules of transactions through the real poller: rows come as
//! soon as without tokens. Tokens that tell less than a snapshot make rows late, and that shows.

use std::time::Duration;

use fastrand::Rng;

use super::database::{Database, Offers, Tells, record_of};
use super::runs::{fresh_board, kill, start_tasks};
use super::*;
use crate::guard::tests::store::{Store, Write};
use crate::guard::tests::{Step as ModelStep, World, step};

const TABLES: [&str; 2] = ["t", "u"];
const INTERVAL: Duration = Duration::from_millis(300);

/// Databases, by the means they have to find late rows, and the modes they are polled in.
const CASES: [(&str, [bool; 2]); 4] = [
    ("timestamp+incrementing", [true, false]),
    ("timestamp", [true, false]),
    ("timestamp+incrementing", [false, true]),
    ("incrementing", [false, true]),
];

fn offers([snapshots, writers]: [bool; 2], tells: Tells) -> Offers {
    Offers { snapshots, past: false, writers, tells }
}

fn parts_for(outside: &Outside, mode: &str) -> Parts {
    let time = (mode != "incrementing").then_some(("timestamp.column.name", "ts"));
    let all = [("mode", mode), ("poll.interval.ms", "300"), ("commit.guard", "auto")];
    parts(outside, false, &all.into_iter().chain(time).collect::<Vec<_>>())
}

/// The rows of a schedule that had not come two polls after they were there to be read, and the pages that were read.
async fn play(seed: u64, tells: Tells) -> (usize, usize) {
    let (mut rng, (mode, means)) = (Rng::with_seed(seed), CASES[(seed % CASES.len() as u64) as usize]);
    let outside = Outside::default();
    let store = Store::new((7 << 32) - 12, rng.bool(), World::any(&mut rng));
    outside.be(Database::new(store, offers(means, tells), &TABLES));
    outside.plan(&[], Some((Rng::with_seed(seed), [0, 2, 30][rng.usize(..3)])));
    let stop = CancellationToken::new();
    let tasks = start_tasks(&parts_for(&outside, mode), &TABLES, (0, 1), fresh_board, &stop);
    let mut late = 0;
    for _ in 0..10 {
        for _ in 0..rng.usize(..8) {
            if let ModelStep::Write(write) = step(&mut rng)
                && !matches!(write, Write::StepBack(_) | Write::Tick(_))
            {
                outside.database(|database| database.write(&write));
                tokio::time::sleep(Duration::from_millis(rng.u64(..60))).await;
            }
        }
        let (bound, there) = (outside.now(), outside.database(Database::committed).unwrap_or_default());
        // The poll that is under way, and two more, with the time that their calls take.
        tokio::time::sleep(INTERVAL * 3 + Duration::from_secs(3)).await;
        let come = TABLES.map(|table| outside.committed(&format!("p_{table}"))).concat();
        // In the order of ids a row is what it was when it was new.
        let of_row = |record: i64| if mode == "incrementing" { record / super::database::VERSIONS } else { record };
        let come: std::collections::HashSet<i64> = come.into_iter().map(of_row).collect();
        late += there.iter().filter(|one| one.time < bound && !come.contains(&of_row(record_of(one)))).count();
    }
    kill(tasks).await;
    (late, outside.statements())
}

/// The sum of all seeds.
fn play_all(tells: Tells) -> (usize, usize) {
    (0..400).map(|seed| in_paused_time(seed, play(seed, tells))).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn in_paused_time<T>(seed: u64, work: impl Future<Output = T>) -> T {
    // Pauses before another try are random, too.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

#[test]
fn rows_come_as_soon_where_polls_are_spared_and_late_where_tokens_tell_too_little() {
    let (late, all) = play_all(Tells::Nothing);
    assert_eq!(late, 0, "without tokens");
    let (late, fewer) = play_all(Tells::Snapshots);
    assert_eq!(late, 0, "with those of snapshots");
    assert!(fewer < all * 3 / 4, "{fewer} statements instead of {all}: hardly a poll is spared");
    let (late, _) = play_all(Tells::Ends);
    assert!(
        late > 20,
        "only {late} rows are late by tokens that leave out what is running: the schedules prove nothing"
    );
}

/// A poller of one table, and its database.
async fn one_table(tells: Tells, writes: &[Write]) -> (Outside, Vec<tokio::task::JoinHandle<Result<()>>>) {
    let outside = Outside::default();
    outside.be(Database::new(Store::new(100, true, World::instants()), offers([true, false], tells), &TABLES[..1]));
    for write in writes {
        outside.database(|database| database.write(write));
    }
    let parts = parts_for(&outside, "timestamp+incrementing");
    let tasks = start_tasks(&parts, &TABLES[..1], (0, 1), fresh_board, &CancellationToken::new());
    (outside, tasks)
}

#[tokio::test(start_paused = true)]
async fn a_row_ahead_of_the_clock_is_read_when_its_time_comes_although_nothing_is_committed() {
    let ahead = [Write::Begin(0), Write::Insert(0), Write::Commit(0), Write::StepBack(150)];
    let (outside, tasks) = one_table(Tells::Snapshots, &ahead).await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(outside.committed("p_t"), [] as [i64; 0], "its time has not come");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(outside.committed("p_t"), [0]);
    kill(tasks).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_at_rest_is_polled_now_and_then_and_at_once_when_something_is_committed() {
    let (outside, tasks) = one_table(Tells::Snapshots, &[Write::Begin(0), Write::Insert(0), Write::Commit(0)]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = outside.statements();
    tokio::time::sleep(Duration::from_secs(180)).await;
    let polls = outside.statements() - before;
    assert!((2..=9).contains(&polls), "{polls} statements in 600 intervals");
    outside.database(|database| {
        [Write::Begin(0), Write::Insert(0), Write::Commit(0)].iter().for_each(|write| database.write(write))
    });
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(outside.committed("p_t").len(), 2);
    kill(tasks).await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_tells_too_little_delays_one_row_and_is_not_believed_any_more() {
    let (outside, tasks) = one_table(Tells::Ends, &[Write::Begin(0), Write::Insert(0)]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    outside.database(|database| database.write(&Write::Commit(0)));
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(outside.committed("p_t"), [] as [i64; 0], "its poll is spared, wrongly");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(outside.committed("p_t"), [0], "it is polled now and then all the same");
    for row in 1..4 {
        [Write::Begin(0), Write::Insert(0)].iter().for_each(|write| {
            outside.database(|database| database.write(write));
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        outside.database(|database| database.write(&Write::Commit(0)));
        tokio::time::sleep(INTERVAL * 3).await;
        assert_eq!(outside.committed("p_t").len(), row + 1, "polls are not spared any more");
    }
    kill(tasks).await;
}
