//! Pages, cursors, streams and the clock.

use std::time::Duration;

use rowtide::dialect::StreamEnd;
use rowtide::model::{CursorColumn, CursorValue, Mode, PlannedQuery, Value};
use rowtide::zone::Zone;

use super::place::{Collected, Database, Place, plain, read, read_pages};

/// `2024-01-01` and so many microseconds, with that many fraction digits.
fn moment(micros: i64, digits: usize) -> String {
    let time = chrono::DateTime::from_timestamp_micros(1_704_067_200_000_000 + micros).unwrap();
    let fraction = format!("{:06}", time.timestamp_subsec_micros());
    let point = if digits > 0 { "." } else { "" };
    format!("{}{point}{}", time.format("%Y-%m-%d %H:%M:%S"), &fraction[..digits])
}

pub(super) async fn pages_follow_the_cursor_and_an_index_serves_them(database: &'static dyn Database) {
    let time = database.time(0);
    let rows: Vec<String> = (1..=3000).map(|n: i64| format!("('{}', {n})", moment(n / 4 * 1_000_000, 0))).collect();
    let place = Place::new(
        database,
        &format!(
            "create table t (ts {time}, seq integer); insert into t values {};
             create index i on t (ts, seq); create table u (ts {time}, seq integer); insert into u select * from t;",
            rows.join(", ")
        ),
    );
    let mut connection = place.connect().await;
    let names = ["ts".to_owned()];
    let definition = connection.describe(&place.table("t"), &names).await.unwrap();
    let kinds = [definition.columns[0].cursor.unwrap(), definition.columns[1].cursor.unwrap()];
    let bound = connection.upper_bound(kinds[0], Duration::ZERO).await.unwrap();
    let mode = Mode::TimestampIncrementing { columns: names.to_vec(), column: "seq".to_owned() };
    let planner = place.planner(&definition, &mode).unwrap();
    let seen = read_pages(&mut *connection, &definition, &planner, Some(&bound), 700).await.unwrap();
    assert_eq!(seen.column(1), (1..=3000).map(Value::Integer).collect::<Vec<_>>());
    let after = rowtide::model::Position(seen.cursor[1000].clone());
    let report = connection.explain(&planner.page(Some(&after), Some(&bound), 700)).await.unwrap();
    assert!(report.index_serves, "{:?}", report.lines);
    let without = connection.describe(&place.table("u"), &names).await.unwrap();
    let planner = place.planner(&without, &mode).unwrap();
    let report = connection.explain(&planner.page(Some(&after), Some(&bound), 700)).await.unwrap();
    assert!(!report.index_serves && !report.lines.is_empty(), "{:?}", report.lines);
    let from = place.from("t");
    let probe = |sql: String| PlannedQuery { cursor: vec![CursorColumn { index: 0, kind: kinds[1] }], ..plain(sql) };
    let found = connection.probe(&probe(format!("select max(seq) from {from}"))).await.unwrap();
    assert_eq!(found, Some(CursorValue::Integer(3000)));
    let found = connection.probe(&probe(format!("select seq from {from} where 1 = 0"))).await.unwrap();
    assert_eq!(found, None);
}

pub(super) async fn a_stream_can_pause_and_be_left(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (a int); insert into t values (1), (2), (3), (4), (5);");
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let query = place.select(&definition, "order by 1");
    {
        let mut sink = Collected { pause_after: Some(2), ..Collected::default() };
        let mut rows = connection.fetch(&definition, &query).await.unwrap();
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        assert_eq!(sink.rows.len(), 2);
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        assert_eq!(sink.rows.len(), 4);
    }
    assert_eq!(read(&mut *connection, &definition, &query).await.unwrap().rows.len(), 5);
    connection.close().await;
}

pub(super) async fn the_upper_bound_is_the_database_s_clock(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (ts timestamp);");
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &["ts".to_owned()]).await.unwrap();
    let cursor = definition.columns[0].cursor.unwrap();
    let hour = Duration::from_secs(3600);
    let now = cursor.to_instant(&connection.upper_bound(cursor, Duration::ZERO).await.unwrap(), &Zone::UTC).unwrap();
    let then = cursor.to_instant(&connection.upper_bound(cursor, hour).await.unwrap(), &Zone::UTC).unwrap();
    let here = chrono::Utc::now().timestamp();
    assert!((here - now.seconds).abs() < 5, "{} {}", here, now.seconds);
    assert!((now.seconds - then.seconds - 3600).abs() < 5);
}
