//! Pages, cursors, streams and the clock.

use std::time::Duration;

use rowtide::dialect::StreamEnd;
use rowtide::model::{CursorColumn, CursorValue, Mode, PlannedQuery, Value};
use rowtide::zone::Zone;

use super::place::{Collected, Database, Place, plain, read, read_pages, text};

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

pub(super) async fn ties_and_microseconds_are_read_once(database: &'static dyn Database) {
    // Groups of one timestamp, one microsecond apart, some greater than a page; ids against the order of time.
    let rows: Vec<String> = (0..40).map(|n: i64| format!("({}, '{}')", 1000 - n, moment(n * n / 60 - 10, 6))).collect();
    let place = Place::new(
        database,
        &format!(
            "create table t (id int not null primary key, ts {} not null); insert into t values {};",
            database.time(6),
            rows.join(", ")
        ),
    );
    let mut connection = place.connect().await;
    let names = ["ts".to_owned()];
    let definition = connection.describe(&place.table("t"), &names).await.unwrap();
    let expected = {
        let query = place.select(&definition, "order by ts, id");
        read(&mut *connection, &definition, &query).await.unwrap().column(0)
    };
    let by_key = Mode::Timestamp { columns: names.to_vec() };
    let by_id = Mode::TimestampIncrementing { columns: names.to_vec(), column: "id".to_owned() };
    for mode in [by_key, by_id] {
        let planner = place.planner(&definition, &mode).unwrap();
        let rows = read_pages(&mut *connection, &definition, &planner, None, 3).await.unwrap();
        assert_eq!(rows.column(0), expected, "{mode:?}");
        // The bound is exclusive, to the microsecond.
        let upper = rows.cursor[20][0].clone();
        let below = rows.cursor.iter().filter(|cursor| cursor[0] != upper).count();
        let same = rows.cursor.iter().filter(|cursor| cursor[0] == upper).count();
        assert!(same > 1 && below + same == 40);
        let rows = read_pages(&mut *connection, &definition, &planner, Some(&upper), 3).await.unwrap();
        assert!(rows.cursor.iter().all(|cursor| cursor[0] < upper) && !rows.cursor.is_empty());
    }
}

pub(super) async fn keys_of_text_break_ties_whatever_their_collation(database: &'static dyn Database) {
    let keys = ["a", "B", "c", "D", "é", "f", "Ä x", "_", "%", "a-b", "ab", "ZZ", "ß", "0", "10", "9", "表", "q\\'"];
    let rows: Vec<String> = keys.iter().map(|key| format!("({}, '{}')", database.literal(key), moment(0, 0))).collect();
    let place = Place::new(
        database,
        &format!(
            "create table t (k varchar(20) not null primary key, ts {} not null); insert into t values {};",
            database.time(0),
            rows.join(", ")
        ),
    );
    let mut connection = place.connect().await;
    let names = ["ts".to_owned()];
    let definition = connection.describe(&place.table("t"), &names).await.unwrap();
    let planner = place.planner(&definition, &Mode::Timestamp { columns: names.to_vec() }).unwrap();
    let rows = read_pages(&mut *connection, &definition, &planner, None, 3).await.unwrap();
    assert_eq!(rows.rows.len(), keys.len());
    let seen = rows.column(0);
    for key in keys {
        assert!(seen.contains(&text(key)), "{key} was lost");
    }
}

pub(super) async fn a_long_result_is_left_in_the_middle(database: &'static dyn Database) {
    let place = Place::new(database, "create table t (a int, b text);");
    let filler = database.repeat("x", 10_000);
    let rows: Vec<String> = (0..500).map(|n| format!("({n}, {filler})")).collect();
    place.sql(&format!("insert into t values {};", rows.join(", ")));
    let mut connection = place.connect().await;
    let definition = connection.describe(&place.table("t"), &[]).await.unwrap();
    let query = place.select(&definition, "order by a");
    for pause_after in [1, 7] {
        let mut sink = Collected { pause_after: Some(pause_after), ..Collected::default() };
        let mut rows = connection.fetch(&definition, &query).await.unwrap();
        assert_eq!(rows.next_rows(&mut sink).await.unwrap(), StreamEnd::Paused);
        assert_eq!(sink.rows.len(), pause_after);
    }
    assert_eq!(connection.describe(&place.table("t"), &[]).await.unwrap(), definition);
    let mut sink = Collected { pause_after: Some(100), ..Collected::default() };
    let mut rows = connection.fetch(&definition, &query).await.unwrap();
    while rows.next_rows(&mut sink).await.unwrap() == StreamEnd::Paused {}
    assert_eq!(sink.column(0), (0..500).map(Value::Integer).collect::<Vec<_>>());
}
