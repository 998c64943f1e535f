//! Times that bound polls otherwise than by one column and the clock: a delay below zero, and columns with and without a
//! zone in one COALESCE.

use crate::support::any::Any;
use crate::support::config::Connector;
use crate::support::db::{MySqlFamily, Postgres};
use crate::support::http::table;
use crate::support::kafka::records;
use crate::support::process::{Running, checked, once, run};
use crate::support::{PATIENCE, eventually};

fn ids(topic: &str) -> Vec<i64> {
    records(topic).iter().map(|record| record.field("id").as_i64().expect("a number")).collect()
}

fn by_time(database: &Any, columns: &str) -> Connector {
    database
        .connector()
        .set("mode", "timestamp+incrementing")
        .set("timestamp.column.name", columns)
        .set("incrementing.column.name", "id")
        .set("table.whitelist", "t")
        .set("validate.non.null", "false")
        .alone()
}

#[test]
fn a_delay_below_zero_reads_beyond_the_clock_and_is_told_with_the_zone_that_explains_the_times() {
    let database = Postgres::new();
    database.run(&format!("alter database {} set timezone = 'Asia/Tokyo'", database.name));
    database.run("create table t (id int primary key, ts timestamp not null default localtimestamp)");
    database.run("set timezone = 'Asia/Tokyo'; insert into t select n from generate_series(1, 3) n");
    database.run("insert into t values (4, localtimestamp + interval '30 hours')");
    let database = Any::Postgres(database);
    let connector = by_time(&database, "ts").set("timestamp.delay.interval.ms", "-32400000");
    let says = ["timestamp.delay.interval.ms is negative", "1 row(s) with times up to"];
    checked(&connector).expect_code(0).expect_says(&says);
    once(&connector).expect_code(0).expect_says(&says);
    assert_eq!(ids(&connector.topic("t")), [1, 2, 3]);
    let Any::Postgres(postgres) = &database else { unreachable!() };
    postgres.run("delete from t where id = 4");
    let says = ["timestamp.delay.interval.ms is negative", "set db.timezone=Asia/Tokyo, and remove"];
    checked(&connector).expect_code(0).expect_says(&says);
    run(&["explain", connector.file().to_str().expect("a path")]).expect_code(0).expect_says(&says);
    let mut running = Running::start(&connector.file(), &["--listen", "127.0.0.1:0"]);
    let address = running.address();
    let status =
        eventually("a poll", PATIENCE, || table(&address, "public.t").filter(|table| table["last_poll"].is_string()));
    assert_eq!(status["guard"]["level"], "off", "{status}");
    assert!(status["cursor_facts"].to_string().contains("set db.timezone=Asia/Tokyo, and remove"), "{status}");
    assert_eq!(running.terminate(), Some(0));
    let connector = connector.set("commit.guard", "hold");
    checked(&connector).expect_code(2).expect_says(&["commit.guard", "reads beyond the clock"]);
}

#[test]
fn a_delay_below_zero_reads_beyond_the_clock_on_every_database() {
    for database in Any::all() {
        let (kind, soon, late) = match &database {
            Any::Postgres(_) => ("timestamptz", "now() + interval '1 hour'", "now() + interval '3 hours'"),
            Any::MySql(..) => ("datetime", "utc_timestamp() + interval 1 hour", "utc_timestamp() + interval 3 hour"),
            Any::Sqlite(_) => ("timestamp", "datetime('now', '+1 hour')", "datetime('now', '+3 hours')"),
        };
        database.run(&format!("create table t (id int not null primary key, ts {kind} not null)"));
        database.run(&format!("insert into t values (1, {soon}), (2, {late})"));
        let connector = by_time(&database, "ts");
        once(&connector).expect_code(0);
        assert_eq!(ids(&connector.topic("t")), [] as [i64; 0], "{}", database.name());
        let connector = connector.set("timestamp.delay.interval.ms", "-7200000");
        once(&connector).expect_code(0);
        assert_eq!(ids(&connector.topic("t")), [1], "{}", database.name());
    }
}

#[test]
fn timestamptz_and_timestamp_are_one_cursor_where_db_timezone_says_the_instant_of_a_wall_clock() {
    let database = Postgres::new();
    // In UTC the order is 1 (10:00), 2 (10:30), 3 (11:00), whichever column tells it; in Berlin wall clocks are an hour later.
    database.run("create table t (id int primary key, a timestamptz, b timestamp)");
    let database = Any::Postgres(database);
    for (zone, walls) in [
        ("UTC", ["2024-01-15 10:00", "2024-01-15 11:00"]),
        ("+01:00", ["2024-01-15 11:00", "2024-01-15 12:00"]),
        ("Europe/Berlin", ["2024-01-15 11:00", "2024-01-15 12:00"]),
        ("America/New_York", ["2024-01-15 05:00", "2024-01-15 06:00"]),
    ] {
        let [first, third] = walls;
        database.run("truncate t");
        database.run(&format!(
            "insert into t values (3, null, '{third}'), (2, '2024-01-15 10:30+00', null), (1, null, '{first}')"
        ));
        for columns in ["a,b", "b,a"] {
            let connector = by_time(&database, columns).set("db.timezone", zone).set("batch.max.rows", "1");
            once(&connector).expect_code(0);
            assert_eq!(ids(&connector.topic("t")), [1, 2, 3], "{zone} {columns}");
            let late = "insert into t values (4, now() - interval '1 minute', null)";
            database.run(late);
            once(&connector).expect_code(0);
            assert_eq!(ids(&connector.topic("t")), [1, 2, 3, 4], "{zone} {columns}");
            database.run("delete from t where id = 4");
        }
    }
}

#[test]
fn timestamp_and_datetime_are_one_cursor_where_the_zone_of_the_session_makes_it_exact() {
    for kind in ["mysql", "mariadb", "tidb"] {
        let family = MySqlFamily::new(kind);
        family.run("create table t (id int primary key, a timestamp(6) null, b datetime(6) null)");
        family.run(
            "set time_zone = '+00:00';
             insert into t values (3, null, '2024-01-15 11:00'), (2, '2024-01-15 10:30', null), (1, null, '2024-01-15 10:00')",
        );
        let database = Any::MySql(kind, family);
        for columns in ["a,b", "b,a"] {
            let connector = by_time(&database, columns).set("batch.max.rows", "1");
            once(&connector).expect_code(0);
            assert_eq!(ids(&connector.topic("t")), [1, 2, 3], "{kind} {columns}");
        }
        // Wall clocks of the session's own zone: 12:30 there is 10:30 in UTC.
        database.run("update t set b = b + interval 2 hour");
        let with_zone = |zone: &str| {
            let zone = if kind == "mariadb" { zone.to_owned() } else { zone.replace('+', "%2B") };
            let url = &database.connector().keys["connection.url"];
            let url = format!("{url}?sessionVariables=time_zone='{zone}'");
            by_time(&database, "a,b").set("connection.url", &url).set("batch.max.rows", "1")
        };
        let connector = with_zone("+02:00").set("db.timezone", "+02:00");
        once(&connector).expect_code(0);
        assert_eq!(ids(&connector.topic("t")), [1, 2, 3], "{kind} +02:00");
    }
}
