//! TiDB as of a time: what was read once is the same whenever it is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rowtide::dialect::SourceConnection;
use rowtide::error::ErrorKind;
use rowtide::model::{CursorValue, Micros, Mode, PastView, TableDefinition, Value};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::mysql::TIDB;
use super::place::{Place, plain, read, read_pages};
use crate::support::PATIENCE;

const TABLE: &str = "create table t (id bigint auto_increment primary key, ts datetime(6) not null, n int not null default 0, key (ts));
    insert into t (ts) values (utc_timestamp(6)), (utc_timestamp(6)), (utc_timestamp(6));";

/// All rows as of a time.
async fn rows_as_of(
    connection: &mut dyn SourceConnection,
    place: &Place,
    definition: &TableDefinition,
    as_of: Option<Micros>,
) -> (Micros, Vec<Vec<Value<'static>>>) {
    let view = connection.past_reads().unwrap().begin_past(as_of).await.unwrap();
    assert!(view.horizon < view.as_of, "{view:?}");
    let planner = place.planner(definition, &Mode::Incrementing { column: "id".to_owned() }).unwrap();
    let rows = read_pages(connection, definition, &planner, None, 1_000).await.unwrap().rows;
    connection.end_view().await.unwrap();
    (view.as_of, rows)
}

/// Begins a view of the past that holds all that is committed by now.
async fn begin_settled(connection: &mut dyn SourceConnection) -> PastView {
    let view = connection.past_reads().unwrap().begin_past(None).await.unwrap();
    let now = view.as_of + view.settled_after.as_micros() as Micros;
    let deadline = Instant::now() + PATIENCE;
    loop {
        connection.end_view().await.unwrap();
        let view = connection.past_reads().unwrap().begin_past(None).await.unwrap();
        if view.as_of > now {
            return view;
        }
        assert!(Instant::now() < deadline, "{now} does not become the past");
    }
}

/// The ways to commit a transaction: in one phase, with a second one in the background, and with one that is waited
/// for.
const COMMITS: [&str; 4] = [
    "set tidb_enable_1pc = 1, tidb_enable_async_commit = 1",
    "set tidb_enable_1pc = 0, tidb_enable_async_commit = 1",
    "set tidb_enable_1pc = 0, tidb_enable_async_commit = 0",
    "set tidb_enable_1pc = 0, tidb_enable_async_commit = 0, tidb_txn_mode = 'optimistic'",
];
/// No row is written twice within a second. Where one is, the storage of a TiDB that stores for itself (unistore) may
/// not find the version that a snapshot sees: a key that was written when an iterator is made, and is written again and
/// merged before the iterator gets there, has no older versions for it (`MergeIterator::NextVersion` of its badger).
/// There the same select misses the row within one transaction of the present, too. TiKV has another storage.
const OLD: &str = "where ts < utc_timestamp(6) - interval 1 second order by ts limit 20";

#[tokio::test]
async fn what_was_read_as_of_a_time_stays_under_load() {
    let place = Place::new(&TIDB, TABLE);
    let url = format!("{}{}", TIDB.address("URL"), place.name);
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let mut writer = MySqlConnection::connect(&url).await.unwrap();
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            writer.execute(COMMITS[seed as usize % COMMITS.len()]).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                let insert = "insert into t (ts) values (utc_timestamp(6))";
                let sql = match random.u32(0..4) {
                    0 => insert.to_owned(),
                    1 => format!("begin; {insert}; do sleep({}); {insert}; commit", random.f64() / 50.0),
                    2 => format!("update t set n = n + 1, ts = utc_timestamp(6) {OLD}"),
                    _ => format!("delete from t {OLD}"),
                };
                if writer.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.is_err() {
                    writer.execute("rollback").await.unwrap();
                }
            }
        }));
    }
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    begin_settled(&mut *connection).await;
    connection.end_view().await.unwrap();
    let mut old: Vec<(Instant, Micros, Vec<Vec<Value<'static>>>)> = Vec::new();
    let (mut changes, mut compared) = (0, 0);
    for _ in 0..200 {
        let (as_of, first) = rows_as_of(&mut *connection, &place, &definition, None).await;
        changes += usize::from(old.last().is_some_and(|(_, _, before)| *before != first));
        let (_, again) = rows_as_of(&mut *connection, &place, &definition, Some(as_of)).await;
        assert_eq!(first, again, "at once, as of {as_of}");
        old.push((Instant::now(), as_of, first));
        while old.first().is_some_and(|(at, ..)| at.elapsed() > Duration::from_secs(2)) {
            let (_, as_of, first) = old.remove(0);
            let (_, later) = rows_as_of(&mut *connection, &place, &definition, Some(as_of)).await;
            assert_eq!(first, later, "two seconds later, as of {as_of}");
            compared += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    for (_, as_of, first) in old {
        let (_, later) = rows_as_of(&mut *connection, &place, &definition, Some(as_of)).await;
        assert_eq!(first, later, "after all, as of {as_of}");
        compared += 1;
    }
    assert!(changes > 20 && compared == 200, "{changes} changes of {compared} prove nothing");
}

#[tokio::test]
async fn the_past_is_read_in_any_zone_and_ends_where_it_is_ended() {
    let mut place = Place::new(&TIDB, TABLE);
    for zone in ["", "+05:00", "America/New_York"] {
        place.source.url.parameters.insert("sessionZone".to_owned(), zone.to_owned());
        let mut connection = place.connect().await;
        let query = rowtide::model::Relation::Query("select id, ts from t".to_owned());
        let definition = connection.describe(&query, &[]).await.unwrap();
        let select = place.select(&definition, "");
        let open = connection.open_transactions().await.unwrap();
        let view = begin_settled(&mut *connection).await;
        let apart = (open.clock - view.as_of).abs();
        assert!(apart < PATIENCE.as_micros() as Micros, "{view:?} is far from {}", open.clock);
        assert_eq!(view.as_of % 1_000, 0);
        let before = read(&mut *connection, &definition, &select).await.unwrap().rows;
        place.sql("insert into t (ts) values (utc_timestamp(6))");
        assert_eq!(read(&mut *connection, &definition, &select).await.unwrap().rows, before, "{zone}");
        let count = connection.probe(&with_cursor("select count(*) from t")).await.unwrap();
        assert_eq!(count, Some(CursorValue::Integer(before.len() as i64)));
        connection.end_view().await.unwrap();
        let after = read(&mut *connection, &definition, &select).await.unwrap().rows;
        assert_eq!(after.len(), before.len() + 1, "{zone}");
        connection.past_reads().unwrap().begin_past(Some(view.as_of)).await.unwrap();
        assert_eq!(read(&mut *connection, &definition, &select).await.unwrap().rows, before, "{zone}");
        // One that was left, in the middle of a result or before, is no hindrance to the next.
        let left = connection.past_reads().unwrap().begin_past(None).await.unwrap();
        drop(connection.fetch(&definition, &select).await.unwrap());
        assert!(left.as_of > view.as_of);
        connection.end_view().await.unwrap();
        assert_eq!(read(&mut *connection, &definition, &select).await.unwrap().rows, after, "{zone}");
    }
}

fn with_cursor(sql: &str) -> rowtide::model::PlannedQuery {
    let cursor = rowtide::model::CursorColumn { index: 0, kind: rowtide::model::CursorKind::Integer };
    rowtide::model::PlannedQuery { cursor: vec![cursor], ..plain(sql) }
}

#[tokio::test]
async fn a_time_that_is_forgotten_or_before_the_table_is_told() {
    let place = Place::new(&TIDB, "");
    let mut connection = place.connect().await;
    let now = connection.past_reads().unwrap().begin_past(None).await.unwrap();
    connection.end_view().await.unwrap();
    let forgotten = now.horizon - 1;
    let view = connection.past_reads().unwrap().begin_past(Some(forgotten)).await.unwrap();
    assert!(view.as_of == forgotten && view.as_of < view.horizon, "{view:?}");
    place.sql(TABLE);
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let select = place.select(&definition, "");
    assert_eq!(read(&mut *connection, &definition, &select).await.unwrap().rows.len(), 3, "nothing has begun");
    // A time before the table, one before a column, and the present.
    connection.past_reads().unwrap().begin_past(Some(now.as_of)).await.unwrap();
    let error = read(&mut *connection, &definition, &select).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SchemaChanged, "{error:?}");
    connection.end_view().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let with_three = loop {
        let view = connection.past_reads().unwrap().begin_past(None).await.unwrap();
        let rows = read(&mut *connection, &definition, &select).await;
        connection.end_view().await.unwrap();
        if rows.is_ok_and(|rows| rows.rows.len() == 3) {
            break view.as_of;
        }
        assert!(Instant::now() < deadline, "the table does not come about");
    };
    place.sql("alter table t add column more int; insert into t (ts) values (utc_timestamp(6))");
    let wider = connection.describe(&place.table("t"), &[]).await.unwrap();
    connection.past_reads().unwrap().begin_past(Some(with_three)).await.unwrap();
    let error = read(&mut *connection, &wider, &place.select(&wider, "")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SchemaChanged, "{error:?}");
    assert_eq!(read(&mut *connection, &definition, &select).await.unwrap().rows.len(), 3);
    connection.end_view().await.unwrap();
    assert_eq!(read(&mut *connection, &wider, &place.select(&wider, "")).await.unwrap().rows.len(), 4);
}

#[tokio::test]
async fn other_ways_to_read_the_past_do_not_blur_it() {
    let mut place = Place::new(&TIDB, TABLE);
    let variables = "tidb_read_staleness=-5,tidb_replica_read='closest-replicas',tidb_enable_prepared_plan_cache=1";
    place.source.url.parameters.insert("sessionVariables".to_owned(), variables.to_owned());
    let mut connection = place.connect().await;
    let deadline = Instant::now() + PATIENCE;
    // What is read outside of such a view is five seconds old, as asked for.
    let definition = loop {
        match connection.describe(&place.table("t"), &[]).await {
            Ok(definition) => break definition,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::task::yield_now().await;
    };
    for round in 0..5 {
        place.sql("insert into t (ts) values (utc_timestamp(6))");
        begin_settled(&mut *connection).await;
        connection.end_view().await.unwrap();
        let (as_of, rows) = rows_as_of(&mut *connection, &place, &definition, None).await;
        assert_eq!(rows.len(), 4 + 2 * round, "in round {round}");
        place.sql("insert into t (ts) values (utc_timestamp(6))");
        assert_eq!(rows_as_of(&mut *connection, &place, &definition, Some(as_of)).await.1, rows);
    }
}
